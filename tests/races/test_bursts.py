"""Bursts beside each other and bursts that are killed: one history, nothing twice, nothing lost."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.scheduler.search.plan import Search
from tests.cli.labs import SHIM, process
from tests.cli.test_burst import a_sweep, held, lines, place_of
from tests.crash.aftermath import SEED

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
STRATEGY = "strategy: perturb\n"


def started(root: Root, *words: str) -> subprocess.Popen[str]:
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "burst", "sweep", *words]
    return subprocess.Popen(
        command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def counted(root: Root) -> list[tuple[int, str]]:
    """The trials that a search learns from: number and parameters."""
    book = Search(root, "sweep").book
    book.catch_up()
    lines_ = [line for line in book.ended if book.counts(line)]
    return [(line.source.number, json.dumps(line.params, sort_keys=True)) for line in lines_]


def successes(root: Root) -> int:
    """The runs that ended by themselves, as far as the table says."""
    path = Path(root.layout.page("sweep", "metrics.jsonl"))
    return path.read_text().count('"outcome":"success"') if path.exists() else 0


def test_two_bursts_share_one_history_and_never_run_the_same(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", f"{STRATEGY}max_parallel: 2\n")
    bursts = [started(root, "-n", "12") for _ in range(2)]
    for burst in bursts:
        out, err = burst.communicate(timeout=60)
        assert burst.returncode == 0, (out, err)
    assert sorted(place_of(line) for line in lines(root)) == list(range(24))
    assert len({params for _, params in counted(root)}) == 24
    assert held(root) == []
    assert process("verify", root=root.layout.root).code == 0


def test_where_one_run_at_a_time_is_allowed_the_other_burst_waits(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", STRATEGY)
    bursts = [started(root, "-n", "6") for _ in range(2)]
    for burst in bursts:
        out, err = burst.communicate(timeout=60)
        assert burst.returncode == 0, (out, err)
        assert "6 runs" in out
    assert [place_of(line) for line in lines(root)] == list(range(12))


def test_a_burst_killed_at_any_point_and_resumed_proposes_what_an_unbroken_one_would(tmp_path: Path) -> None:
    unbroken = a_sweep(tmp_path / "whole", STRATEGY)
    assert process("burst", "sweep", "-n", "24", root=unbroken.layout.root).code == 0
    broken = a_sweep(tmp_path / "broken", STRATEGY)
    rng = random.Random(SEED)
    kills = 0
    while len(counted(broken)) < 24:
        burst = started(broken, "-n", "24", "--resume")
        wanted = successes(broken) + 1
        # Let one run end first: on a slow machine the same trial would be killed three times over, and then it is
        # taken for one that brings the lab down.
        while burst.poll() is None and successes(broken) < wanted:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.05)
        if kills < 6 and burst.poll() is None:
            os.killpg(burst.pid, signal.SIGKILL)
            kills += 1
        burst.communicate(timeout=60)
    assert kills >= 4
    told = f"LABCTL_SWEEP_SEED={SEED}"
    assert sorted(counted(broken)) == sorted(counted(unbroken)), told
    assert process("verify", root=broken.layout.root).code == 0


def test_a_worker_that_is_killed_is_told_and_its_trial_made_by_another(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", STRATEGY, program="executor_command: sh -c 'sleep 0.3; echo METRIC loss=1'\n")
    burst = started(root, "-n", "8", "-j", "2")
    while not held(root):
        assert burst.poll() is None
        time.sleep(0.01)
    claim = json.loads((tmp_path / "lab" / "registry" / "locks" / "sweep" / held(root)[0]).read_text())
    os.kill(claim["owner"]["pid"], signal.SIGKILL)
    out, err = burst.communicate(timeout=60)
    assert "a worker failed" in out, (out, err)
    assert burst.returncode == 0
    numbers = [number for number, _ in counted(root)]
    assert len(numbers) == len(set(numbers)) >= 7
    assert held(root) == []


def test_workers_of_a_burst_that_was_killed_finish_their_runs_and_no_more(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", STRATEGY, program="executor_command: sh -c 'sleep 0.4; echo METRIC loss=1'\n")
    burst = started(root, "-n", "30", "-j", "2")
    while len(held(root)) < 2:
        assert burst.poll() is None
        time.sleep(0.01)
    burst.kill()
    burst.communicate(timeout=20)
    until_s = time.monotonic() + 20
    while held(root):
        assert time.monotonic() < until_s
        time.sleep(0.02)
    assert len(lines(root)) <= 4
    assert all(line["outcome"] == "success" for line in lines(root))


def test_several_jobs_use_up_a_small_space_and_then_it_is_complete(tmp_path: Path) -> None:
    more = "strategy: random\nfidelity_promotion_rule: asha\nreduction_factor: 2\nunstopped_share: 0\n"
    space = "search_space: {x: {choices: [1, 2, 3, 4]}, n: {value: 4}}\n"
    root = a_sweep(tmp_path / "lab", more, space=space)
    burst = started(root, "-n", "20", "-j", "3")
    out, err = burst.communicate(timeout=60)
    assert burst.returncode == 0, (out, err)
    tiers = [line["tier"] for line in lines(root)]
    assert tiers.count("proxy") == 4
    assert tiers.count("final") in (
        2,
        3,
    )  # whatever was among the best half at its end goes up
    assert "every point of the search space was tried" in out
