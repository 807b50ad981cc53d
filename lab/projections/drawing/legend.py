"""Words around a drawing: what its marks mean, and what has to be said of it, in as many lines as that takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing.measure import fitted, width
from lab.projections.drawing.scene import CIRCLE, Box, Mark, Stroke, Words

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.projections.drawing.scene import Item

SIZE = 11.0
LINE = 15.0
_SWATCH, _GAP = 14.0, 16.0


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One look and its words. The shape `area` is a swatch, `line` a stroke, `dashes` a broken one."""

    look: str
    text: str
    shape: str = CIRCLE
    size: float = 4.0


AREA, LINE_SHAPE, DASHES = "area", "line", "dashes"


def rows(entries: Iterable[Entry], room: float) -> list[list[Entry]]:
    """The entries in lines that are no wider than `room`."""
    found: list[list[Entry]] = [[]]
    taken = 0.0
    for entry in entries:
        text = fitted(entry.text, SIZE, room - _SWATCH)
        wide = _SWATCH + width(text, SIZE) + _GAP
        if found[-1] and taken + wide - _GAP > room:
            found.append([])
            taken = 0.0
        found[-1].append(msgspec.structs.replace(entry, text=text))
        taken += wide
    return [row for row in found if row]


def items(lines: Sequence[Sequence[Entry]], left: float, top: float) -> Iterator[Item]:
    """The legend, its first line at `top`."""
    for number, row in enumerate(lines):
        x, y = left, top + number * LINE + LINE / 2
        for entry in row:
            yield _swatch(entry, x, y)
            yield Words(look="muted", at=(x + _SWATCH, y + SIZE * 0.36), text=entry.text, size=SIZE)
            x += _SWATCH + width(entry.text, SIZE) + _GAP


def wrapped(sentences: Iterable[str], room: float, size: float = SIZE) -> list[str]:
    """Sentences in lines that are no wider than `room`. A word that is wider by itself is cut."""
    found: list[str] = []
    for word in " ".join(sentences).split():
        longer = f"{found[-1]} {word}" if found else word
        if found and width(longer, size) <= room:
            found[-1] = longer
        else:
            found.append(fitted(word, size, room))
    return found


def _swatch(entry: Entry, x: float, y: float) -> Item:
    if entry.shape == AREA:
        return Box(look=entry.look, at=(x, y - 4), width=_SWATCH - 4, height=8)
    if entry.shape in (LINE_SHAPE, DASHES):
        ends = ((x, y), (x + _SWATCH - 4, y))
        return Stroke(look=entry.look, points=ends, width=2, dashed=entry.shape == DASHES)
    return Mark(look=entry.look, at=(x + 5, y), shape=entry.shape, size=entry.size)
