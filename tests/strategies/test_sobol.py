"""Sobol's sequence: against the published one, and what the scrambling keeps."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.strategies import sobol


def test_the_plain_sequence_is_the_published_one() -> None:
    qmc = pytest.importorskip("scipy.stats.qmc")
    theirs = qmc.Sobol(sobol.DIMENSIONS, scramble=False, bits=32).random(1024)
    # Theirs goes through the points in the order of a Gray code.
    for index in range(1024):
        place = index ^ (index >> 1)
        ours = [sobol.plain(place, row) / 2**32 for row in range(sobol.DIMENSIONS)]
        assert ours == list(theirs[index])


def test_the_first_points_of_the_plain_sequence() -> None:
    eighths = [[sobol.plain(index, row) * 8 // 2**32 for index in range(8)] for row in range(4)]
    assert eighths == [
        [0, 4, 2, 6, 1, 5, 3, 7],
        [0, 4, 6, 2, 5, 1, 3, 7],
        [0, 4, 6, 2, 3, 7, 5, 1],
        [0, 4, 6, 2, 1, 5, 7, 3],
    ]


@given(seed=st.integers(), power=st.integers(0, 7), block=st.integers(0, 2**20), dimensions=st.integers(1, 50))
def test_each_stretch_of_the_sequence_is_even_in_every_dimension(
    seed: int, power: int, block: int, dimensions: int
) -> None:
    count = 2**power
    points = [sobol.point(seed, block * count + k, dimensions) for k in range(count)]
    for coordinates in zip(*points, strict=True):
        assert all(0 <= coordinate < 1 for coordinate in coordinates)
        assert sorted(int(coordinate * count) for coordinate in coordinates) == list(range(count))


@pytest.mark.parametrize("pair", [(0, 1), (1, 2), (0, 2)])
def test_the_first_sixteen_points_are_even_in_pairs_of_dimensions(pair: tuple[int, int]) -> None:
    one, other = pair
    for seed in range(20):
        points = [sobol.point(seed, index, 3) for index in range(16)]
        cells = {(int(each[one] * 4), int(each[other] * 4)) for each in points}
        assert len(cells) == 16


def test_a_seed_has_its_own_points_and_keeps_them() -> None:
    assert sobol.point(7, 3, 5) == sobol.point(7, 3, 5)
    assert len({sobol.point(seed, 3, 5) for seed in range(200)}) == 200
    assert sobol.point(7, 3, 5) == sobol.point(7, 3, 9)[:5]
    told = subprocess.run(
        [sys.executable, "-c", "from lab.strategies import sobol; print(sobol.point(7, 3, 45))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.strip() == str(sobol.point(7, 3, 45))


def test_over_many_seeds_a_point_is_anywhere() -> None:
    coordinates = [sobol.point(seed, 0, 2)[1] for seed in range(2000)]
    tenths = [sum(int(coordinate * 10) == k for coordinate in coordinates) for k in range(10)]
    assert all(130 < count < 270 for count in tenths)


def test_it_is_more_even_than_chance_where_dimensions_meet() -> None:
    """The largest empty corner of 256 points in 6 dimensions: the share of points in a box is close to its volume."""
    from random import Random

    rng = Random(1)
    corners = [[rng.uniform(0.5, 1) for _ in range(6)] for _ in range(200)]

    def worst(points: list[tuple[float, ...]]) -> float:
        found = 0.0
        for corner in corners:
            volume = 1.0
            for side in corner:
                volume *= side
            share = sum(all(x < side for x, side in zip(each, corner, strict=True)) for each in points) / len(points)
            found = max(found, abs(share - volume))
        return found

    ours = worst([sobol.point(3, index, 6) for index in range(256)])
    chance = worst([tuple(rng.random() for _ in range(6)) for _ in range(256)])
    assert ours < chance / 1.5
