"""Where the next candidate begins."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st

from lab.core.candidate import BASELINE, COMBINE, CRASHED, DEBUG, DISCARD, DRAFT, IMPROVE, KEEP
from lab.core.frontier import PIVOT, REPAIRS, TURN, Start, choose
from lab.core.loop import Loop
from tests.core.loops import after, baseline, loops, tried

if TYPE_CHECKING:
    from lab.core.run import Run

BEGUN = after(baseline(10, 10))


def kinds(state: Loop, draws: int = 400) -> Counter[str]:
    return Counter(choose(state, Random(seed)).kind for seed in range(draws))


def test_before_anything_the_code_is_measured_as_it_is() -> None:
    assert choose(None, Random(1)).kind == BASELINE
    assert choose(Loop(), Random(1)).kind == BASELINE


def test_mostly_the_best_is_improved() -> None:
    assert kinds(BEGUN) == {IMPROVE: 400}
    state = after(tried(1, KEEP, 9.0), tried(2, DISCARD, 8.9, gain=0.1), tried(3, DISCARD, 8.9, gain=0.1), loop=BEGUN)
    found = kinds(state)
    assert found[IMPROVE] > 250
    assert set(found) == {IMPROVE, COMBINE, DRAFT}
    improving = [each for seed in range(50) if (each := choose(state, Random(seed))).kind == IMPROVE]
    assert all(each.parent is not None and each.parent.run_id == "RUN-000001" for each in improving)


def test_two_near_misses_are_combined() -> None:
    state = after(tried(1, DISCARD, 9.9, gain=0.1), tried(2, DISCARD, 9.8, gain=0.2), loop=BEGUN)
    found = next(each for seed in range(400) if (each := choose(state, Random(seed))).kind == COMBINE)
    assert found.parent is not None
    assert found.other is not None
    assert {found.parent.run_id, found.other.run_id} == {"RUN-000001", "RUN-000002"}


def test_a_crash_is_repaired_a_few_times_and_then_left() -> None:
    state = after(tried(1, CRASHED, crash="syntax"), loop=BEGUN)
    assert 120 < kinds(state)[DEBUG] < 280
    found = next(each for seed in range(99) if (each := choose(state, Random(seed))).kind == DEBUG)
    assert found.parent is not None
    assert "syntax" in found.words
    for number in range(REPAIRS):
        state = after(tried(2 + number, DISCARD, 11.0, kind=DEBUG, parent="RUN-000001", gain=-1.0), loop=state)
    assert DEBUG not in kinds(state)


def test_the_longer_nothing_is_kept_the_more_is_changed() -> None:
    state = after(tried(1, KEEP, 9.0), loop=BEGUN)
    for number in range(PIVOT):
        words = choose(state, Random(1)).words
        assert ("change direction" in words) == (number >= TURN)
        state = after(tried(2 + number, DISCARD, 11.0, gain=-2.0), loop=state)
    found = choose(state, Random(1))
    assert found.words.startswith("begin elsewhere")
    assert (found.kind, found.parent) == (DRAFT, state.base)  # the only other place there is
    state = after(tried(2 + PIVOT, DISCARD, 11.0, gain=-2.0), loop=state)
    assert choose(state, Random(1)).parent == state.best  # one candidate elsewhere, and back


@given(loops(), st.integers())
def test_the_same_luck_chooses_the_same_start_and_every_start_has_a_commit(runs: list[Run], seed: int) -> None:
    state = after(*runs, loop=BEGUN)
    found = choose(state, Random(seed))
    assert found == choose(state, Random(seed))
    assert isinstance(found, Start)
    assert found.parent is not None
    assert found.parent.commit
    assert found.words
    assert (found.other is not None) == (found.kind == COMBINE)
