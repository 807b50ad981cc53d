"""A small forest of chance trees: what can be foretold of a number from others, without anything but the language.

A tree cuts its rows at a place drawn by lot in each column, the best of these. Many such trees, averaged, foretell
about as well as carefully grown ones, and cost a tenth. Nothing here knows what the numbers mean.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

Columns = list[list[float]]

TREES = 8
ROWS = 240  # that one tree is grown from: what a forest costs does not grow with what there is
_LEAST, _MOST, _PART = 3, 5, 40  # rows at an end: the fewest, the most, and which part of all
_DEPTH = 14
_FEW = 40  # rows, of which no tree leaves any out
_COLUMNS = 12  # that are looked at for one cut
_DRAWS = 3  # of two rows that differ, before a column is let be


class Cut(msgspec.Struct, frozen=True, gc=False):
    """Rows whose number is at most `at` go one way, the others the other. An end is what its rows had on average."""

    column: int
    at: float
    low: Cut | float
    high: Cut | float


def grown(columns: Columns, values: Sequence[float], rows: Sequence[int], luck: Random) -> list[Cut | float]:
    """The trees, each from other rows of these, where there are enough."""
    count = min(ROWS, max(round(0.8 * len(rows)), min(len(rows), _FEW)))
    leaf = min(max(count // _PART, _LEAST), _MOST)
    return [_tree(columns, values, luck.sample(rows, count), luck, leaf, _DEPTH) for _ in range(TREES)]


def foretold(trees: Sequence[Cut | float], columns: Columns, rows: Sequence[int]) -> list[float]:
    """What the forest says of each of these rows."""
    sums = dict.fromkeys(rows, 0.0)
    for tree in trees:
        _send(tree, columns, list(rows), sums)
    return [sums[row] / len(trees) for row in rows]


def _send(tree: Cut | float, columns: Columns, rows: list[int], sums: dict[int, float]) -> None:
    """Adds what a tree says of rows to their sums."""
    while isinstance(tree, Cut):
        if not rows:
            return
        column, at = columns[tree.column], tree.at
        _send(tree.low, columns, [row for row in rows if column[row] <= at], sums)
        rows = [row for row in rows if column[row] > at]
        tree = tree.high
    for row in rows:
        sums[row] += tree


def _tree(
    columns: Columns, values: Sequence[float], rows: list[int], luck: Random, leaf: int, depth: int
) -> Cut | float:
    count = len(rows)
    total = sum([values[row] for row in rows])
    found = _cut(columns, values, rows, total, luck, leaf) if count >= 2 * leaf and depth else None
    if found is None:
        return total / count
    chosen, at = found
    column = columns[chosen]
    low = [row for row in rows if column[row] <= at]
    high = [row for row in rows if column[row] > at]
    return Cut(
        chosen,
        at,
        _tree(columns, values, low, luck, leaf, depth - 1),
        _tree(columns, values, high, luck, leaf, depth - 1),
    )


def _cut(
    columns: Columns, values: Sequence[float], rows: list[int], total: float, luck: Random, leaf: int
) -> tuple[int, float] | None:
    """The column and place, of those drawn, that tell the rows apart best; None where none leaves enough to a side."""
    count, chance = len(rows), luck.random
    looked_at: Sequence[int] = range(len(columns))
    if len(columns) > _COLUMNS:
        looked_at = luck.sample(looked_at, _COLUMNS)
    found, most = None, 0.0
    for number in looked_at:
        column = columns[number]
        for _ in range(_DRAWS):
            one, other = column[rows[int(chance() * count)]], column[rows[int(chance() * count)]]
            if one != other:
                break
        else:
            continue
        if other < one:
            one, other = other, one
        at = one + chance() * (other - one)
        if at >= other:
            at = one
        low = [values[row] for row in rows if column[row] <= at]
        size = len(low)
        if size < leaf or count - size < leaf:
            continue
        part = sum(low)
        worth = part * part / size + (total - part) ** 2 / (count - size)
        if found is None or worth > most:
            found, most = (number, at), worth
    return found
