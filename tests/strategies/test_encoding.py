"""A space as arrays: the columns agree with the scale of one value, and the way back leads to the same point."""

from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import assignment, scale
from lab.core.parameter import Parameter
from lab.strategies.encoding import IDLE, NO_CHOICE, Encoding, on_steps
from lab.testing.strategies import SPACES


@st.composite
def stepped(draw: st.DrawFn) -> Parameter:
    log = draw(st.booleans())
    if draw(st.booleans()):
        low = draw(st.integers(1 if log else -1000, 1000))
        return Parameter(
            name="n",
            kind="int",
            low=low,
            high=low + draw(st.integers(1, 5000)),
            log=log,
            step=draw(st.sampled_from([None, 1])),
        )
    first, step, count = draw(st.integers(1, 50)) / 10, draw(st.integers(1, 30)) / 10, draw(st.integers(1, 40))
    return Parameter(name="x", kind="float", low=first, high=first + step * count, log=log, step=step)


@given(stepped(), st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_a_column_is_brought_to_its_steps_as_one_value_is(parameter: Parameter, places: list[float]) -> None:
    found = on_steps(parameter, np.array(places))
    for place, column in zip(places, found, strict=True):
        alone = scale.to_unit(parameter, scale.from_unit(parameter, place))
        if not math.isclose(alone, column, abs_tol=1e-9):  # on the very edge of two steps either is right
            step = abs(alone - column)
            assert abs(place - (alone + column) / 2) < 1e-6 + 0.6 * step
            assert scale.from_unit(parameter, float(column)) != scale.from_unit(parameter, alone)
            nudged = (scale.from_unit(parameter, place - 1e-9), scale.from_unit(parameter, place + 1e-9))
            assert nudged[0] != nudged[1]


@pytest.mark.parametrize("name", SPACES)
def test_a_point_comes_back_from_its_row(name: str) -> None:
    over = SPACES[name]
    encoding = Encoding(over)
    rng = Random(4)
    points = [assignment.draw(over, rng) for _ in range(200)]
    rows = np.array([encoding.row(point) for point in points]).reshape(len(points), encoding.count)
    assert np.allclose(encoding.settled(rows), rows, atol=1e-9)
    for point, row in zip(points, rows, strict=True):
        back = encoding.point(row)
        assert back.keys() == point.keys()
        assert list(encoding.row(back)) == pytest.approx(list(row), abs=1e-9)


@pytest.mark.parametrize("name", SPACES)
def test_what_is_drawn_from_the_cube_are_points(name: str) -> None:
    over = SPACES[name]
    encoding = Encoding(over)
    rows = encoding.from_cube(np.random.default_rng(3).random((200, encoding.count)))
    for row in rows:
        point = encoding.point(row)
        assert over.check(point) == ()
        assert list(encoding.row(point)) == pytest.approx(list(row), abs=1e-9)


def test_what_does_not_count_is_idle_and_seen_the_same() -> None:
    encoding = Encoding(SPACES["conditions"])
    row = encoding.row({"optimiser": "adam", "beta": 0.95, "rate": 0.1})
    assert row[encoding.place["momentum"]] == IDLE
    assert row[encoding.place["momentum_on"]] == NO_CHOICE
    other = row.copy()
    other[encoding.place["momentum"]] = 0.9
    other[encoding.place["momentum_on"]] = 1.0
    assert (encoding.settled(other[None]) == row).all()


def test_two_choices_are_as_far_apart_as_the_ends_of_a_number() -> None:
    encoding = Encoding(SPACES["choices"])
    one, other = (encoding.row({"a": a, "b": None, "c": True, "d": 3}) for a in ("x", "z"))
    seen = encoding.seen(np.array([one, other]))
    assert seen.shape == (2, encoding.width)
    assert float(((seen[0] - seen[1]) ** 2).sum()) == pytest.approx(1.0)
