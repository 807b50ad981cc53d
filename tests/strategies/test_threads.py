"""Numbers are computed in one thread, and a run's own program keeps its threads."""

from __future__ import annotations

import os
import subprocess
import sys

from lab.strategies.threads import in_one_thread
from tests.cli.labs import CHECKOUT

_LOADED = """
import os
from lab.strategies.bayesian import Bayesian
Bayesian().load()
print(len(os.listdir("/proc/self/task")), os.environ.get("OPENBLAS_NUM_THREADS"), os.environ.get("OMP_NUM_THREADS"))
"""


def test_the_surroundings_are_as_they_were() -> None:
    before = dict(os.environ)
    with in_one_thread():
        assert os.environ["OPENBLAS_NUM_THREADS"] == "1"
    assert dict(os.environ) == before


def test_a_model_is_loaded_in_one_thread_whatever_the_surroundings_say() -> None:
    environ = {**os.environ, "OMP_NUM_THREADS": "4"}
    environ.pop("OPENBLAS_NUM_THREADS", None)
    done = subprocess.run(
        [sys.executable, "-c", _LOADED], cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["1", "None", "4"]
