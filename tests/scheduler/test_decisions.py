"""What a person decides is in the ledger first, then on the pages, and holds until somebody decides otherwise."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.core.errors import BadInput, NotFound
from lab.core.run import FAILED
from lab.scheduler import decisions, refresh
from lab.store import ledger
from lab.testing.files import Crash, CrashingFiles
from tests.scheduler.labs import a_lab, identities, one_run, reopened, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", "b")


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def last(root: Root) -> event.Event:
    line = list(ledger.entries(root))[-1].line
    assert line is not None
    return line.event


def test_a_decision_says_who_when_and_why(root: Root) -> None:
    decided = decisions.pause(root, "a", reason="too hot", actor="ann")
    assert (decided.phase, decided.changed) == ("paused", True)
    told = last(root)
    assert (told.type, told.phase, told.reason, told.actor) == (event.PHASE_CHANGED, "paused", "too hot", "ann")
    assert (view(root).phase, view(root).phase_reason, view(root).phase_since) == ("paused", "too hot", told.ts)
    assert view(root, "b").phase == "queued"


def test_deciding_what_is_so_already_writes_nothing(root: Root) -> None:
    decisions.pause(root, "a", reason="x", actor="ann")
    before = identities(root.layout.root)
    assert decisions.pause(root, "a", reason="y", actor="bob").changed is False
    assert decisions.set_tier(root, "a", "proxy", reason="", actor="bob").changed is False
    assert decisions.resume(root, "b", reason="", actor="bob").changed is False
    assert identities(root.layout.root) == before


def test_resuming_forgives_the_failures_before(root: Root) -> None:
    for _ in range(4):
        one_run(root, "a", None, FAILED)
    assert view(root).failure_streak == 4
    decisions.pause(root, "a", reason="", actor="ann")
    decisions.resume(root, "a", reason="", actor="ann")
    assert (view(root).failure_streak, view(root).phase) == (0, "active")
    one_run(root, "a", None, FAILED)
    assert (view(root).failure_streak, view(root).phase) == (1, "active")


def test_resuming_an_experiment_that_was_not_paused_yet_forgives_its_failures_too(root: Root) -> None:
    for _ in range(4):
        one_run(root, "a", None, FAILED)
    decisions.resume(root, "a", reason="the disk was full, mended", actor="ann")
    assert view(root).failure_streak == 0


def test_a_tier_set_by_hand_stays(root: Root) -> None:
    decisions.set_tier(root, "a", "final", reason="", actor="ann")
    one_run(root, "a", 0.5)
    refresh.everything(root)
    assert view(root).tier == "final"
    decisions.set_tier(root, "a", "proxy", reason="", actor="ann")
    refresh.everything(root)
    assert view(root).tier == "proxy"


def test_what_was_made_by_mistake_and_never_ran_can_be_archived_as_it_is(root: Root) -> None:
    assert decisions.archive(root, "a", reason="", actor="ann").phase == "archived"
    assert decisions.restore(root, "a", reason="", actor="ann").phase == "paused"


def test_only_what_is_over_can_be_archived_and_it_comes_back_paused(root: Root) -> None:
    one_run(root, "a", 0.5)
    with pytest.raises(BadInput, match="only what is completed or paused"):
        decisions.archive(root, "a", reason="", actor="ann")
    decisions.complete(root, "a", reason="", actor="ann")
    with pytest.raises(BadInput, match="a is completed"):
        decisions.pause(root, "a", reason="", actor="ann")
    decisions.archive(root, "a", reason="", actor="ann")
    for refused in (decisions.pause, decisions.resume, decisions.complete):
        with pytest.raises(BadInput, match="a is archived"):
            refused(root, "a", reason="", actor="ann")
    assert decisions.restore(root, "a", reason="", actor="ann").phase == "paused"
    with pytest.raises(BadInput, match="not archived"):
        decisions.restore(root, "a", reason="", actor="ann")


def test_what_was_completed_can_be_opened_again(root: Root) -> None:
    decisions.complete(root, "a", reason="", actor="ann")
    assert decisions.resume(root, "a", reason="", actor="ann").phase == "queued"


@pytest.mark.parametrize("name", ["c", "../a", "a/../b", "", ".", "A" * 65])
def test_an_experiment_that_is_not_there_is_refused_and_nothing_is_written(root: Root, name: str) -> None:
    before = tree(root.layout.root)
    for decide in (decisions.pause, decisions.resume, decisions.complete, decisions.archive, decisions.restore):
        with pytest.raises(BadInput):
            decide(root, name, reason="", actor="ann")
    with pytest.raises(BadInput):
        decisions.set_tier(root, name, "final", reason="", actor="ann")
    assert tree(root.layout.root) == before


def test_the_nearest_name_is_suggested(root: Root) -> None:
    with pytest.raises(NotFound) as refused:
        decisions.pause(root, "A", reason="", actor="ann")
    assert refused.value.fix


def test_a_tier_that_the_spec_does_not_know_is_refused(root: Root) -> None:
    before = tree(root.layout.root)
    with pytest.raises(BadInput, match="has no tier gold") as refused:
        decisions.set_tier(root, "a", "gold", reason="", actor="ann")
    assert "proxy, final" in refused.value.fix
    assert tree(root.layout.root) == before


def test_an_experiment_whose_spec_is_broken_can_still_be_paused(root: Root) -> None:
    write(root.layout.spec("a"), b"id: [")
    assert decisions.pause(root, "a", reason="", actor="ann").phase == "paused"
    with pytest.raises(BadInput):
        decisions.set_tier(root, "a", "final", reason="", actor="ann")


def test_a_decision_that_was_recorded_holds_wherever_the_machine_stopped_afterwards(tmp_path: Path) -> None:
    counted = CrashingFiles()
    lab = a_lab(tmp_path / "dry", "a")
    decisions.pause(reopened(lab, counted), "a", reason="x", actor="ann")
    for at in range(1, counted.steps + 1):
        lab = a_lab(tmp_path / str(at), "a")
        with pytest.raises(Crash):
            decisions.pause(reopened(lab, CrashingFiles(at=at)), "a", reason="x", actor="ann")
        recorded = last(lab).type == event.PHASE_CHANGED
        assert (view(lab).phase == "paused") is recorded, at
        decisions.pause(lab, "a", reason="x", actor="ann")
        refresh.lab_pages(lab)
        before = tree(lab.layout.root)
        refresh.everything(lab)
        assert tree(lab.layout.root) == before, at
