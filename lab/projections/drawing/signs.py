"""The sign of each kind of run, and the lines below a picture that say what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import legend
from lab.projections.drawing.legend import Entry
from lab.projections.drawing.runs import STYLES
from lab.projections.drawing.scene import CIRCLE, CROSS, Words
from lab.projections.picture import given, stairs, words

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.projections.drawing.scene import Item

# kind -> (look, shape), in the order in which they are listed: those of the staircase, then what is under way.
SIGNS: dict[str, tuple[str, str]] = {
    **{kind: (kind, STYLES[kind][0]) for kind in stairs.KINDS},
    given.RUNNING: ("running", CIRCLE),
    given.WAITING: ("running", CIRCLE),
    given.LOST: ("crash", CROSS),
}
SMALL = legend.SIZE
LEAST_WIDTH = 320.0
MOST_HEIGHT = 8 * legend.LINE  # what a foot may take, about


def sign(kind: str) -> tuple[str, str]:
    """Look and shape; a kind that nobody knows looks like what was discarded."""
    return SIGNS.get(kind, SIGNS[stairs.DISCARD])


def counted(of_: Iterable[tuple[str, int]]) -> str:
    """`180 discard, 30 crash`."""
    return ", ".join(f"{count:,} {words.of(kind)}" for kind, count in of_)


def entries(counts: Mapping[str, int], *, boxes: bool = False) -> list[Entry]:
    """What there is of each kind; `boxes` where the picture has bars for them and no marks."""
    return [
        Entry(look=look, text=f"{words.of(kind)} {counts[kind]:,}", shape=legend.AREA if boxes else shape)
        for kind, (look, shape) in SIGNS.items()
        if counts.get(kind)
    ]


def foot(
    listed: Sequence[Entry], said: Iterable[str], at: tuple[float, float], room: float
) -> tuple[list[Item], float]:
    """The legend, then what has to be said, from a point downwards; and where all of it ends."""
    left, top = at
    rows = legend.rows(listed, room)
    items: list[Item] = list(legend.items(rows, left, top))
    y = top + len(rows) * legend.LINE
    for row in legend.wrapped((text.line(each, 600) for each in said), room):
        y += legend.LINE
        items.append(Words(look="muted", at=(left, y), text=row, size=SMALL))
    return items, y + 10


def sentence(said: str) -> str:
    """With a capital letter and a full stop; empty stays empty."""
    return f"{said[0].upper()}{said[1:]}." if said else ""
