"""Where labels go: none lies on another, none leaves the frame, and what finds no place is counted.

Each is tried at many places around its mark, the nearest and emptiest first. The weightiest label chooses first.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing import scene as scenes
from lab.projections.drawing.measure import fitted, width
from lab.projections.drawing.scene import Point, Stroke, Words  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.projections.drawing.scene import Item

BLOCKED = 1_000.0  # what no label may lie on
_CELL = 6.0
_ABOVE, _BELOW = 0.98, 0.30  # of the size: how far letters reach over and under their baseline
_GAP = 8.0
_ROWS = 16
_AWAY = 0.012  # cost of a pixel between mark and label
_WRONG_SIDE = 0.6
_OFF = 0.15  # cost of not standing beside the mark
_ACROSS = 0.12  # and of standing under it, where no leader of another label could pass
_CUT = 0.8  # cost of showing less of the text
_SHORT = 0.5  # of the room: what is tried when the whole text finds no place
_LEADER_FROM = 12.0
_FURTHEST = 130.0  # pixels from its mark: a label that is further is not read as its own
_DEAREST = 4.0  # what a place may cost: over a dense crowd nobody reads a label
_TRIED = 80  # labels that look for a place; the rest is counted as dropped


class Area(msgspec.Struct, frozen=True, kw_only=True):
    """An upright rectangle by its sides; `top` is the smaller number."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Area) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Area) -> bool:
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """A label for the mark `at`. `below` says on which side of it there is more room; `weight`, who chooses first."""

    text: str
    at: Point
    weight: float = 0.0
    below: bool = True
    href: str = ""


class Label(msgspec.Struct, frozen=True, kw_only=True):
    """A label with its place. `area` bounds what its letters cover; `leader` leads there from its mark."""

    text: str
    at: Point
    area: Area
    anchor: str = scenes.START  # the side that is certain: how wide letters are is not known to the pixel
    href: str = ""
    leader: tuple[Point, Point] | None = None


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """The labels that found a place, and how many did not."""

    labels: tuple[Label, ...]
    dropped: int = 0

    def leaders(self) -> Iterator[Item]:
        """The lines from marks to labels, to be drawn before marks and words: no line goes over letters."""
        for label in self.labels:
            if label.leader is not None:
                yield Stroke(look="leader", points=label.leader, width=0.8)

    def words(self, size: float) -> Iterator[Item]:
        """The labels themselves."""
        for label in self.labels:
            yield Words(look="label", at=label.at, text=label.text, anchor=label.anchor, size=size, href=label.href)


