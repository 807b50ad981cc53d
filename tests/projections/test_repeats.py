"""What was measured more than once, and what it says of the noise."""

from __future__ import annotations

from random import Random

import msgspec
import pytest

from lab.projections import repeats, standing
from lab.projections.picture import stairs
from lab.projections.picture.given import Given
from lab.projections.tables import Line
from tests.projections import subjects as make


def lines(groups: list[list[float]], tier: str = "default") -> list[Line]:
    """A run for each value; those of a group are of the same parameters."""
    return [
        Line(run_id=f"RUN-{place}-{number}", outcome="success", value=value, params={"a": place}, tier=tier)
        for place, group in enumerate(groups)
        for number, value in enumerate(group)
    ]


def a_search_that_is_quiet_at_its_end() -> list[Line]:
    luck = Random(1)
    return lines([[10 + luck.gauss(0, 1.0 if place < 340 else 0.05) for _ in range(2)] for place in range(400)])


def test_the_order_of_a_search_says_nothing_of_its_noise() -> None:
    found = a_search_that_is_quiet_at_its_end()
    known = repeats.known(found, "default")
    assert (known.points, known.noise.df) == (400, 400)
    assert known.noise.sigma == pytest.approx((0.85 + 0.15 * 0.05**2) ** 0.5, rel=0.1)
    assert repeats.known(found[::-1], "default") == known


def test_briefing_and_picture_know_the_same_noise() -> None:
    found = a_search_that_is_quiet_at_its_end()
    known = repeats.known(found, "default")
    told = standing.noise(found, "default", declared=None)
    band = stairs.band_of(Given(view=make.view([]), spec=None, lines=tuple(found)), "default")
    assert band is not None
    assert band.sigma == known.noise.sigma
    assert band.source == known.told == "400 points measured more than once, 400 degrees of freedom"
    assert told.sd == pytest.approx(band.sigma, rel=1e-3)
    assert (told.repeated_points, told.degrees_of_freedom) == (400, 400)


def test_the_noise_of_a_tier_is_known_by_its_own_repeats() -> None:
    found = (*lines([[1.0, 1.2], [2.0, 2.2]], tier="proxy"), *lines([[1.0, 9.0], [2.0, 2.0]], tier="final"))
    given = Given(view=make.view([]), spec=None, lines=found)
    assert given.view.tier not in ("proxy", "final")
    bands = [stairs.band_of(given, tier) for tier in ("proxy", "final", given.view.tier)]
    assert [band and round(band.sigma, 3) for band in bands] == [0.141, 4.0, None]


def test_what_failed_repeats_nothing_whatever_it_claimed() -> None:
    found = lines([[1.0, 2.0]])
    found[1] = msgspec.structs.replace(found[1], outcome="timeout")
    assert repeats.known(found, "default") == repeats.Known()


def test_points_are_the_same_whatever_the_order_of_their_parameters_and_only_then() -> None:
    params: list[dict[str, object]] = [
        {"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 2, "b": 1}, {"a": 1.0, "b": 2}, {"a": True, "b": 2}, {"a": [1]},
        {"a": [1]}, {"a": "1", "b": 2}, {},
    ]  # fmt: skip
    found = [Line(run_id=f"RUN-{n}", outcome="success", value=1.0, params=each) for n, each in enumerate(params)]
    assert repeats.groups(found, "default") == [[0, 1, 3], [5, 6]]


def test_what_was_repeated_long_ago_is_not_looked_for() -> None:
    found = [*lines([[1.0, 2.0]]), *(Line(run_id=f"RUN-{n}", outcome="crash") for n in range(repeats.AMONG))]
    assert repeats.known(found[:-2], "default").points == 1
    assert repeats.known(found, "default").points == 0
    assert repeats.groups(found, "default") == [[0, 1]]
