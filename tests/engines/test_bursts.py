"""Bursts whose runs a real engine places: a search at Slurm, and a code loop whose candidates are judged elsewhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import KEEP
from tests.cli.labs import SHIM, process
from tests.engines.labs import Lab
from tests.scheduler.loop.live import BRANCH, NAME, a_loop, sound, trace

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster

WAITS = 'while ! test -e "$LAB_REPO_ROOT/go"; do sleep 0.1; done'


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_the_candidates_of_a_code_loop_are_made_and_judged_at_an_engine(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="max_parallel: 2\npromotion_strategy: branch\n")
    loop.propose(":", *(f"echo {50 - number} > value" for number in range(1, 6)))
    before = trace(loop.workspace)
    environ = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    words = ("burst", NAME, "-n", "6", "--engine", "local", "--jobs", "2", "--json")
    data = process(*words, root=loop.root.layout.root, env=environ, limit_s=100).data
    assert (data["ran"], data["failed"]) == (6, 0), data
    decided = [loop.decided(run_id) for run_id in loop.runs()]
    best = min(each.candidate_value for each in decided if each.verdict == KEEP and each.candidate_value is not None)
    assert loop.git("show", f"{BRANCH}:value") == f"{best:.0f}"
    assert best < 50
    assert trace(loop.workspace) == before
    sound(loop)


@pytest.mark.heavy
@pytest.mark.xdist_group("slurm")
@pytest.mark.timeout(150)
def test_a_burst_at_slurm_runs_as_many_as_it_was_asked_for(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, runs=100, parallel=1)
    said = lab.done("burst", "sweep", "-n", "12", "--jobs", "6", "--json")
    data = said.data
    assert (data["ran"], data["succeeded"], data["stopped"]) == (12, 12, "")
    assert len(lab.sealed("success")) == 12
    assert sorted(lab.executed()) == sorted(lab.sealed())
    assert lab.settled()


@pytest.mark.heavy
@pytest.mark.xdist_group("slurm")
@pytest.mark.timeout(150)
def test_a_burst_at_slurm_that_is_stopped_leaves_its_runs_and_takes_them_up(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS, runs=100, parallel=1)
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "4", "--jobs", "2"]
    environ = {**os.environ, "LAB_DATA_ROOT": str(lab.root), **cluster.environ}
    burst = subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True)
    lab.until("two run", lambda: len(lab.executed()) == 2)
    burst.send_signal(signal.SIGINT)
    _, err = burst.communicate(timeout=30)
    assert burst.returncode == 130
    assert "2 runs go on at slurm" in err
    out = set(lab.executed())
    (lab.specs / "go").touch()
    said = lab.done("burst", "sweep", "-n", "4", "--jobs", "2", "--resume", "--json")
    assert said.data["stopped"] == ""
    assert out <= set(lab.sealed("success"))
    assert len(lab.sealed("success")) in (4, 5, 6)  # what was sealed before this burst began is none of its four
    assert sorted(lab.executed()) == sorted(lab.sealed())
