"""Words on poles above a row of marks: none covers another or a pole, none leaves the frame; of note come first."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from lab.projections.drawing import measure
from lab.projections.drawing.scene import END, START, Stroke, Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.projections.drawing.scene import Item

SIZE = 11.0
ROWS = 5
MOST = 60  # of those that are wanted, the weightiest
_HIGH = 15.0
_AIR = 4.0


class Wanted(NamedTuple):
    """Words for the mark at `x`. Those of more weight are placed first."""

    x: float
    text: str
    weight: float
    bold: bool = False


class Flag(msgspec.Struct, frozen=True, kw_only=True):
    """Words that found a place. Row 0 is the lowest; words end at the pole where there is no room to its right."""

    x: float
    row: int
    text: str
    left: float
    right: float
    ends: bool = False
    bold: bool = False


def placed(wanted: Sequence[Wanted], left: float, right: float) -> list[Flag]:
    """Those that find a place, from left to right."""
    found: list[Flag] = []
    ranked = sorted((each for each in wanted if each.text), key=lambda each: (-each.weight, each.x))
    for each in ranked[:MOST]:
        for flag in _tries(each, left, right):
            arranged = _arranged([*found, flag])
            if arranged:
                found = arranged
                break
    return sorted(found, key=lambda flag: flag.x)


def height(flags: Sequence[Flag]) -> float:
    """How much room they take above their marks."""
    return _HIGH * (max((flag.row for flag in flags), default=-1) + 1) + (_AIR if flags else 0)


def items(flags: Sequence[Flag], foot: float) -> Iterator[Item]:
    """The poles, which end at `foot`, and the words."""
    for flag in flags:
        yield Stroke(look="leader", points=((flag.x, foot), (flag.x, foot - _HIGH * (flag.row + 1) + 2)), width=0.75)
    for flag in flags:
        at = (flag.x - _AIR if flag.ends else flag.x + _AIR, foot - _HIGH * flag.row - _AIR)
        anchor = END if flag.ends else START
        yield Words(look="label", at=at, text=flag.text, anchor=anchor, size=SIZE, bold=flag.bold)


def _tries(each: Wanted, left: float, right: float) -> Iterator[Flag]:
    """To the right of its pole, or to the left."""
    wide = measure.width(each.text, SIZE, bold=each.bold) + _AIR
    if each.x + wide <= right:
        yield Flag(x=each.x, row=0, text=each.text, left=each.x, right=each.x + wide, bold=each.bold)
    if each.x - wide >= left:
        yield Flag(x=each.x, row=0, text=each.text, left=each.x - wide, right=each.x, ends=True, bold=each.bold)


def _arranged(flags: Sequence[Flag]) -> list[Flag]:
    """The same flags on rows where none meets another; none where there is no such way.

    Words stand above every pole that they reach over: so from the right on, and those that end at their pole from
    the left on.
    """
    placed: list[Flag] = []
    for each in sorted(flags, key=lambda flag: (flag.ends, flag.x if flag.ends else -flag.x)):
        row = max((one.row for one in placed if _over(each, one)), default=-1) + 1
        if row == ROWS:
            return []
        flag = msgspec.structs.replace(each, row=row)
        if any(_meet(flag, one) for one in placed):
            return []
        placed.append(flag)
    return placed


def _over(one: Flag, other: Flag) -> bool:
    """Whether the words of the two would meet if they stood on one row. The pole is a side of its words."""
    return one.left - _AIR < other.right and other.left - _AIR < one.right


def _meet(one: Flag, other: Flag) -> bool:
    """Whether the words of the two meet, or the pole of one runs through the words of the other."""
    if one.row == other.row:
        return _over(one, other)
    high, low = (one, other) if one.row > other.row else (other, one)
    return low.left - _AIR < high.x < low.right + _AIR and low.x != high.x
