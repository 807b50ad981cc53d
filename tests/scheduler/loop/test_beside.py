"""Two candidates at once, a holder that was superseded, and what a candidate costs on the disk."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import DISCARD, KEEP
from lab.core.errors import Superseded
from lab.scheduler import cycle, reclaim, refresh
from lab.scheduler.loop import overtaken as overtaken_by
from lab.scheduler.loop.grounds import Grounds
from lab.store import bundles, leases
from tests.scheduler.labs import me
from tests.scheduler.loop.live import BRANCH, NAME, Live, a_loop, git, save, sound, trace

if TYPE_CHECKING:
    from lab.core.decided import Decided
    from lab.core.run import Run
    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.root import Root

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


def overtaken(tmp_path: Path, slow: str) -> tuple[Live, Decided]:
    """A loop in which a change to 20 was kept while this one was made; what was decided of this one."""
    loop = a_loop(tmp_path, spec="max_parallel: 2\npromotion_strategy: branch\n")
    loop.change(":")
    began, go = marks(tmp_path)
    loop.edit("writable_paths", f"[{began.parent}]")
    loop.propose(f"touch {began}; while [ ! -e {go} ]; do sleep 0.02; done; {slow}", "echo 20 > value")
    made: list[str] = []
    worker = threading.Thread(target=lambda: made.append(loop.run(root=loop.reopened()).run.run_id))
    worker.start()
    until(began)
    quick = loop.run(root=loop.reopened()).run
    go.touch()
    worker.join()
    assert (quick.verdict, quick.value) == (KEEP, 20)
    return loop, loop.decided(made[0])


def test_a_candidate_that_was_overtaken_by_a_better_one_is_not_kept_and_is_not_lost(tmp_path: Path) -> None:
    loop, late = overtaken(tmp_path, "echo 30 > value")
    assert (late.verdict, late.candidate_value, late.previous_best_value) == (DISCARD, 30, 20)
    assert late.reason == "it is no better"
    assert loop.git("show", f"refs/lab/loop/{late.run_id}:value") == "30"
    assert loop.git("show", f"{BRANCH}:value") == "20"
    sound(loop)


def test_a_candidate_that_was_overtaken_by_a_worse_one_is_compared_with_it_and_kept(tmp_path: Path) -> None:
    loop, late = overtaken(tmp_path, "echo 10 > value")
    assert (late.verdict, late.candidate_value, late.previous_best_value) == (KEEP, 10, 20)
    assert late.candidate.gain == 10
    assert "was kept meanwhile" in loop.page(late.run_id)
    assert loop.git("show", f"{BRANCH}:value", f"{BRANCH}~1:value") == "10\n20"
    sound(loop)


def test_what_overtook_it_need_not_be_sealed_yet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = refresh.current
    views: list[View] = []

    def of_before(root: Root, name: str) -> tuple[View, Loaded]:
        view, loaded = now(root, name)
        views.append(view)
        return views[0], loaded

    monkeypatch.setattr(overtaken_by, "refresh", SimpleNamespace(current=of_before))
    loop = a_loop(tmp_path, spec="max_parallel: 2\n")
    loop.change(":", LESS)
    views.append(loop.view())
    loop.change(LESS, "echo 99 > value", LESS)
    running = cycle.begin(loop.root, NAME, owner=me())
    grounds = Grounds(loop.root, running, views[0], path=running.path)
    known = overtaken_by.known(grounds)
    best, old = loop.state().best, views[0].tiers["default"].loop
    assert known is not None
    assert old is not None
    assert known.best == best != old.best
    assert known.kept == 3


def test_a_change_that_nobody_could_judge_was_not_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overtaken_by, "known", lambda _: None)
    loop, late = overtaken(tmp_path, "echo 10 > value")
    assert (late.verdict, late.candidate_value) == (DISCARD, 10)
    assert "kept meanwhile" in late.reason
    again = loop.change("echo 10 > value")
    assert (again.verdict, again.candidate_value) == (KEEP, 10)
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
