"""What a picture says of itself in sentences, in as many lines as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import measure
from lab.projections.drawing.scene import Words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.projections.drawing.scene import Point

SIZE = 11.0
LINE = 16.0
_CHARS = 600


def rows(said: str, room: float, size: float = SIZE) -> list[str]:
    """A sentence, broken between words; a word that is wider than the room is cut."""
    found: list[str] = []
    row = ""
    for word in text.line(said, _CHARS).split():
        longer = f"{row} {word}" if row else word
        if row and measure.width(longer, size) > room:
            found.append(row)
            longer = word
        row = longer if measure.width(longer, size) <= room else measure.fitted(longer, size, room)
    return [*found, row] if row else found


def below(sentences: Iterable[str], at: Point, room: float) -> tuple[list[Words], float]:
    """The sentences from here downwards, and where they end. `at` is on the first baseline."""
    x, y = at
    items = []
    for row in (row for said in sentences for row in rows(said, room)):
        items.append(Words(look="muted", at=(x, y), text=row, size=SIZE))
        y += LINE
    return items, y - LINE + SIZE * 0.4 if items else y - SIZE
