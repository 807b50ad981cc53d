"""How much a measurement differs from itself, held against a library that is known to be right."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import noise
from lab.core.noise import MEMORY, Noise, gain, p_of, pooled, spread

if TYPE_CHECKING:
    from collections.abc import Sequence

finite = st.floats(allow_nan=False, allow_infinity=False)
degrees = st.integers(1, 200)


def p_better(known: Noise, mine: Sequence[float], theirs: Sequence[float], *, minimize: bool) -> float:
    """As a test of the loop asks it."""
    return p_of(gain(mine, theirs, minimize=minimize), spread(known, mine, theirs), len(mine), len(theirs))


def test_the_tails_are_those_of_a_library() -> None:
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 3, 8, 16, 60, 500):
        for t in (-40, -2, 0, 0.1, 1, 2.5, 3.3, 10, 40):
            assert noise.t_tail(t, df) == pytest.approx(stats.t.sf(t, df), rel=1e-10)
        for below in (1, 2, 14, 60):
            for ratio in (0.1, 0.5, 1, 3, 50):
                assert noise.f_tail(ratio, df, below) == pytest.approx(stats.f.sf(ratio, df, below), rel=1e-10)


@given(st.floats(-1e3, 1e3), degrees)
def test_the_two_tails_are_one(t: float, df: int) -> None:
    assert noise.t_tail(t, df) + noise.t_tail(-t, df) == pytest.approx(1)


def test_a_difference_is_judged_as_by_the_t_test_of_a_library() -> None:
    stats = pytest.importorskip("scipy.stats")
    mine, theirs = (1.0, 1.2, 0.9, 1.1), (1.5, 1.3, 1.6, 1.2)
    ours = p_better(Noise(), mine, theirs, minimize=True)
    assert ours == pytest.approx(stats.ttest_ind(mine, theirs, alternative="less").pvalue)
    assert p_better(Noise(), mine, theirs, minimize=False) == pytest.approx(1 - ours)


def test_what_measures_noisier_than_was_known_is_judged_as_by_welch() -> None:
    stats = pytest.importorskip("scipy.stats")
    mine, theirs = (-30.0, 5.0, -28.0, 11.0, -60.0), (0.0, 0.5, -0.5, 0.2)
    found = spread(Noise(df=40, ss=40.0), mine, theirs)
    library = stats.ttest_ind(mine, theirs, alternative="less", equal_var=False)
    assert found.df == int(library.df) == 4  # of the seven
    assert noise.t_tail(-library.statistic, library.df) == pytest.approx(library.pvalue)
    assert p_of(gain(mine, theirs, minimize=True), found, 5, 4) == pytest.approx(library.pvalue, rel=0.02)


def test_repeats_that_are_equal_to_the_last_digit_are_no_noise() -> None:
    assert pooled(Noise(), (0.1, 0.1, 0.1)).none
    assert not pooled(Noise(), (0.1, 0.1, math.nextafter(0.1, 1))).none
    assert not pooled(Noise(), (1e-170, 2e-170)).none  # the square of their difference is 0


def test_few_repeats_leave_room_for_what_a_model_says_and_enough_do_not() -> None:
    few = Noise(df=1, ss=1e-12)
    assert noise.filled(few, None) == few
    assert noise.filled(few, 0.2).sigma == pytest.approx(0.2 * 0.75**0.5)
    assert noise.filled(Noise(), 0.2).sigma == pytest.approx(0.2)
    assert noise.filled(Noise(df=4, ss=4.0), 0.2) == Noise(df=4, ss=4.0)
    assert noise.filled(Noise(df=1), 0.2).none
    assert not noise.filled(Noise(), 1e-300).none


def test_a_mean_of_few_repeats_is_said_to_be_less_sure() -> None:
    assert noise.about(Noise(df=1000, ss=1000.0), 4) == pytest.approx(0.5, rel=1e-2)
    assert noise.about(Noise(df=1, ss=1.0), 1) == pytest.approx(1.84, rel=1e-2)
    assert noise.about(Noise(), 3) == noise.about(Noise(df=3), 3) == 0


def test_one_value_says_nothing_of_the_noise() -> None:
    assert pooled(Noise(), (3.0,)) == Noise()
    assert Noise().sigma is None
    assert p_better(Noise(), (1.0,), (9.0,), minimize=True) == 1


@given(st.lists(st.lists(finite, max_size=6), max_size=6))
def test_any_values_give_a_noise_that_can_be_written_down(codes: list[list[float]]) -> None:
    known = Noise()
    for values in codes:
        known = pooled(known, values)
        assert msgspec.json.decode(msgspec.json.encode(known), type=Noise) == known
        assert known.df <= MEMORY
        if len(set(values)) > 1:
            assert not known.none


def test_the_noise_of_today_outvotes_that_of_last_week() -> None:
    known = Noise(df=MEMORY, ss=float(MEMORY))
    for _ in range(200):
        known = pooled(known, (0.0, 10.0))
    assert known.sigma == pytest.approx(math.sqrt(50), rel=0.1)


def test_a_change_that_measures_noisily_is_not_judged_by_the_old_noise() -> None:
    quiet = Noise(df=40, ss=40.0)
    lucky = (-30.0, 5.0, -28.0, 11.0)
    assert p_better(quiet, lucky, (0.0, 0.5, -0.5, 0.2), minimize=True) > 0.05
    assert p_better(quiet, (-10.0, -11.0, -9.5, -10.5), (0.0, 0.5, -0.5, 0.2), minimize=True) < 1e-9


def test_what_t_exceeds_is_what_a_library_says() -> None:
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 3, 8, 16, 60, 500):
        for tail in (0.4, 0.1, 0.025, 0.001, 1e-6):
            assert noise.t_beyond(tail, df) == pytest.approx(stats.t.isf(tail, df), rel=1e-8)


@given(st.floats(1e-4, 0.49), degrees)
def test_what_t_exceeds_is_exceeded_as_often_as_was_asked(tail: float, df: int) -> None:
    assert noise.t_tail(noise.t_beyond(tail, df), df) == pytest.approx(tail, rel=1e-6)


def test_the_margin_of_a_difference_is_that_of_a_library() -> None:
    stats = pytest.importorskip("scipy.stats")
    mine, theirs = (1.0, 1.2, 0.9, 1.1), (1.5, 1.3, 1.6, 1.2)
    found = noise.margin(noise.between(Noise(), mine, theirs), 4, 4)
    interval = stats.ttest_ind(mine, theirs).confidence_interval()
    assert found == pytest.approx((interval.high - interval.low) / 2)


def test_without_repeats_there_is_no_margin_and_without_noise_it_is_nothing() -> None:
    assert noise.margin(Noise(), 1, 1) is None
    assert noise.margin(noise.between(Noise(), (1.0, 1.0), (2.0,)), 2, 1) == 0


measured = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=6)


@given(measured, measured, st.integers(2, 60), st.floats(0, 1e6))
def test_the_margin_is_the_same_whichever_comes_first_and_narrower_with_more(
    mine: list[float], theirs: list[float], df: int, ss: float
) -> None:
    known = Noise(df=df, ss=ss)
    one = noise.margin(noise.between(known, mine, theirs), len(mine), len(theirs))
    other = noise.margin(noise.between(known, theirs, mine), len(theirs), len(mine))
    assert one is not None
    assert one == pytest.approx(other, rel=1e-9)
    assert one >= 0
    wide, narrow = noise.margin(known, 1, 1), noise.margin(known, 2, 3)
    assert wide is not None
    assert narrow is not None
    assert narrow <= wide


@given(measured, measured)
def test_repeats_that_are_known_already_are_not_counted_twice(mine: list[float], theirs: list[float]) -> None:
    known = pooled(pooled(Noise(), mine), theirs)
    assert noise.between(known, mine, theirs).df <= len(mine) + len(theirs) - 2


def test_an_interval_holds_as_often_as_it_says() -> None:
    chance = Random(7)
    held = 0
    for _ in range(1000):
        known = Noise()
        for _ in range(5):
            known = pooled(known, [chance.gauss(0, 1) for _ in range(2)])
        mine, theirs = ([chance.gauss(0, 1) for _ in range(3)] for _ in range(2))
        known = pooled(pooled(known, mine), theirs)
        found = noise.margin(noise.between(known, mine, theirs), 3, 3)
        assert found is not None
        held += abs(noise.mean(mine) - noise.mean(theirs)) <= found
    assert 930 <= held <= 975
