"""What is kept of a report, and the best that a run had shown by a step."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.curve import POINTS, Thinned, Track, told

ANY = st.floats() | st.integers(-5, 5).map(float)
WELL = st.lists(st.tuples(st.integers(0, 300).map(float), st.floats(-9, 9)), max_size=300)


def thin(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    thinned = Thinned()
    for step, value in points:
        thinned.add(step, value)
    return thinned.points


@given(st.integers(1, 5000))
def test_however_long_it_was_it_is_kept_in_few_points_with_both_ends(length: int) -> None:
    points = [(float(step), step * 0.5) for step in range(length)]
    kept = thin(points)
    assert (POINTS // 2 if length >= POINTS else length) <= len(kept) <= POINTS
    assert (kept[0], kept[-1]) == (points[0], points[-1])
    assert set(kept) <= set(points)
    assert thin(list(kept)) == kept  # kept and read again it stays as it is
    gaps = [after[0] - before[0] for before, after in pairwise(kept)]
    assert len(set(gaps[:-1])) <= 1  # evenly, but for the last


@given(st.lists(st.tuples(ANY, ANY), max_size=200))
def test_steps_only_grow_and_nothing_is_kept_that_is_no_number(points: list[tuple[float, float]]) -> None:
    kept = thin(points)
    steps = [step for step, _ in kept]
    assert steps == sorted(set(steps))
    assert all(step >= 0 for step in steps)
    assert json.loads(json.dumps(kept, allow_nan=False)) == [list(point) for point in kept]
    assert thin(list(kept)) == kept


@given(WELL, st.integers(0, 310).map(float), st.booleans())
def test_the_best_by_a_step_is_the_best_up_to_it(
    points: list[tuple[float, float]], step: float, minimize: bool
) -> None:
    ordered = sorted(dict(points).items())
    track = Track(ordered, minimize=minimize)
    so_far = [value if minimize else -value for at, value in ordered if at <= step]
    reached = bool(ordered) and ordered[-1][0] >= step
    assert track.by(step) == (min(so_far) if so_far and reached else None)
    assert track.end == (ordered[-1][0] if ordered else 0.0)


@pytest.mark.parametrize(
    "data",
    [
        None, b"", b"[]", b"{}", b"[[1, 2]]", b'{"points": 3}', b'{"points": [[1, 2], [1]]}', b'{"points": [["1", 2]]}',
        b"\xff", b"[" * 100_000, b'{"points": [[NaN, 1]]}',
    ],
)  # fmt: skip
def test_what_is_no_curve_tells_nothing(data: bytes | None) -> None:
    assert told(data) == ()


def test_a_curve_that_somebody_made_up_is_brought_into_form() -> None:
    many = [[step, 1.5] for step in range(5000)]
    assert len(told(json.dumps({"points": many}).encode())) <= POINTS
    assert told(b'{"points": [[2, 1], [1, 5], [3, 1e999], [4, 0.5]]}') in (((2.0, 1.0), (4.0, 0.5)), ())
