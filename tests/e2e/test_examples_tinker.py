"""The example of a training in chunks: killed in the midst of one, gone on with, and nothing is lost or done twice."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.e2e.newcomer import CHECKOUT, Person, page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("training"),  # one after the other with what else trains: each fills a core
    pytest.mark.skipif(
        any(find_spec(name) is None for name in ("torch", "tinker", "peft")), reason="labctl[tinker-local] is not here"
    ),
]
LIMIT_S, STEPS = 120.0, 36  # fewer chunks than the page has: each begins a process with torch


@pytest.fixture
def ann(tmp_path: Path) -> Iterator[Person]:
    """Somebody who has the model, its server in another terminal at a free port, and the experiment."""
    ann = Person(tmp_path)
    make, *rest = page("tinker-chain").splitlines()
    ann.typed(make)
    served = "labctl tinker serve-local --base lab/tiny=$HOME/tiny-model --port 0 --port-file ~/port"
    server = subprocess.Popen(["sh", "-c", f"exec {served}"], env=ann.environ, stdout=subprocess.DEVNULL)
    try:
        until(lambda: (tmp_path / "port").exists() or server.poll() is not None)
        port = (tmp_path / "port").read_text().strip()
        ann.typed("; ".join(line for line in rest if line.startswith("cp ")))
        spec = tmp_path / "tinker-chain/SPEC.yaml"
        text = re.sub(r"127\.0\.0\.1:\d+", f"127.0.0.1:{port}", spec.read_text())
        spec.write_text(re.sub(r"(?m)^  steps: \d+", f"  steps: {STEPS}", text))
        ann.typed("labctl init; labctl create ~/tinker-chain")
        yield ann
    finally:
        server.send_signal(signal.SIGINT)
        server.wait(30)


def until(true: Callable[[], object]) -> None:
    end_s = time.monotonic() + LIMIT_S
    while not true():
        assert time.monotonic() < end_s
        time.sleep(0.05)


def steps(run: Path) -> list[int]:
    """The steps whose row is whole."""
    try:
        rows = (run / "artifacts/steps.jsonl").read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return [json.loads(row)["step"] for row in rows if row.endswith("\n")]


def test_a_training_that_is_killed_in_the_midst_of_a_chunk_goes_on_and_has_each_step_once(ann: Person) -> None:
    runs = ann.home / "lab-data/experiments/tinker-chain/runs"
    burst = subprocess.Popen(
        ["labctl", "burst", "tinker-chain"], env=ann.environ, cwd=CHECKOUT, start_new_session=True,
        executable=str(ann.home / "bin/labctl"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    until(lambda: any(12 < max(steps(run), default=0) < 23 for run in runs.glob("RUN-*")) or burst.poll() is not None)
    os.kill(burst.pid, signal.SIGKILL)
    assert burst.wait(30) == -signal.SIGKILL
    said = ann.typed("labctl burst tinker-chain")
    assert "completed (the training is finished)" in said
    sealed = {run.name: json.loads((run / "SEAL.json").read_text())["run"] for run in sorted(runs.glob("RUN-*"))}
    assert [each["outcome"] for each in sealed.values()].count("crash") == 1
    told = json.loads(ann.typed("labctl tinker runs tinker-chain --steps --json"))["data"]
    (stage,) = told["stages"]
    assert (stage["final"], stage["next_step"]) == (True, STEPS)
    assert [row["step"] for row in stage["rows"]] == list(range(STEPS))
    values = [each["value"] for each in sealed.values() if each["outcome"] == "success"]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 1 < values[0]
    ann.typed(f"labctl tinker download tinker-chain -o {ann.home}/my-adapter; labctl verify")
    assert (ann.home / "my-adapter/adapter_model.safetensors").stat().st_size > 0
