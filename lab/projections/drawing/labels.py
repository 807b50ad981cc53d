"""Where labels go: none lies on another, none leaves the frame, and what finds no place is counted.

Each is tried at many places around its mark, the nearest and emptiest first. The weightiest label chooses first.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, NamedTuple

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
_APART, _LINES_APART = 6.0, 1.0  # between two labels: else they are read as one
_ROWS, _ROW = 20, 0.5  # and how far apart, of the height of a line: further than _FURTHEST nothing is tried
_ASIDE = 36.0  # further from the mark: beyond a line beside it
_AWAY = 0.012  # cost of a pixel between mark and label
_WRONG_SIDE = 0.6
_OFF = 0.15  # cost of not standing beside the mark
_ACROSS = 0.12  # and of standing under it, where no leader of another label could pass
_CUT = 0.8  # cost of showing less of the text
_SHORT = 0.5  # of the room: what is tried when the whole text finds no place
_LEADER_FROM = 12.0
_FURTHEST = 130.0  # pixels from its mark: a label that is further is not read as its own
_DEAREST = 10.0  # what a place may cost: over a dense crowd nobody reads a label
_MOST = 80  # labels that get a place; the rest is counted as dropped


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
        self._sums: list[list[float]] = []  # of all cells to the left of and above each; made when it is asked for
        self._corner = (0, 0)

    def spot(self, at: Point, weight: float = 1.0, radius: float = 0.0) -> None:
        """A mark."""
        self._take(weight, at[0] - radius, at[1] - radius, at[0] + radius, at[1] + radius)

    def path(self, points: Sequence[Point], weight: float = BLOCKED) -> None:
        """A line of upright and level pieces."""
        for (x, y), (to_x, to_y) in itertools.pairwise(points):
            self._take(weight, min(x, to_x), min(y, to_y), max(x, to_x), max(y, to_y))

    def area(self, area: Area, weight: float = BLOCKED) -> None:
        """A place where other words stand."""
        self._take(weight, area.left, area.top, area.right, area.bottom)

    def cost(self, area: Area) -> float:
        """What is taken of a place, by four look-ups: thousands of places are tried."""
        if not self._cells:
            return 0.0
        if not self._sums:
            self._summed()
        sums, (first, top) = self._sums, self._corner
        across, down = len(sums) - 1, len(sums[0]) - 1
        left = min(max(int(area.left // _CELL) - first, 0), across)
        right = min(max(int(area.right // _CELL) + 1 - first, 0), across)
        upper = min(max(int(area.top // _CELL) - top, 0), down)
        lower = min(max(int(area.bottom // _CELL) + 1 - top, 0), down)
        return sums[right][lower] - sums[left][lower] - sums[right][upper] + sums[left][upper]

    def _take(self, weight: float, left: float, top: float, right: float, bottom: float) -> None:
        self._sums = []
        rows = range(int(top // _CELL), int(bottom // _CELL) + 1)
        for column in range(int(left // _CELL), int(right // _CELL) + 1):
            for row in rows:
                self._cells[column, row] = self._cells.get((column, row), 0.0) + weight

    def _summed(self) -> None:
        columns, rows = [column for column, _ in self._cells], [row for _, row in self._cells]
        first, top, down = min(columns), min(rows), max(rows) + 1
        before = [0.0] * (down - top + 1)
        self._corner, self._sums = (first, top), [before]
        for column in range(first, max(columns) + 1):
            taken = (self._cells.get((column, row), 0.0) for row in range(top, down))
            before = [last + here for last, here in zip(before, itertools.accumulate(taken, initial=0.0), strict=True)]
            self._sums.append(before)


def place(wanted: Iterable[Wanted], frame: Area, busy: Busy, *, size: float = 11.0, room: float = 230.0) -> Placed:
    """Find places inside the frame, in which no label is wider than `room`."""
    ranked = sorted(wanted, key=lambda each: (-each.weight, each.at, each.text, each.below, each.href))
    labels: list[Label] = []
    dropped = 0
    for each in ranked:
        found = _best(each, frame, busy, labels, size=size, room=room) if len(labels) < _MOST else None
        if found is None:
            dropped += 1
        else:
            labels.append(found)
    return Placed(labels=tuple(labels), dropped=dropped)


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
        for tried in _places(wanted.at, width(text, size), size, below=wanted.below):
            least, area = tried.cost + cut, tried.area
            if (best is not None and least >= best[0]) or not area.inside(frame):
                continue
            cost = least + busy.cost(area)
            if cost > _DEAREST or (best is not None and cost >= best[0]):
                continue
            label = _label(text, wanted, tried, size)
            if _free(label, labels):
                best = (cost, label)
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


class _Tried(NamedTuple):
    """A place for a label: what it costs by itself, what it covers, and where its leader would end."""

    cost: float
    area: Area
    near: Point
    away: float


def _places(mark: Point, wide: float, size: float, *, below: bool) -> Iterator[_Tried]:
    """Rows on the roomy side, then on the other; in each to the left, across and to the right of the mark."""
    x, y = mark
    line = size * (_ABOVE + _BELOW)
    lefts = (
        x - _GAP - wide, x - wide * 0.75, x - wide / 2, x - wide / 4, x + _GAP, x + _ASIDE, x + 2 * _ASIDE,
        x - _ASIDE - wide,
    )  # fmt: skip
    for down, penalty in ((below, 0.0), (not below, _WRONG_SIDE)):
        for row in range(_ROWS):
            middle = y + (1 if down else -1) * row * _ROW * line
            for left in lefts:
                right = left + wide
                beside = right <= x - _GAP or left >= x + _GAP
                if row < 1 / _ROW and not beside:
                    continue
                area = Area(left=left, top=middle - line / 2, right=right, bottom=middle + line / 2)
                near = (min(max(x, left), right), area.top if middle > y else area.bottom)
                if row < 1 / _ROW:
                    near = (right if left < x else left, middle)
                away = abs(near[0] - x) + abs(near[1] - y)
                if away <= _FURTHEST:
                    cost = penalty + _AWAY * away + (_OFF if row else 0.0) + (0.0 if beside else _ACROSS)
                    yield _Tried(cost + (0.05 if left > x else 0.0), area, near, away)


def _label(text: str, wanted: Wanted, tried: _Tried, size: float) -> Label:
    area, x = tried.area, wanted.at[0]
    anchor = scenes.END if area.right < x else scenes.START if area.left > x else scenes.MIDDLE
    side = {scenes.END: area.right, scenes.MIDDLE: (area.left + area.right) / 2}.get(anchor, area.left)
    at = (side, area.top + size * _ABOVE)
    leader = (wanted.at, tried.near) if tried.away > _LEADER_FROM else None
    return Label(text=text, at=at, area=area, anchor=anchor, href=wanted.href, leader=leader)


def _free(label: Label, labels: Sequence[Label]) -> bool:
    """Whether neither it nor its leader comes upon another label, and no leader of another upon it."""
    for other in labels:
        if label.area.overlaps(_around(other.area)):
            return False
        if label.leader is not None and _crosses(label.leader, other.area):
            return False
        if other.leader is not None and _crosses(other.leader, label.area):
            return False
        if label.leader is not None and other.leader is not None and _meet(label.leader, other.leader):
            return False
    return True


def _around(area: Area) -> Area:
    """With the room that a label leaves free to the next."""
    return Area(
        left=area.left - _APART,
        top=area.top - _LINES_APART,
        right=area.right + _APART,
        bottom=area.bottom + _LINES_APART,
    )


def _meet(one: tuple[Point, Point], other: tuple[Point, Point]) -> bool:
    """Whether two lines cross: the ends of each lie on both sides of the other."""
    return _side(one, other[0]) * _side(one, other[1]) < 0 and _side(other, one[0]) * _side(other, one[1]) < 0


def _side(line: tuple[Point, Point], point: Point) -> float:
    (x, y), (to_x, to_y) = line
    return (to_x - x) * (point[1] - y) - (to_y - y) * (point[0] - x)


def _crosses(line: tuple[Point, Point], area: Area) -> bool:
    """Whether a line comes into an area: it is cut off at each side in turn, and something is left of it."""
    (x, y), (to_x, to_y) = line
    if (
        (x <= area.left and to_x <= area.left)
        or (x >= area.right and to_x >= area.right)
        or (y <= area.top and to_y <= area.top)
        or (y >= area.bottom and to_y >= area.bottom)
    ):  # as nearly all are
        return False
    enters, leaves = 0.0, 1.0
    for start, delta, low, high in ((x, to_x - x, area.left, area.right), (y, to_y - y, area.top, area.bottom)):
        if delta == 0:
            if not low < start < high:
                return False
            continue
        one, other = (low - start) / delta, (high - start) / delta
        enters, leaves = max(enters, min(one, other)), min(leaves, max(one, other))
    return enters < leaves
