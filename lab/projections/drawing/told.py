"""What a picture says of itself in sentences, in as many lines as they need."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import legend
from lab.projections.drawing.scene import Words

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.projections.drawing.scene import Point

SIZE = legend.SIZE
LINE = 16.0
_CHARS = 600


def below(sentences: Iterable[str], at: Point, room: float) -> tuple[list[Words], float]:
    """The sentences from here downwards, and where they end. `at` is on the first baseline."""
    x, y = at
    items = []
    for row in (row for said in sentences for row in legend.wrapped([text.line(said, _CHARS)], room)):
        items.append(Words(look="muted", at=(x, y), text=row, size=SIZE))
        y += LINE
    return items, y - LINE + SIZE * 0.4 if items else y - SIZE
