"""`labctl replay` of a code loop: the commit of a run is measured once more, and nothing is decided."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import CHECKS_FAILED, CRASHED, DISCARD, KEEP, REPLAYED
from lab.core.errors import BadInput
from lab.core.submission import Submission
from lab.scheduler.dispatch import agent, submit
from lab.scheduler.results import replay
from tests.scheduler.labs import me
from tests.scheduler.loop.live import BEST, NAME, Live, a_loop, sound, trace

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.results.replay import Replayed


def again(loop: Live, run_id: str) -> Replayed:
    return replay.replay(loop.root, run_id, owner=me(), interrupted=lambda: "")


def test_the_commit_of_a_run_is_measured_again_and_nothing_moves(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    baseline = loop.change(":").run_id
    kept = loop.change("echo 40 > value").run_id
    worse = loop.change("echo 60 > value").run_id
    before, best, state = trace(loop.workspace), loop.git("rev-parse", BEST), loop.state()
    (loop.workspace / "value").write_text("7\n")  # the workspace as it is now has no part in it
    for run_id, value, count in ((baseline, 50, 2), (kept, 40, 3), (worse, 60, 1)):
        done = again(loop, run_id)
        assert (done.before.value, done.after.value, done.equal, done.warnings) == (value, value, True, ())
        made = done.after.candidate
        assert made is not None
        assert (made.kind, made.parent, made.values) == (REPLAYED, run_id, (float(value),) * count)
        assert (done.after.verdict, done.after.outcome) == ("", "success")
    (loop.workspace / "value").write_text("50\n")
    assert (trace(loop.workspace), loop.git("rev-parse", BEST), loop.state()) == (before, best, state)
    view = loop.view()
    assert view.best is not None
    assert (view.best.run_id, view.runs) == (kept, 6)
    sound(loop)
    assert loop.change("echo 30 > value").verdict == KEEP


def test_what_an_agent_sent_is_measured_again_too(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    held, _ = agent.next_package(loop.root, agent.WORKER, only=(NAME,), now=True)
    assert held is not None
    given = Submission(dispatch_id=held.place.dispatch_id, changes={"value": "40\n"})
    assert submit.submit(loop.root, agent.WORKER, given, interrupted=lambda: "").ruling.verdict == KEEP
    done = again(loop, held.manifest.run_id)
    assert (done.equal, done.after.value, done.warnings) == (True, 40, ())


def test_a_crash_crashes_again_and_what_was_refused_is_not_run(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    crash = loop.change(":", "echo nothing > value")
    assert crash.verdict == CRASHED
    assert again(loop, crash.run_id).after.outcome == "failed"
    wrong = loop.change("echo 'touch ran; echo METRIC cost=0' > measure.sh")
    assert wrong.verdict == CHECKS_FAILED
    done = again(loop, wrong.run_id)
    assert done.after.outcome == "failed"
    assert "may not" in done.after.reason
    assert loop.steps(done.after.run_id) == []
    assert loop.view().failure_streak == 2  # the two candidates: a replay stops no loop


def test_a_run_that_changed_nothing_has_nothing_to_measure(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    empty = loop.change(":", ":")
    assert empty.verdict == DISCARD
    runs = loop.runs()
    with pytest.raises(BadInput, match="nothing was changed"):
        again(loop, empty.run_id)
    assert loop.runs() == runs
