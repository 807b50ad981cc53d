"""A scene: marks on a plane, in units of CSS pixels from the upper left corner. What it becomes is others' matter.

A mark has a look and not a colour: a word of LOOKS, which a page fills in for light, dark and paper. Words are shown as
they are: whoever makes a scene cuts and cleans what people wrote (`projections.text`).
"""

from __future__ import annotations

import msgspec

Point = tuple[float, float]

# A look of a mark. `series-0` to `series-7` tell apart what has no order; `scale-0` to `scale-6` go from bad to good.
LOOKS = frozenset({
    "paper", "axis", "grid", "tick", "title", "label", "muted", "leader", "frame",
    "keep", "best", "within", "discard", "crash", "cancelled", "running", "baseline", "claimed",
    "replayed", "unmeasured", "done",
    "stair", "band", "bar", "hint", "clipped",
    *(f"series-{number}" for number in range(8)),
    *(f"scale-{number}" for number in range(7)),
})  # fmt: skip
MIDDLE, START, END = "middle", "start", "end"
CIRCLE, CROSS, SQUARE, TRIANGLE_UP, TRIANGLE_DOWN, DIAMOND = (
    "circle", "cross", "square", "triangle-up", "triangle-down", "diamond",
)  # fmt: skip

_CROSS_WIDTH, _CROSS_SIZE = 1.6, 3.0
MORE_GAP, MORE_SIZE = 12.0, 12.0


class Stroke(msgspec.Struct, frozen=True, kw_only=True, tag="stroke"):
    """A line through points. `close` makes an area of it, which is filled and has no edge."""

    look: str
    points: tuple[Point, ...]
    width: float = 1.0
    close: bool = False
    dashed: bool = False


class Mark(msgspec.Struct, frozen=True, kw_only=True, tag="mark"):
    """One thing to point at: `says` is its tooltip and what a screen reader says, `href` where it leads."""

    look: str
    at: Point
    shape: str = CIRCLE
    size: float = 3.0  # half its width
    says: str = ""
    href: str = ""


class Marks(msgspec.Struct, frozen=True, kw_only=True, tag="marks"):
    """Many things that look alike and that nobody points at: they cost a few bytes each."""

    look: str
    at: tuple[Point, ...]
    shape: str = CIRCLE
    size: float = 2.0


class Box(msgspec.Struct, frozen=True, kw_only=True, tag="box"):
    """An upright rectangle from its upper left corner."""

    look: str
    at: Point
    width: float
    height: float
    says: str = ""
    href: str = ""


class Words(msgspec.Struct, frozen=True, kw_only=True, tag="words"):
    """A line of text; `at` is on its baseline, at its start, middle or end.

    `more` goes on in the same line, after a gap, plain and muted, wherever the letters before it end.
    """

    look: str
    at: Point
    text: str
    anchor: str = START
    size: float = 12.0
    bold: bool = False
    href: str = ""
    more: str = ""


Item = Stroke | Mark | Marks | Box | Words


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """A picture. `name` is an id, unique on its page; `title` and `told` are for those who do not see it."""

    name: str
    title: str
    told: str
    width: float
    height: float
    items: tuple[Item, ...]


def cross_width(size: float) -> float:
    """How thick the lines of a cross are: a small one would else be a blot."""
    return min(_CROSS_WIDTH, _CROSS_WIDTH * size / _CROSS_SIZE)
