"""Values and their places: nothing leaves its parameter, and each value comes back from its place."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import scale
from lab.core.parameter import Parameter, same
from lab.core.space import parse
from tests.core.spaces import PARAMETERS, parsed

PLACES = st.floats(-2, 3) | st.sampled_from((0.0, 1.0, 0.5, -math.inf, math.inf, math.nan, math.nextafter(1.0, 0.0)))


def one(**written: object) -> Parameter:
    return parse({"x": written}).parameters[0]


@given(written=PARAMETERS, place=PLACES)
def test_no_place_leads_out_of_the_parameter(written: dict[str, object], place: float) -> None:
    (parameter,) = parsed({"x": written}).parameters
    value = scale.from_unit(parameter, place)
    assert parameter.problem(value) == ""
    if parameter.kind == "float":
        assert type(value) is float


@given(written=PARAMETERS, place=st.floats(0, 1))
def test_a_value_comes_back_from_its_place(written: dict[str, object], place: float) -> None:
    (parameter,) = parsed({"x": written}).parameters
    value = scale.from_unit(parameter, place)
    there = scale.to_unit(parameter, value)
    assert 0 <= there <= 1
    again = scale.from_unit(parameter, there)
    count = scale.levels(parameter)
    if count is not None and count < 10**6:
        assert same(again, value)
        return
    assert isinstance(again, (int, float))
    assert isinstance(value, (int, float))
    if parameter.log:
        assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-320)
    else:
        assert math.isclose(again, value, rel_tol=1e-9, abs_tol=1e-9 * (parameter.high - parameter.low))
    if count is None:
        assert (
            math.isclose(there, min(1.0, place), abs_tol=1e-6)
            or parameter.high - parameter.low < 1e-300
            or narrow(parameter)
        )


def narrow(parameter: Parameter) -> bool:
    """Whether there are so few floats between the ends that a place cannot be told from its neighbour."""
    return parameter.high - parameter.low < 1e9 * math.ulp(max(abs(parameter.low), abs(parameter.high)))


@given(written=PARAMETERS, places=st.lists(st.floats(0, 1), min_size=2, max_size=2))
def test_what_is_ordered_stays_in_order(written: dict[str, object], places: list[float]) -> None:
    (parameter,) = parsed({"x": written}).parameters
    if scale.is_ordered(parameter):
        one, other = (scale.from_unit(parameter, place) for place in sorted(places))
        assert one <= other  # type: ignore[operator]


@given(written=PARAMETERS)
def test_the_levels_are_the_values_there_are(written: dict[str, object]) -> None:
    (parameter,) = parsed({"x": written}).parameters
    count = scale.levels(parameter)
    if count is None or count > 60 or parameter.log:
        return
    places = [(k + 0.5) / (8 * count) for k in range(8 * count)]
    values: list[object] = []
    for place in places:
        value = scale.from_unit(parameter, place)
        if not values or not same(values[-1], value):
            values.append(value)
    assert len(values) == count


@pytest.mark.parametrize(
    ("written", "values"),
    [
        # hermes-lab left the bounds with each of these
        ({"low": 0.1, "high": 1, "step": 0.3}, [0.1, 0.4, 0.7, 1.0]),
        ({"low": 1, "high": 11, "step": 4, "type": "int"}, [1, 5, 9]),
        ({"low": 0, "high": 1, "step": 0.3}, [0.0, 0.3, 0.6, 0.9]),
        ({"low": 0.1, "high": 0.7, "step": 0.3}, [0.1, 0.4, 0.7]),
        ({"low": 1, "high": 3, "type": "int"}, [1, 2, 3]),
        ({"type": "bool"}, [False, True]),
        ({"choices": ["a", None, 1]}, ["a", None, 1]),
        ({"low": 2, "high": 2}, [2.0]),
    ],
)
def test_steps_and_choices_have_even_shares(written: dict[str, object], values: list[object]) -> None:
    parameter = one(**written)
    each = 100
    drawn = [scale.from_unit(parameter, (k + 0.5) / (each * len(values))) for k in range(each * len(values))]
    assert drawn == [value for value in values for _ in range(each)]
    assert scale.levels(parameter) == len(values)


def test_a_logarithm_gives_every_decade_its_share() -> None:
    parameter = one(low=1e-4, high=1.0, log=True)
    assert [scale.from_unit(parameter, k / 4) for k in range(4)] == pytest.approx([1e-4, 1e-3, 1e-2, 1e-1])
    assert scale.to_unit(parameter, 0.01) == pytest.approx(0.5)
    whole = one(low=1, high=1024, log=True, type="int")
    assert scale.from_unit(whole, 0.0) == 1
    assert scale.from_unit(whole, 1.0) == 1024
    assert 20 <= scale.from_unit(whole, 0.5) <= 40  # type: ignore[operator]


def test_a_low_with_many_digits_is_not_rounded_out_of_its_range() -> None:
    parameter = one(low=0.1234567890123456, high=1, step=0.25)
    assert scale.from_unit(parameter, 0.0) == 0.1234567890123456


@pytest.mark.parametrize(("low", "high"), [(1e-300, 1e300), (5e-324, 1.7e308), (1e10, 1e10 + 1)])
def test_a_logarithm_over_any_range_can_be_computed(low: float, high: float) -> None:
    parameter = one(low=low, high=high, log=True)
    for place in (0.0, 0.25, 0.5, 0.75, 1.0):
        value = scale.from_unit(parameter, place)
        assert parameter.problem(value) == ""
        assert scale.to_unit(parameter, value) == pytest.approx(place, abs=2e-6)
