"""The machine stops in the middle of a candidate: the next run finds out, and finishes once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from random import Random
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import KEEP
from lab.core.run import CRASH, SUCCESS
from lab.scheduler.visit import Request, Visit
from lab.store import bundles
from lab.store.repository.repository import Repository
from lab.testing.files import Crash, CrashingFiles
from tests.scheduler.labs import dead
from tests.scheduler.loop.live import BRANCH, NAME, Live, a_loop, sound, trace

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.run import Run
    from lab.store.root import Root

LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"  # better than whatever came before, wherever it begins
APPLIED = "refs/lab/loop/applied"
BOTH = ["branch", "apply-on-accept"]


def stopped(loop: Live, root: Root) -> bool:
    """A run by somebody who dies in it. Whether it got that far."""
    visit = Visit(
        root, NAME, Request(only=(NAME,), now=True), owner=dead(), tell=lambda _: None, interrupted=lambda: ""
    )  # fmt: skip
    try:
        visit.pay()
    except Crash:
        return True
    return False


def sealed(loop: Live) -> list[Run]:
    """Every run in the order in which they were begun, each sealed exactly once."""
    found = [bundles.load_seal(str(loop.path(run_id))) for run_id in loop.runs()]
    assert all(found)
    seals = sorted((each[0] for each in found if each is not None), key=lambda seal: seal.generation)
    return [seal.run for seal in seals]


def finished(loop: Live, promotion: str) -> None:
    """Nothing is half done, and nothing was done twice."""
    best = loop.state().best
    assert best is not None
    if promotion == "branch":
        assert loop.git("rev-parse", BRANCH) == best.commit
        named = loop.git("log", "--format=%(trailers:key=Lab-Run,valueonly)", "main..lab/loop").split()
        assert named == [run.run_id for run in reversed(sealed(loop)) if run.verdict == KEEP][:-1]
    else:
        assert loop.git("rev-parse", APPLIED) == best.commit
        assert (loop.workspace / "value").read_text() == loop.git("show", f"{best.commit}:value") + "\n"
    sound(loop)


def moments(loop: Live) -> list[int]:
    """Steps at which a candidate may be stopped: all of them once its decision is written, and some before."""
    files = CrashingFiles()
    assert not stopped(loop, loop.reopened(files))
    decided = next(number for number, (_, path) in enumerate(files.log) if path.endswith("decision.json"))
    early = Random(3).sample(range(2, decided), 5)
    return sorted({*early, *range(decided, len(files.log), 4)})


@pytest.mark.parametrize("part", range(6))
def test_a_candidate_that_was_stopped_anywhere_is_finished_once(tmp_path: Path, part: int) -> None:
    promotion = BOTH[part % 2]
    many = {f"lib/{number}": "x\n" for number in range(60)} if part > 2 else {}  # so many that trees become the next
    # One measurement decides: else the first candidate alone makes the tree of what is to be beaten, in more steps.
    spec = f"promotion_strategy: {promotion}\nacceptance_rule: improve\n"
    loop = a_loop(tmp_path, spec=spec, files=many)
    loop.change(LESS)
    for at in moments(loop)[part::6]:
        before = len(loop.runs())
        assert stopped(loop, loop.reopened(CrashingFiles(at=at))), at
        loop.run(root=loop.reopened())
        made = sealed(loop)[before:]
        assert made[-1].outcome == SUCCESS, (at, made[-1])
        for run in made[:-1]:
            decided = loop.path(run.run_id) / "artifacts/decision.json"
            assert run.outcome == (SUCCESS if decided.exists() else CRASH), (at, run)
            assert not decided.exists() or run.verdict == loop.decided(run.run_id).verdict
    loop.run(root=loop.reopened())
    finished(loop, promotion)


@pytest.mark.parametrize("promotion", BOTH)
@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_a_kill_between_two_refs_is_made_good(
    tmp_path: Path, promotion: str, at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = a_loop(tmp_path, spec=f"promotion_strategy: {promotion}\n")
    loop.change(LESS, LESS)
    calls = 0

    def counted(how: str) -> None:
        real = getattr(Repository, how)

        def one(self: Repository, *given: str, **more: str) -> object:
            nonlocal calls
            calls += 1
            if calls >= at:
                raise Crash(how)
            return real(self, *given, **more)

        monkeypatch.setattr(Repository, how, one)

    for how in ("put", "advance", "apply"):
        counted(how)
    assert stopped(loop, loop.reopened())
    monkeypatch.undo()
    before = len(loop.runs())
    loop.run(root=loop.reopened())
    assert len(sealed(loop)) == before + 1
    finished(loop, promotion)


KILLED = """
import sys
from pathlib import Path
from lab.cli.main import main
sys.exit(main(["--data-root", sys.argv[1], "burst", "loop", "-n", "50", "--quiet"]))
"""


def burst(loop: Live) -> subprocess.Popen[bytes]:
    environ = {**os.environ, "LAB_DATA_ROOT": loop.root.layout.root}
    return subprocess.Popen(
        [sys.executable, "-c", KILLED, loop.root.layout.root],
        env=environ, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip


def test_a_lab_that_is_killed_again_and_again_goes_on(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    loop.change(LESS)
    before, rng = trace(loop.workspace), Random(6)
    for _ in range(3):
        known = len(loop.runs())
        with burst(loop) as process:
            while len(loop.runs()) == known:
                assert process.poll() is None
                time.sleep(0.01)
            time.sleep(rng.random() * 0.6)  # not for anything to happen: a kill comes whenever it comes
            os.killpg(process.pid, signal.SIGKILL)
    made = loop.run(root=loop.reopened()).run
    assert made.outcome == SUCCESS
    assert trace(loop.workspace) == before
    finished(loop, "branch")
