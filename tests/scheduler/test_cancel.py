"""Asking a run to end: the word reaches its holder, and whoever asks for what is not there is told what is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.core.errors import BadInput, Busy, NotFound
from lab.core.run import CANCELLED
from lab.scheduler import cycle, refresh
from lab.scheduler.control import cancel
from lab.store import ledger
from lab.testing.files import Crash, CrashingFiles
from tests.scheduler.labs import a_copy, a_lab, an_experiment, dead, ended, foreign, me, one_run, reopened, tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", "b")


def asked(root: Root) -> list[event.Event]:
    found = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    return [each for each in found if each.type == event.CANCEL_ASKED]


@pytest.mark.parametrize("by", ["run", "experiment", "both"])
def test_the_holder_sees_the_word_with_its_reason(root: Root, by: str) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    run_id = running.manifest.run_id
    assert running.lease.cancel_asked(root) is None
    what = {"run": run_id, "experiment": "a", "both": f"a/{run_id}"}[by]
    (done,) = cancel.cancel(root, what, reason="wrong\ndata", actor="ann")
    assert (done.run_id, done.changed, cancel.ended(root, done)) == (run_id, True, "")
    assert running.lease.cancel_asked(root) == "ann: wrong data"
    (told,) = asked(root)
    assert (told.experiment, told.run_id, told.reason, told.actor) == ("a", run_id, "wrong\ndata", "ann")
    cycle.finish(root, running, ended(None, CANCELLED))
    assert cancel.ended(root, done) == "cancelled"
    assert sorted(os.listdir(root.layout.claims("a"))) == ["00000001.released", "section"]


def test_asking_again_before_it_ended_writes_nothing(root: Root) -> None:
    cycle.begin(root, "a", owner=me())
    cancel.cancel(root, "a", reason="x", actor="ann")
    before = tree(root.layout.root)
    assert [each.changed for each in cancel.cancel(root, "a", reason="y", actor="bob")] == [False]
    assert tree(root.layout.root) == before


def test_every_run_of_an_experiment_is_asked_but_no_other(root: Root) -> None:
    an_experiment(root, "many", "max_parallel: 3\n")
    runs = [cycle.begin(root, "many", owner=me()) for _ in range(3)]
    other = cycle.begin(root, "a", owner=me())
    (one,) = cancel.cancel(root, runs[1].manifest.run_id, reason="", actor="ann")
    assert [run.lease.cancel_asked(root) for run in runs] == [None, "ann: no reason was given", None]
    assert one.run_id == runs[1].manifest.run_id
    assert [each.changed for each in cancel.cancel(root, "many", reason="", actor="ann")] == [True, False, True]
    assert other.lease.cancel_asked(root) is None


def test_what_is_over_is_not_asked(root: Root) -> None:
    made = one_run(root, "a", 0.5)
    before = tree(root.layout.root)
    with pytest.raises(BadInput, match="sealed already: success"):
        cancel.cancel(root, made.run.run_id, reason="", actor="ann")
    with pytest.raises(BadInput, match="no run of a is under way"):
        cancel.cancel(root, "a", reason="", actor="ann")
    assert tree(root.layout.root) == before


def test_a_run_whose_holder_died_cannot_hear_it(root: Root) -> None:
    running = cycle.begin(root, "a", owner=dead())
    for what in ("a", running.manifest.run_id):
        with pytest.raises(BadInput, match="holder") as refused:
            cancel.cancel(root, what, reason="", actor="ann")
        assert "watchdog --repair" in refused.value.fix
    assert asked(root) == []


@pytest.mark.parametrize("what", ["c", "..", ".", "", "../x", "a/..", "a/x", "RUN-1", "x" * 500, "a/b/c"])
def test_what_is_no_run_is_refused_and_nothing_is_written(root: Root, what: str) -> None:
    cycle.begin(root, "a", owner=me())
    before = tree(root.layout.root)
    with pytest.raises(BadInput):
        cancel.cancel(root, what, reason="", actor="ann")
    assert tree(root.layout.root) == before


def test_the_nearest_run_is_suggested(root: Root) -> None:
    run_id = cycle.begin(root, "a", owner=me()).manifest.run_id
    for wrong in (run_id[:-1], f"a/{run_id}x"):
        with pytest.raises(NotFound) as refused:
            cancel.cancel(root, wrong, reason="", actor="ann")
        assert refused.value.fix == f"did you mean {run_id}?"


def test_waiting_has_an_end(root: Root) -> None:
    cycle.begin(root, "a", owner=me())
    (done,) = cancel.cancel(root, "a", reason="", actor="ann")
    assert isinstance(cancel.still_running(done, 2.0), Busy)


def test_a_word_stopped_before_any_write_can_be_said_again(tmp_path: Path) -> None:
    lab = a_lab(tmp_path / "lab", "a")
    cycle.begin(lab, "a", owner=me())
    counted = CrashingFiles()
    cancel.cancel(a_copy(lab.layout.root, "dry", counted), "a", reason="x", actor="ann")
    for at in range(1, counted.steps + 1):
        stopped = a_copy(lab.layout.root, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            cancel.cancel(stopped, "a", reason="x", actor="ann")
        after = reopened(stopped)
        cancel.cancel(after, "a", reason="x", actor="ann")
        assert os.path.isfile(after.layout.claim("a", 1, ".cancel"))
        assert len(asked(after)) >= 1  # before its effect
        refresh.lab_pages(after)
        before = tree(after.layout.root)
        refresh.everything(after)
        assert tree(after.layout.root) == before, counted.log[at - 1]
