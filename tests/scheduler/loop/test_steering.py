"""What a person says to the proposers: once, in order, never lost, and only to those who can hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.core.candidate import IMPROVE, REPLAYED, Candidate
from lab.core.ended import Ended
from lab.core.errors import BadInput, NotFound
from lab.core.run import CANCELLED
from lab.scheduler import cycle, refresh
from lab.scheduler.control import steering
from lab.store import ledger
from tests.scheduler.labs import an_experiment, me, reopened, tree
from tests.scheduler.loop.loops import a_baseline, a_candidate, a_loop

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_loop(tmp_path)


def said(root: Root) -> tuple[str, int | None] | None:
    now = steering.shown(root, "speed-up").steering
    return (now.text, now.left) if now else None


def steer(root: Root, words: str, candidates: int | None = None) -> steering.Steered:
    return steering.steer(root, "speed-up", words, candidates=candidates, actor="ann")


def test_words_hold_until_they_are_changed_or_taken_back(root: Root) -> None:
    assert said(root) is None
    made = steer(root, "  leave the data alone ")
    assert (made.changed, said(root)) == (True, ("leave the data alone", None))
    a_candidate(root)
    assert said(root) == ("leave the data alone", None)
    assert not steer(root, "leave the data alone").changed
    steer(root, "go for speed", 3)
    assert said(root) == ("go for speed", 3)
    assert steering.take_back(root, "speed-up", actor="ann").changed
    assert said(root) is None
    assert not steering.take_back(root, "speed-up", actor="ann").changed


def test_words_for_so_many_candidates_are_said_to_so_many(root: Root) -> None:
    steer(root, "go for speed", 2)
    a_baseline(root)
    a_candidate(root, "", ended=Ended(outcome=CANCELLED, reason="ann: stop"))
    a_candidate(root, kind=REPLAYED)
    assert said(root) == ("go for speed", 2)
    a_candidate(root)
    assert said(root) == ("go for speed", 1)
    a_candidate(root, "crash", crash="other")
    assert said(root) is None


def test_a_candidate_that_had_begun_before_does_not_count(root: Root) -> None:
    running = cycle.begin(root, "speed-up", owner=me())
    steer(root, "go for speed", 1)
    cycle.finish(root, running, Ended(outcome="success", value=1.0, verdict="keep", candidate=Candidate(kind=IMPROVE)))
    assert said(root) == ("go for speed", 1)


def test_every_word_that_was_said_stays_in_the_ledger(root: Root) -> None:
    for words in ("one", "two"):
        steer(root, words)
    steering.take_back(root, "speed-up", actor="bob")
    lines = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    found = [(line.reason, line.actor) for line in lines if line.type == event.LOOP_STEERED]
    assert found == [("one", "ann"), ("two", "ann"), ("", "bob")]


def test_what_holds_comes_back_when_every_page_is_written_again(root: Root) -> None:
    a_baseline(root)
    steer(root, "go for speed", 3)
    a_candidate(root)
    before = tree(root.layout.root)
    root.files.discard(root.layout.status("speed-up"))
    refresh.everything(reopened(root))
    assert tree(root.layout.root) == before
    assert said(root) == ("go for speed", 2)


@pytest.mark.parametrize(
    ("words", "candidates", "what"),
    [
        (" \n", None, "there are no words"),
        ("x" * 2_001, None, "2,001 characters are too many"),
        ("x", 0, "0 is no number of candidates"),
        ("x", -1, "no number of candidates"),
    ],
)
def test_what_cannot_be_said_is_refused_before_anything_is_written(
    root: Root, words: str, candidates: int | None, what: str
) -> None:
    before = tree(root.layout.root)
    with pytest.raises(BadInput) as refused:
        steer(root, words, candidates)
    assert what in refused.value.what
    assert refused.value.fix
    assert tree(root.layout.root) == before


def test_nobody_is_steered_who_would_not_read_it(root: Root) -> None:
    an_experiment(root, "sweep")
    with pytest.raises(BadInput, match="sweep is no code loop"):
        steering.steer(root, "sweep", "x", candidates=None, actor="ann")
    with pytest.raises(NotFound):
        steering.steer(root, "spede-up", "x", candidates=None, actor="ann")


def test_a_number_of_candidates_is_read_as_a_person_writes_it() -> None:
    assert [steering.count(each) for each in ("", "until changed", " 3 ")] == [None, None, 3]
    for wrong in ("ever", "-1", "1.5", "٣x"):
        with pytest.raises(BadInput):
            steering.count(wrong)
