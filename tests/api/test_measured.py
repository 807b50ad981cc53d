"""An edit of what runs were measured by: taken up by nobody, and all that reads goes on as before."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lab

SHIM = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")
RENAMED = [("metric: ", "metric: seen"), ("metric_direction: ", 'metric_direction: "maximize"')]


def labctl(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SHIM, *words], capture_output=True, text=True, check=False)


def edited(sweep: lab.Experiment, begins: str, line: str) -> bytes:
    """The SPEC as it was, and with this line in the place of the one that begins so."""
    path = Path(sweep.path, "SPEC.yaml")
    was = path.read_bytes()
    lines = was.decode().splitlines()
    assert sum(each.startswith(begins) for each in lines) == 1
    path.write_text("\n".join(line if each.startswith(begins) else each for each in lines) + "\n")
    return was


@pytest.mark.parametrize(("begins", "line"), RENAMED)
def test_it_is_refused_wherever_a_run_would_begin(sweep: lab.Experiment, begins: str, line: str) -> None:
    sweep.run(2)
    was = edited(sweep, begins, line)
    for words in (["burst", sweep.id, "-n", "1"], ["validate", sweep.id]):
        done = labctl(*words)
        assert done.returncode == 2, done.stderr
        assert "the metric of sweep was changed" in done.stderr
        assert "of loss, minimized" in done.stderr
        assert f"put back `{begins}" in done.stderr
    with pytest.raises(lab.BadInput, match="was changed"):
        sweep.run(1)
    assert "was changed" in labctl("run-once", "--experiment", sweep.id, "--now").stdout
    Path(sweep.path, "SPEC.yaml").write_bytes(was)
    assert len(sweep.run(1).run_ids) == 1
    assert len(sweep.runs()) == 3
    assert "spec_edited" not in Path("lab-data/registry/events.jsonl").read_text()


@pytest.mark.parametrize(("begins", "line"), RENAMED)
@pytest.mark.parametrize("is_new", [False, True])
def test_what_reads_goes_on_by_the_old_metric_and_says_so(
    sweep: lab.Experiment, begins: str, line: str, *, is_new: bool
) -> None:
    sweep.run(3)
    best, best_seen = sweep.best(), sweep.status()["best_run"]
    edited(sweep, begins, line)
    if is_new:  # pages that nobody wrote before the edit
        os.unlink(f"{sweep.path}/STATUS.json")
    labctl("refresh")
    for words in (["best", sweep.id], ["top", sweep.id]):
        done = labctl("--json", *words)
        told = json.loads(done.stdout)
        assert (told["data"]["metric"], told["data"]["direction"]) == ("loss", "minimize")
        assert "was changed" in str(told["warnings"])
    with pytest.warns(lab.LabWarning, match="was changed"):
        assert sweep.best() == best
    status = sweep.status()
    told = (status["metric"], status["metric_direction"], status["best_run"])
    assert told == ("loss", "minimize", best_seen)
    assert "was changed" in str(status["attention"])
    assert "was changed" in labctl("status").stdout
    assert "was changed" in labctl("doctor").stdout
    assert "was changed" in labctl("watchdog").stdout


def test_a_target_of_the_new_metric_is_not_reached_by_the_old_one(sweep: lab.Experiment) -> None:
    sweep.run(1)
    edited(sweep, "metric: ", "metric: seen\nstop_conditions: {target: 0.99}")
    assert labctl("run-once", "--experiment", sweep.id, "--now").returncode == 1
    assert sweep.phase == "active"


def test_before_the_first_value_it_is_an_edit_like_any_other(sweep: lab.Experiment) -> None:
    edited(sweep, "metric: ", "metric: seen")
    assert sweep.run(1).succeeded + sweep.run(1).succeeded
    assert sweep.best().value == 7
