"""The staircase in a few lines of characters, for a terminal: how the best so far went, and where runs crashed.

It shows less than the picture does, and says nothing that the picture does not: what is high is a high value, and a
column that stands for several runs is as high as the best so far after the last of them.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.projections.picture.stairs import CRASH

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.picture.stairs import Stairs, Step

BLOCKS, PLAIN = " ▁▂▃▄▅▆▇█", " .:-=+*%#"
CROSS = "x"
MOST_FOR_A_RUN = 4
_LEVELS = len(BLOCKS) - 1


class Spark(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` from the top down, all of one width. `crashes` marks the columns below; empty where none crashed."""

    rows: tuple[str, ...]
    crashes: str
    first: float | None  # the first value of the staircase
    last: float | None  # the best so far


def of(found: Stairs, width: int, height: int = 1, *, plain: bool = False) -> Spark:
    """At most `width` columns; one a run, or a few for each where there are few runs. `plain` keeps to ASCII."""
    total, steps = found.sample.total, [step for step in found.steps if math.isfinite(step.value)]
    columns = max(0, min(width, total))
    ends = [(column + 1) * total // columns for column in range(columns)]
    levels = _levels(steps, ends, _LEVELS * height)
    signs = PLAIN if plain else BLOCKS
    wide = max(1, min(width // total, MOST_FOR_A_RUN)) if total else 1
    rows = tuple(
        "".join(signs[min(max(level - _LEVELS * floor, 0), _LEVELS)] * wide for level in levels)
        for floor in reversed(range(height))
    )
    crashed = {_column(spot.n, total, columns) for spot in found.spots if spot.kind == CRASH} if columns else set()
    return Spark(
        rows=rows,
        crashes="".join((CROSS if column in crashed else " ").ljust(wide) for column in range(columns))
        if crashed
        else "",
        first=steps[0].value if steps else None,
        last=steps[-1].value if steps else None,
    )


def _levels(steps: Sequence[Step], ends: Sequence[int], most: int) -> list[int]:
    """How high each column is, from 1; 0 before there was a value."""
    values = [step.value for step in steps]
    low, high = min(values, default=0.0), max(values, default=0.0)
    levels, place, level = [], 0, 0
    for end in ends:
        while place < len(steps) and steps[place].n <= end:
            level = _level(steps[place].value, low, high, most)
            place += 1
        levels.append(level)
    return levels


def _level(value: float, low: float, high: float, most: int) -> int:
    span = high / 2 - low / 2  # halves: no difference is infinite
    if span == 0:
        return (most + 1) // 2
    return 1 + round((value / 2 - low / 2) / span * (most - 1))


def _column(number: int, total: int, columns: int) -> int:
    """The one that the run of this number is in."""
    return min(-(-number * columns // total) - 1, columns - 1)
