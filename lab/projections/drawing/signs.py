"""The sign of each kind of run, the same in every picture, and the lines below a picture that say what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import measure
from lab.projections.drawing.scene import CIRCLE, CROSS, SQUARE, TRIANGLE_UP, Mark, Words
from lab.projections.picture import stairs, timeline

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.projections.drawing.scene import Item

# kind -> (look, shape, name), in the order in which they are listed. Who cannot tell the colours has the shapes.
SIGNS: dict[str, tuple[str, str, str]] = {
    stairs.BASELINE: ("baseline", SQUARE, "baseline"),
    stairs.KEEP: ("keep", CIRCLE, "keep"),
    stairs.WITHIN: ("within", CIRCLE, "within noise"),
    stairs.DISCARD: ("discard", CIRCLE, "discard"),
    stairs.CRASH: ("crash", CROSS, "crash"),
    stairs.CANCELLED: ("cancelled", SQUARE, "cancelled"),
    stairs.CLAIMED: ("claimed", TRIANGLE_UP, "claimed elsewhere"),
    timeline.RUNNING: ("running", CIRCLE, "under way"),
    timeline.WAITING: ("running", CIRCLE, "waiting"),
    timeline.LOST: ("crash", CROSS, "lost"),
    timeline.SEVERAL: ("discard", CIRCLE, "several"),
}
SMALL = 11.0
_LINE, _GAP, _SIGN = 17.0, 18.0, 12.0
_MOST_LINES = 3  # of what is said about the sample
MOST_HEIGHT = 6 * _LINE


def sign(kind: str) -> tuple[str, str]:
    """Look and shape; a kind that nobody knows looks like what was discarded."""
    look, shape, _ = SIGNS.get(kind, SIGNS[stairs.DISCARD])
    return look, shape


def name(kind: str) -> str:
    """The kind in a word."""
    return SIGNS[kind][2] if kind in SIGNS else text.line(kind, 40)


def counted(of_: tuple[tuple[str, int], ...]) -> str:
    """`180 discard, 30 crash`."""
    return ", ".join(f"{count:,} {name(kind)}" for kind, count in of_)


def foot(
    counts: Mapping[str, int], said: str, at: tuple[float, float], width: float, *, boxes: bool = False
) -> tuple[list[Item], float]:
    """The signs that are there, with how many of each, then what is said below them; and where all of it ends.

    `boxes` has squares for all of them, where a picture has bars and no marks.
    """
    left, y = at
    x = left
    items: list[Item] = []
    for kind, (look, shape, named) in SIGNS.items():
        if not counts.get(kind):
            continue
        told = f"{named} {counts[kind]:,}"
        wide = _SIGN + measure.width(told, SMALL)
        if x > left and x + wide > left + width:
            x, y = left, y + _LINE
        items.append(Mark(look=look, at=(x + 4, y - 4), shape=SQUARE if boxes else shape, size=4))
        items.append(Words(look="muted", at=(x + _SIGN, y), text=told, size=SMALL))
        x += wide + _GAP
    rows = wrapped(said, width)
    for row in rows:
        y += _LINE if items else 0
        items.append(Words(look="muted", at=(left, y), text=row, size=SMALL))
    return items, y + 10


def wrapped(said: str, width: float) -> list[str]:
    """A sentence in at most a few lines; what does not fit into the last ends in an ellipsis."""
    rows: list[str] = []
    words = text.line(said, 600).split()
    while words:
        if len(rows) == _MOST_LINES - 1:
            return [*rows, measure.fitted(" ".join(words), SMALL, width)]
        row = [words.pop(0)]
        while words and measure.width(" ".join((*row, words[0])), SMALL) <= width:
            row.append(words.pop(0))
        rows.append(measure.fitted(" ".join(row), SMALL, width))
    return rows
