"""An axis of time: it never runs backwards, its ticks are on round moments, and what is cut out takes no room."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from lab.projections.drawing import clock

ZERO = 1_767_323_045.0  # 2026-01-02 03:04:05


@for_all(
    st.floats(0, 1e11),
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=8),
    st.lists(st.floats(-0.5, 1.5), max_size=20),
    st.sampled_from([ZERO, 0.0, clock.FIRST_S, clock.LAST_S]),
)
def test_later_is_never_further_to_the_left(
    length: float, gaps: list[tuple[float, float]], moments: list[float], zero: float
) -> None:
    cuts, reached = [], 0.0
    for skip, share in sorted(gaps):
        start = reached + skip * (length - reached) / 4
        cuts.append((start, share * (length - start) / 2))
        reached = start + cuts[-1][1]
    made = clock.axis(zero, length, cuts, 100, 900)

    places = [made.at(moment * length) for moment in sorted(moments)]
    assert places == sorted(places)
    assert all(100 <= place <= 900.001 for place in places)
    ticks = made.ticks()
    assert all(100 <= tick.x <= 900.001 for tick in ticks)
    assert all(after.x - before.x >= 58 for before, after in pairwise(ticks))


@pytest.mark.parametrize(
    ("length", "first"),
    [(40, ("03:04:10", "2 Jan")), (7_200, ("03:10", "2 Jan")), (86_400, ("04:00", "2 Jan")),
     (20 * 86_400, ("5 Jan", "2026"))],
)  # fmt: skip
def test_ticks_stand_on_round_moments(length: float, first: tuple[str, str]) -> None:
    ticks = clock.axis(ZERO, length, [], 100, 900).ticks()

    assert first in [(tick.upper, tick.lower or ticks[0].lower) for tick in ticks]
    assert 5 <= len(ticks) <= 14


def test_the_day_is_told_once() -> None:
    ticks = clock.axis(ZERO, 2 * 86_400, [], 100, 900).ticks()

    assert [tick.lower for tick in ticks if tick.lower] == ["2 Jan", "3 Jan", "4 Jan"]


def test_a_cut_takes_the_room_of_a_break() -> None:
    made = clock.axis(ZERO, 1_000_060, [(30, 1_000_000)], 100, 900)

    assert made.at(15) == pytest.approx(100 + 786 / 4)
    assert made.at(1_000_030) - made.at(30) == pytest.approx(14)
    assert made.at(1_000_060) == pytest.approx(900)


def test_a_moment_that_no_calendar_has_is_not_told() -> None:
    assert clock.moment(ZERO) == "2 Jan 2026 03:04"
    assert clock.moment(1e12) == ""
