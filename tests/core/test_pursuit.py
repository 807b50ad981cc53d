"""What is known of a research project without a look at its runs."""

from __future__ import annotations

import pytest

from lab.core import event, pursuit
from lab.core.event import Event
from lab.core.view import ACTIVE, AWAITING, PAUSED, QUEUED, Pursuit


def after(*events: Event) -> Pursuit | None:
    known = None
    for each in events:
        known = pursuit.after(known, each, 7)
    return known


def moved(phase: str, actor: str = "ann", **facts: str) -> Event:
    return Event(type=event.PHASE_CHANGED, ts="1", experiment="a", phase=phase, actor=actor, facts=dict(facts))


ASKED = moved(AWAITING, "policy", gate="writing", inputs="d1")


def test_an_experiment_that_pursues_nothing_has_nothing_of_it() -> None:
    assert after(moved(AWAITING, "policy"), moved(QUEUED), moved(PAUSED)) is None


@pytest.mark.parametrize("phase", [QUEUED, ACTIVE])
def test_a_person_who_opens_it_lets_pass_what_was_asked(phase: str) -> None:
    known = after(ASKED, moved(phase))
    assert known is not None
    assert (known.passed, known.asked) == (("d1",), "")


def test_neither_the_policy_nor_a_pause_lets_anything_pass() -> None:
    for word in (moved(QUEUED, "policy"), moved(PAUSED)):
        known = after(ASKED, word)
        assert known is not None
        assert known.passed == ()


def test_a_release_is_waited_for_until_it_is_approved_or_somebody_moves_on() -> None:
    asked = moved(AWAITING, "policy", release="h1")
    approved = Event(type=event.RELEASE_APPROVED, ts="1", experiment="a", name="h1")
    for events, waits in (((asked,), "h1"), ((asked, approved), ""), ((asked, moved(QUEUED)), ""), ((ASKED,), "")):
        known = after(*events)
        assert known is not None
        assert known.unapproved == waits


def test_a_word_for_a_release_ends_with_the_next_list_or_with_another_word() -> None:
    asked, again = (moved(AWAITING, "policy", release=name) for name in ("h1", "h2"))
    word = Event(type=event.RELEASE_APPROVED, ts="1", experiment="a", name="h1")
    back = Event(type=event.RELEASE_WITHDRAWN, ts="1", experiment="a", name="h1")
    for events, released, waits in (
        ((asked, word, again), (), "h2"),
        ((asked, word, asked), ("h1",), ""),
        ((asked, word, again, word), ("h1",), ""),
        ((asked, word, back), (), "h1"),
        ((word, back), (), ""),
        ((word, ASKED), ("h1",), ""),
    ):
        known = after(*events)
        assert known is not None
        assert (known.released, known.unapproved) == (released, waits), events


def test_a_question_that_another_one_took_the_place_of_is_not_answered() -> None:
    known = after(ASKED, moved(AWAITING, "policy"), moved(QUEUED))
    assert known is not None
    assert known.passed == ()


def test_the_newest_of_each_is_kept_and_the_number_is_bounded() -> None:
    kinds = (event.HYPOTHESIS_REGISTERED, event.RELEASE_APPROVED)
    told = [Event(type=kind, ts="1", experiment="a", name=f"n{number}") for number in range(999) for kind in kinds]
    known = after(*told, *(each for number in range(99) for each in (gate(number), moved(QUEUED))))
    assert known is not None
    assert (known.registered[-1], known.released[-1], known.passed[-1]) == ("n998 ", "n998", "d98")
    assert max(map(len, (known.registered, known.released, known.passed))) <= 256


def gate(number: int) -> Event:
    return moved(AWAITING, "policy", gate="writing", inputs=f"d{number}")


def steered(text: str, **facts: str | int) -> Event:
    return Event(type=event.RESEARCH_STEERED, ts="1", experiment="a", actor="ann", reason=text, facts=dict(facts))


def test_words_take_no_ruling_back_and_a_ruling_no_words() -> None:
    ruling, words = steered("once more", ruled="refine", claimed=9), steered("mind the units", claimed=9)
    for told in ((ruling, words), (words, ruling)):
        known = after(*told)
        assert known is not None
        assert known.said is not None
        assert known.ruling is not None
        assert (known.said.text, known.said.ruled) == ("mind the units", "")
        assert (known.ruling.text, known.ruling.ruled) == ("once more", "refine")


@pytest.mark.parametrize(("claimed", "newest"), [(9, 9), (3, 7), ("9", 7), (None, 7)])
def test_what_was_said_was_said_after_every_run_that_was_sealed_or_claimed_by_then(
    claimed: str | int | None, newest: int
) -> None:
    known = after(steered("mind the units", **({} if claimed is None else {"claimed": claimed})))
    assert known is not None
    assert known.said is not None
    assert known.said.after == newest
