"""Ctrl-C while a recipe is asked: it ends too, and nothing is left of it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

from tests.cli.labs import SHIM
from tests.tinker.cli.trained import RECIPE, a_training

if TYPE_CHECKING:
    from pathlib import Path

SLOW = RECIPE.replace(
    "    def prepare(self, job):\n",
    "    def prepare(self, job):\n"
    "        import time\n"
    "        open(job.file('data.txt') + '.begun', 'w').close()\n"
    "        time.sleep(600)\n",
)


def test_ctrl_c_ends_the_recipe_that_is_asked_and_leaves_nothing(place: Path) -> None:
    a_training(place, "", "tiny/none")
    code = place.parent / "code"
    (code / "recipe.py").write_text(SLOW)
    command = [sys.executable, SHIM, "tinker", "estimate", "sft"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        until = time.monotonic() + 40
        while not (code / "data.txt.begun").exists() and time.monotonic() < until and asking.poll() is None:
            time.sleep(0.05)
        asking.send_signal(signal.SIGINT)
        _, err = asking.communicate(timeout=30)
    assert (asking.returncode, err) == (130, "error[interrupted]: interrupted; no run was touched\n")
    assert os.listdir(place / "scratch/tinker") == []
