"""Two candidates at once, a holder that was superseded, and what a candidate costs on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import DISCARD, KEEP
from lab.core.errors import Superseded
from lab.scheduler import reclaim
from lab.store import bundles, leases
from tests.scheduler.loop.live import BRANCH, NAME, Live, a_loop, git, save, sound, trace

if TYPE_CHECKING:
    from lab.core.run import Run

LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"
_MB = 1 << 20


def until(there: Path) -> None:
    while not there.exists():
        time.sleep(0.01)


def marks(tmp_path: Path) -> tuple[Path, Path]:
    """What the change that is under way makes, and what it waits for; in a folder that it may write to."""
    (tmp_path / "marks").mkdir()
    return tmp_path / "marks/began", tmp_path / "marks/go"


def runs(loop: Live) -> list[Run]:
    found = [bundles.load_seal(str(loop.path(run_id))) for run_id in loop.runs()]
    return [each[0].run for each in found if each is not None]


def test_a_candidate_that_was_overtaken_is_not_kept_and_is_not_lost(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="max_parallel: 2\npromotion_strategy: branch\n")
    loop.change(":")
    began, go = marks(tmp_path)
    loop.edit("writable_paths", f"[{began.parent}]")
    loop.propose(f"touch {began}; while [ ! -e {go} ]; do sleep 0.02; done; echo 30 > value", "echo 20 > value")
    slow: list[str] = []
    worker = threading.Thread(target=lambda: slow.append(loop.run(root=loop.reopened()).run.run_id))
    worker.start()
    until(began)
    quick = loop.run(root=loop.reopened()).run
    go.touch()
    worker.join()
    late = loop.decided(slow[0])
    assert (quick.verdict, quick.value) == (KEEP, 20)
    assert (late.verdict, late.candidate_value) == (DISCARD, 30)
    assert "kept meanwhile" in late.reason
    assert loop.git("show", f"refs/lab/loop/{late.run_id}:value") == "30"
    assert loop.git("show", f"{BRANCH}:value") == "20"
    sound(loop)


def test_a_baseline_that_comes_second_moves_nothing_back(tmp_path: Path) -> None:
    began, go = marks(tmp_path)
    wait = f"if mkdir {began} 2>/dev/null; then while [ ! -e {go} ]; do sleep 0.02; done; fi\n"
    spec = f"max_parallel: 2\npromotion_strategy: branch\nwritable_paths: [{began.parent}]\n"
    loop = a_loop(tmp_path, spec=spec, files={"measure.sh": f'{wait}echo "METRIC cost=$(cat value)"\n'})
    loop.propose(":")
    slow: list[str] = []
    worker = threading.Thread(target=lambda: slow.append(loop.run(root=loop.reopened()).run.run_id))
    worker.start()
    until(began)
    first, kept = loop.change(":"), loop.change("echo 20 > value")
    go.touch()
    worker.join()
    late = loop.decided(slow[0])
    assert (first.verdict, kept.verdict, late.verdict) == (KEEP, KEEP, DISCARD)
    assert "another baseline was measured meanwhile" in late.reason
    best, base = loop.state().best, loop.state().base
    assert best is not None
    assert base is not None
    assert (base.run_id, best.run_id) == (first.run_id, kept.run_id)
    assert loop.git("show", f"{BRANCH}:value") == "20"
    sound(loop)


def test_two_processes_keep_one_line_and_lose_nothing(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="max_parallel: 2\npromotion_strategy: branch\nmax_iterations_total: 9\n")
    loop.change(LESS)
    before = trace(loop.workspace)
    text = "import sys; from lab.cli.main import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", text, "--data-root", loop.root.layout.root, "burst", NAME, "-n", "4", "--quiet"]
    both = [subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for _ in range(2)]
    for each in both:
        each.wait()
    made = runs(loop)
    assert len(made) == len(loop.runs()) == 9
    kept = [run for run in made if run.verdict == KEEP and run.candidate and run.candidate.kind != "baseline"]
    named = loop.git("log", "--format=%(trailers:key=Lab-Run,valueonly)", "main..lab/loop").split()
    assert sorted(named) == sorted(run.run_id for run in kept)
    assert all(loop.git("rev-parse", f"refs/lab/loop/{run.run_id}") for run in made)
    assert trace(loop.workspace) == before
    sound(loop)


def test_a_holder_that_was_superseded_moves_nothing_and_seals_nothing(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    loop.change(LESS)
    began, go = marks(tmp_path)
    loop.edit("writable_paths", f"[{began.parent}]")
    loop.propose(f"touch {began}; while [ ! -e {go} ]; do sleep 0.02; done; " + LESS, LESS)
    best = loop.state().best
    assert best is not None
    told: list[BaseException] = []

    def holder() -> None:
        try:
            loop.run(root=loop.reopened())
        except Superseded as lost:
            told.append(lost)

    worker = threading.Thread(target=holder)
    worker.start()
    until(began)
    with loop.root.section(NAME):
        (held,) = leases.survey(loop.root, NAME).held
        leases.supersede(loop.root, NAME, held.seen.claim.generation)
    go.touch()
    worker.join()
    assert told
    assert loop.git("rev-parse", BRANCH) == best.commit
    reclaim.reclaim(loop.root, NAME)
    assert loop.change(LESS).verdict == KEEP
    sound(loop)


def bytes_of(folder: Path) -> int:
    """What a folder takes on the disk."""
    return sum(
        os.lstat(f"{place}/{name}").st_blocks * 512 for place, _, names in os.walk(folder) for name in names
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["git-worktree", "git-clone", "copy"])
def test_a_workspace_of_20_mb_costs_less_than_1_mb_a_run(tmp_path: Path, mode: str) -> None:
    loop = a_loop(tmp_path, spec=f"workspace_mode: {mode}\n")
    (loop.workspace / "data").mkdir()
    for number in range(20):
        (loop.workspace / f"data/{number}.bin").write_bytes(Random(number).randbytes(_MB))
    save(loop.workspace)
    loop.change(LESS, LESS)
    places = (Path(loop.root.layout.experiment(NAME)), loop.workspace / ".git")
    before = sum(map(bytes_of, places))
    loop.change(LESS, "echo 99 > value", LESS)
    assert sum(map(bytes_of, places)) - before < 3 * _MB
    assert bytes_of(Path(loop.root.layout.place("scratch"))) < 70 * _MB
    assert git(loop.workspace, "status", "--porcelain") == ""
