"""Evenly spread chance: what is special about it; the rest is the contract."""

from __future__ import annotations

import pytest

from lab.core import assignment, space
from lab.core.errors import BadInput
from lab.core.trial import History, luck
from lab.strategies.random_ import Random, sobol_point
from lab.testing.strategies import StrategyContract

SQUARE = space.parse({"x": {"low": 0, "high": 1}, "y": {"low": 1e-5, "high": 1e-1, "log": True}})


class TestRandom(StrategyContract):
    strategy = Random()


def test_the_first_trials_of_a_search_fill_the_space_evenly() -> None:
    found = [sobol_point(SQUARE, 4, index) for index in range(8)]
    eighths = sorted(int(float(point["x"] or 0) * 8) for point in found)
    assert eighths == list(range(8))


def test_the_place_in_the_search_decides_and_nothing_else() -> None:
    one = Random().propose(SQUARE, History(seed=3, number=5), luck(3, 5))
    other = Random().propose(SQUARE, History(seed=3, number=5, workers=4), luck(9, 9))
    assert one == other
    assert one.params == sobol_point(SQUARE, 3, 5)
    assert Random().propose(SQUARE, History(seed=4, number=5), luck(3, 5)) != one


def test_a_point_that_breaks_a_constraint_is_replaced() -> None:
    thin = space.parse({"parameters": {"x": {"low": 0, "high": 1}}, "constraints": ["x <= 0.001"]})
    found = [sobol_point(thin, 0, index) for index in range(20)]
    assert all(assignment.meets(thin, point) for point in found)
    assert len({point["x"] for point in found}) == 20


def test_a_constraint_that_nothing_meets_is_refused() -> None:
    nothing = space.parse({"parameters": {"x": {"low": 0, "high": 1}}, "constraints": ["x > 2"]})
    with pytest.raises(BadInput, match="x > 2"):
        sobol_point(nothing, 0, 0)