class Busy:
    """What is drawn already, on a coarse grid: how much of a place is taken."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, int], float] = {}

    def spot(self, at: Point, weight: float = 1.0, radius: float = 0.0) -> None:
        """A mark."""
        for cell in _cells(at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius):
            self._cells[cell] = self._cells.get(cell, 0.0) + weight

    def path(self, points: Sequence[Point], weight: float = BLOCKED) -> None:
        """A line of upright and level pieces."""
        for (x, y), (to_x, to_y) in itertools.pairwise(points):
            for cell in _cells(min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y)):
                self._cells[cell] = self._cells.get(cell, 0.0) + weight

    def area(self, area: Area, weight: float = BLOCKED) -> None:
        """A place where other words stand."""
        for cell in _cells(area.left, area.top, area.right, area.bottom):
            self._cells[cell] = self._cells.get(cell, 0.0) + weight

    def cost(self, area: Area) -> float:
        cells = self._cells
        return sum(cells.get(cell, 0.0) for cell in _cells(area.left, area.top, area.right, area.bottom))


def place(wanted: Iterable[Wanted], frame: Area, busy: Busy, *, size: float = 11.0, room: float = 230.0) -> Placed:
    """Find places inside the frame, in which no label is wider than `room`."""
    ranked = sorted(wanted, key=lambda each: (-each.weight, each.at, each.text, each.below, each.href))
    labels: list[Label] = []
    dropped = 0
    for each in ranked:
        found = _best(each, frame, busy, labels, size=size, room=room) if len(labels) < _TRIED else None
        if found is None:
            dropped += 1
        else:
            labels.append(found)
    return Placed(labels=tuple(labels), dropped=dropped)


def area_of(text: str, at: Point, size: float, anchor: str = scenes.START) -> Area:
    """What words cover at most."""
    wide = width(text, size)
    left = at[0] - (wide if anchor == scenes.END else wide / 2 if anchor == scenes.MIDDLE else 0.0)
    return Area(left=left, top=at[1] - _ABOVE * size, right=left + wide, bottom=at[1] + _BELOW * size)


def _best(
    wanted: Wanted, frame: Area, busy: Busy, labels: Sequence[Label], *, size: float, room: float
) -> Label | None:
    """The cheapest place that is free; None where there is none."""
    best: tuple[float, Label] | None = None
    for share in (1.0, _SHORT):
        text = _cut(wanted.text, size, room * share)
        if not text or (share < 1 and text == wanted.text):
            continue
        cut = 0.0 if text == wanted.text else _CUT
        for found, place_cost in _places(text, wanted, size):
            least = place_cost + cut
            if (best is not None and least >= best[0]) or not found.area.inside(frame) or not _free(found, labels):
                continue
            cost = least + busy.cost(found.area)
            if cost <= _DEAREST and (best is None or cost < best[0]):
                best = (cost, found)
        if best is not None:
            return best[1]
    return None


def _cut(text: str, size: float, room: float) -> str:
    """As much of a text as fits; where it can be, up to a comma: half of `depth 3 -> 9` would say another thing."""
    told = fitted(text, size, room)
    if told == text:
        return text
    whole, comma, _ = told.rpartition(", ")
    return f"{whole}, …" if comma and len(whole) > len(told) / 3 else told


def _places(text: str, wanted: Wanted, size: float) -> Iterator[tuple[Label, float]]:
    """Rows on the roomy side, then on the other; in each to the left, across and to the right of the mark."""
    x, y = wanted.at
    line = size * (_ABOVE + _BELOW)
    wide = width(text, size)
    for below, penalty in ((wanted.below, 0.0), (not wanted.below, _WRONG_SIDE)):
        for row in range(_ROWS):
            middle = y + (1 if below else -1) * row * line
            for left in (x - _GAP - wide, x - wide * 0.75, x - wide / 2, x - wide / 4, x + _GAP):
                beside = left + wide <= x - _GAP or left >= x + _GAP
                if row == 0 and not beside:
                    continue
                at = (left, middle + size * (_ABOVE - _BELOW) / 2)
                area = area_of(text, at, size)
                near = (min(max(x, area.left), area.right), area.top if middle > y else area.bottom)
                if row == 0:
                    near = (area.right if left < x else area.left, middle)
                away = abs(near[0] - x) + abs(near[1] - y)
                if away > _FURTHEST:
                    continue
                leader = (wanted.at, near) if away > _LEADER_FROM else None
                anchor = scenes.END if area.right < x else scenes.START if left > x else scenes.MIDDLE
                at = ({scenes.END: area.right, scenes.MIDDLE: left + wide / 2}.get(anchor, left), at[1])
                label = Label(text=text, at=at, area=area, anchor=anchor, href=wanted.href, leader=leader)
                cost = penalty + _AWAY * away + (_OFF if row else 0.0) + (0.0 if beside else _ACROSS)
                yield label, cost + (0.05 if left > x else 0.0)


def _free(label: Label, labels: Sequence[Label]) -> bool:
    """Whether neither it nor its leader comes upon another label, and no leader of another upon it."""
    for other in labels:
        if label.area.overlaps(other.area):
            return False
        if label.leader is not None and _crosses(label.leader, other.area):
            return False
        if other.leader is not None and _crosses(other.leader, label.area):
            return False
        if label.leader is not None and other.leader is not None and _meet(label.leader, other.leader):
            return False
    return True


def _meet(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two lines cross: the ends of each lie on both sides of the other."""
    return _side(one, other[0]) * _side(one, other[1]) < 0 and _side(other, one[0]) * _side(other, one[1]) < 0


def _side(line: tuple[Point, Point], point: Point) -> float:
    (x, y), (to_x, to_y) = line
    return (to_x - x) * (point[1] - y) - (to_y - y) * (point[0] - x)


def _crosses(line: tuple[Point, Point], area: Area) -> bool:
    """Whether a line comes into an area: it is cut off at each side in turn, and something is left of it."""
    (x, y), (to_x, to_y) = line
    enters, leaves = 0.0, 1.0
    for start, delta, low, high in ((x, to_x - x, area.left, area.right), (y, to_y - y, area.top, area.bottom)):
        if delta == 0:
            if not low < start < high:
                return False
            continue
        one, other = (low - start) / delta, (high - start) / delta
        enters, leaves = max(enters, min(one, other)), min(leaves, max(one, other))
    return enters < leaves


def _cells(left: float, top: float, right: float, bottom: float) -> Iterator[tuple[int, int]]:
    rows = range(int(top // _CELL), int(bottom // _CELL) + 1)
    for column in range(int(left // _CELL), int(right // _CELL) + 1):
        for row in rows:
            yield column, row
