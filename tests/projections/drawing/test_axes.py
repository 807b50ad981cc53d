"""Scales and ticks: finite whatever the values are."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from lab.projections.drawing import axes

NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
POSITIVE = st.floats(min_value=5e-324, allow_infinity=False)


def texts(low: float, high: float, count: int = 5) -> list[str]:
    return [tick.text for tick in axes.linear_ticks(low, high, count)]


@given(NUMBERS, NUMBERS, st.integers(1, 12), st.booleans())
@example(0.0, 0.0, 5, False)
@example(5e-324, 5e-324, 5, True)
@example(1e308, 1e308, 5, True)
@example(-1.7e308, 1.7e308, 5, False)
@example(0.0, 5e-324, 5, False)
@example(2.555e-290, 2.555e-290, 5, False)
@example(1.0, 1.0 + 2**-52, 5, True)
@example(1.0, 1.000000000003, 4, False)
def test_a_scale_is_finite_and_its_ticks_are_few_apart_and_inside(
    one: float, other: float, count: int, log: bool
) -> None:
    scale = axes.scale(*axes.padded(one, other, log=log), 400.0, 20.0, log=log)
    assert scale.low < scale.high
    ticks = scale.ticks(count)
    assert len(ticks) <= 40
    for tick in ticks:
        assert scale.low <= tick.value <= scale.high
        assert 20.0 <= scale.at(tick.value) <= 400.0
        assert tick.text
        assert len(tick.text) <= 24
    values = [tick.value for tick in ticks]
    assert values == sorted(set(values))
    assert len({tick.text for tick in ticks}) == len(ticks)
    for value in (one, other, 0.0, 1e308, -1e308):
        assert 20.0 <= scale.at(value) <= 400.0


@given(POSITIVE, POSITIVE, st.integers(1, 12))
def test_a_logarithmic_scale_keeps_ratios_and_order(one: float, other: float, count: int) -> None:
    scale = axes.scale(*axes.padded(one, other, log=True), 0.0, 100.0, log=True)
    places = [scale.at(tick.value) for tick in scale.ticks(count)]
    assert places == sorted(places)
    if scale.log and scale.low > 1e-150 and scale.high < 1e150:
        assert scale.at(math.sqrt(scale.low * scale.high)) == pytest.approx(50.0, abs=0.01)


def test_ticks_are_the_numbers_that_people_write() -> None:
    assert texts(0, 1) == ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
    assert texts(0.951, 1.02) == ["0.96", "0.98", "1.00", "1.02"]
    assert texts(-3, -1) == ["−3.0", "−2.5", "−2.0", "−1.5", "−1.0"]  # noqa: RUF001  # a minus sign
    assert texts(1, 100_000) == ["20,000", "40,000", "60,000", "80,000", "100,000"]
    assert texts(1e-7, 3e-7) == ["1e−7", "1.5e−7", "2e−7", "2.5e−7", "3e−7"]  # noqa: RUF001  # a minus sign
    assert [tick.text for tick in axes.log_ticks(1e-5, 1e-1)] == ["1e−5", "0.0001", "0.001", "0.01", "0.1"]  # noqa: RUF001  # the same


def test_ticks_that_lie_close_have_the_digits_to_tell_them_apart() -> None:
    found = texts(1_234_567.891, 1_234_567.895)
    assert len(set(found)) == len(found) >= 4


@given(st.lists(NUMBERS, max_size=50), st.lists(NUMBERS, max_size=10))
def test_the_stretch_to_show_is_within_the_values_and_has_the_best_in_it(
    values: list[float], steps: list[float]
) -> None:
    best = steps[-1] if steps else None
    low, high = axes.interesting(values, steps, best)
    assert math.isfinite(low)
    assert math.isfinite(high)
    assert low <= high
    if values or steps:
        every = [*values, *steps]
        assert min(every) <= low
        assert high <= max(every)
        assert best is None or low <= best <= high


def test_a_few_far_away_do_not_squash_the_others_and_near_ones_are_all_there() -> None:
    crowd = [1.0 + place / 100 for place in range(50)]
    assert axes.interesting([*crowd, 1e6, 1e9], [1.0], 1.0) == (1.0, 1.49)
    assert axes.interesting(crowd, [1.0], 1.0) == (1.0, 1.49)


def test_where_only_a_little_would_be_cut_off_all_of_it_is_shown() -> None:
    crowd = [1.0, *(2.0 for _ in range(20))]  # three times their distance is looked at, and half as much again
    assert axes.interesting([*crowd, 5.4], [1.0], 1.0) == (1.0, 5.4)
    assert axes.interesting([*crowd, 5.6], [1.0], 1.0) == (1.0, 2.0)


def test_steps_far_from_the_best_are_shown_where_the_crowd_is_not_squashed_by_them() -> None:
    crowd = [1.0 + place / 100 for place in range(50)]
    assert axes.interesting(crowd, [2.5, 1.0], 1.0)[1] == 2.5
    assert axes.interesting(crowd, [900.0, 2.5, 1.0], 1.0)[1] == 2.5


@given(st.floats(-1.79e308, 1.79e308))
def test_a_number_in_words_is_short_and_is_that_number(value: float) -> None:
    told = axes.number(value)
    assert len(told) <= 14
    read = float(told.replace(axes.MINUS, "-").replace(",", ""))
    assert read == pytest.approx(value, rel=1e-3, abs=1e-320)


def test_equal_values_have_a_scale_around_them() -> None:
    for value in (0.0, 3.0, -3.0, 1e-280, 5e-324, 1e300):
        scale = axes.scale(value, value, 0.0, 100.0)
        assert scale.at(value) == pytest.approx(50.0, abs=1.0)
        assert all(one.value < other.value for one, other in itertools.pairwise(scale.ticks()))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 5))
def test_a_scale_has_two_ticks_or_more_for_one_alone_says_nothing(low: float, wide: float, count: int) -> None:
    assert len(axes.linear_ticks(low, low + wide, count)) > 1
    assert len(axes.linear_ticks(0.1, 1.9, 2)) > 1
