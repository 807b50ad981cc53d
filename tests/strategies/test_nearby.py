"""Changes of a point, and the forecast of what they are worth."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from lab.core import assignment
from lab.strategies.nearby import Forecast, Neighbourhood, distance, heights, reflected
from lab.testing.strategies import SPACES

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(name=st.sampled_from(sorted(SPACES)), seed=st.integers(0, 10**6), step=st.floats(0, 10))
def test_every_change_stays_among_the_values_of_the_space(name: str, seed: int, step: float) -> None:
    over, rng = SPACES[name], Random(seed)
    near = Neighbourhood(over)
    one, other = (assignment.draw(over, rng) for _ in range(2))
    assert over.check(near.changed(one, step, rng)) == ()
    assert over.check(near.along(one, near.places(one), near.places(other), step, rng)) == ()
    assert over.check(near.between(one, other, rng.random(), rng)) == ()


def test_the_ends_of_the_way_between_two_points_are_those_points() -> None:
    over, rng = SPACES["choices"], Random(3)
    near = Neighbourhood(over)
    one, other = (assignment.draw(over, rng) for _ in range(2))
    assert near.between(one, other, 0.0, rng) == one
    assert near.between(one, other, 1.0, rng) == other


@given(FINITE.filter(lambda place: abs(place) < 1e6))
def test_what_leaves_the_interval_is_reflected_into_it(place: float) -> None:
    assert 0 <= reflected(place) <= 1


def test_a_small_step_out_is_a_small_step_back() -> None:
    assert reflected(-0.1) == 0.1
    assert abs(reflected(1.1) - 0.9) < 1e-12


def test_points_of_different_choices_are_apart() -> None:
    near = Neighbourhood(SPACES["choices"])
    one = assignment.draw(SPACES["choices"], Random(1))
    other = {**one, "b": 2.5 if one["b"] != 2.5 else "2.5"}
    assert distance(near.places(one), near.places(one)) == 0
    assert distance(near.places(one), near.places(other)) > 0.5


def test_a_forecast_goes_through_what_is_known_and_prefers_the_lower_side() -> None:
    points = [(x / 4, y / 4) for x in range(5) for y in range(5)]
    values = [(x - 0.3) ** 2 + (y - 0.6) ** 2 for x, y in points]
    forecast = Forecast(points, values, (0.5, 0.5))
    mean = sum(values) / len(values)
    assert all(abs(forecast.at(at) + mean - value) < 0.05 for at, value in zip(points, values, strict=True))
    assert forecast.at((0.32, 0.58)) < forecast.at((0.45, 0.45)) < forecast.at((0.9, 0.1))


def test_a_forecast_from_one_point_or_from_equal_ones_can_be_made() -> None:
    assert Forecast([(0.5,)], [1.0], (0.5,)).at((0.2,)) == 0
    assert abs(Forecast([(0.5,)] * 5, [1.0, 1.0, 1.0, 1.0, 1.0], (0.5,)).at((0.2,))) < 1e-9


@given(st.lists(FINITE, min_size=1, max_size=40))
def test_heights_are_small_whatever_the_losses(losses: list[float]) -> None:
    found = heights(sorted(losses))
    assert all(-1 <= height <= 1 for height in found)
    assert found == sorted(found)
