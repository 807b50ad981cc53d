"""The staircase as characters: what is high is high, and nothing is there that the staircase does not have."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as some

from lab.projections.picture import spark
from lab.projections.picture.stairs import CRASH, KEEP, Sample, Spot, Stairs, Step


def a_staircase(total: int, steps: dict[int, float], crashes: set[int] | None = None) -> Stairs:
    return Stairs(
        experiment="alpha",
        tier="proxy",
        metric="loss",
        direction="minimize",
        spots=tuple(
            Spot(n=n, run_id=f"RUN-{n}", kind=CRASH if n in (crashes or ()) else KEEP) for n in range(1, total)
        ),
        steps=tuple(Step(n=n, run_id=f"RUN-{n}", value=value) for n, value in sorted(steps.items())),
        sample=Sample(shown=total, total=total),
    )


def levels(drawn: spark.Spark, signs: str = spark.BLOCKS) -> list[int]:
    """How high each column is."""
    return [sum(signs.index(sign) for sign in column) for column in zip(*drawn.rows, strict=True)]


def test_the_best_so_far_is_as_high_as_it_is() -> None:
    drawn = spark.of(a_staircase(8, {2: 1.0, 5: 0.5, 8: 0.0}), 8)
    assert levels(drawn) == [0, 8, 8, 8, 5, 5, 5, 1]
    assert (drawn.first, drawn.last, drawn.crashes) == (1.0, 0.0, "")
    assert levels(spark.of(a_staircase(4, {1: 0.5, 3: 0.9}), 4, 2)) == [1, 1, 16, 16]


def test_runs_that_crashed_are_crosses_below_and_of_few_runs_each_has_room() -> None:
    drawn = spark.of(a_staircase(6, {1: 1.0}, crashes={2, 5}), 12)
    assert drawn.crashes == "  x     x   "
    assert drawn.rows == ("▄▄▄▄▄▄▄▄▄▄▄▄",)
    assert spark.of(a_staircase(100, {1: 1.0}, crashes={1, 2, 99}), 10).crashes == "x        x"


def test_ascii_is_ascii() -> None:
    drawn = spark.of(a_staircase(8, {2: 1.0, 5: 0.5, 8: 0.0}, crashes={3}), 8, 2, plain=True)
    assert all(row.isascii() for row in (*drawn.rows, drawn.crashes))
    assert levels(drawn, spark.PLAIN) == levels(spark.of(a_staircase(8, {2: 1.0, 5: 0.5, 8: 0.0}), 8, 2))


def test_of_nothing_nothing_is_drawn() -> None:
    assert spark.of(a_staircase(0, {}), 10, 2) == spark.Spark(rows=("", ""), crashes="", first=None, last=None)
    assert spark.of(a_staircase(3, {}), 3).rows == ("   ",)
    assert spark.of(a_staircase(3, {1: 1.0}), 0).rows == ("",)


@given(
    some.integers(1, 300),
    some.integers(1, 120),
    some.integers(1, 4),
    some.lists(some.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=20),
)
def test_it_is_never_wider_and_falls_where_the_staircase_falls(
    total: int, width: int, height: int, values: list[float]
) -> None:
    steps = dict(zip(range(1, total + 1), sorted(values, reverse=True), strict=False))
    drawn = spark.of(a_staircase(total, steps), width, height)
    assert len(drawn.rows) == height
    assert all(0 < len(row) <= width for row in drawn.rows)
    found = levels(drawn)
    assert all(before >= after for before, after in itertools.pairwise(found))
    assert all(0 < level <= 8 * height for level in found)
