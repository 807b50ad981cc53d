"""Parallel coordinates: a line for each run through the values of its parameters to what came of it.

From bad to good the lines get stronger, and better ones lie over worse ones. The value is the last axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.drawing import axes, lanes, measure, told
from lab.projections.drawing.scene import END, MIDDLE, Box, Mark, Scene, Stroke, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.projections.drawing.scene import Item, Point
    from lab.projections.picture.columns import Axis
    from lab.projections.picture.parameters import Parameters, Tried

NAME = "coordinates"
_SIZE, _SMALL = 12.0, 10.5
_LINE = 13.0
_SIDE, _FOOT = 24.0, 18.0
_RIGHT, _MOST_RIGHT = 44.0, 120.0  # for the numbers of the last axis
_NAMES = 16.0  # the height of a row of names
_ENDS = 16.0  # of the numbers above and below an axis
_GUTTER = 28.0  # how far below the axes those lie that are not there
_SCALES = 7
_TICKS = 5
_POINTED_AT = 20  # the best runs have marks of their own, which lead to their pages
_AIR = 5.0
_RANKED, _BEST = "best, by rank", "the best run"
_RAMP = _SCALES * 14 + 4 * _AIR + 34.0  # how wide the legend is without its words
_NOT_THERE = "not there"


def draw(
    parameters: Parameters,
    *,
    width: float = 960,
    height: float = 360,
    href: Callable[[str], str] | None = None,
) -> Scene:
    """The scene. `height` is that of the axes and what belongs to them; sentences come below it."""
    plan = _Plan(parameters, width, height)
    items = [
        *plan.lines(),
        *plan.uprights(),
        *plan.names(),
        *plan.values(),
        *plan.marks(href),
        *plan.highlight(),
        *plan.key(height),
    ]
    below = height + told.LINE * (2 if plan.folded else 1)
    words, end = told.below(_sentences(parameters, plan), (_SIDE, below), width - 2 * _SIDE)
    return Scene(
        name=NAME,
        title=f"Parameters and {parameters.metric or 'value'}",
        told=_told(parameters),
        width=width,
        height=end + 8,
        items=(*items, *words),
    )


class _Plan:
    """Where everything lies."""

    def __init__(self, parameters: Parameters, width: float, height: float) -> None:
        self.parameters, self.width = parameters, width
        self.some_absent = any(place is None for each in parameters.tried for place in each.at)
        self.left = _SIDE + (measure.width(_NOT_THERE, _SMALL) if self.some_absent else 20.0)
        ticks = lanes.value_scale(parameters, 1.0, 0.0).ticks(_TICKS)
        widest = max((measure.width(tick.text, _SMALL) for tick in ticks), default=0.0)
        self.right = float(round(width - min(max(widest + 14, _RIGHT), _MOST_RIGHT)))
        self.room = (self.right - self.left) / max(len(parameters.axes), 1)
        self.staggered = any(measure.width(each.name, _SIZE, bold=True) > self.room - 8 for each in parameters.axes)
        self.top = _NAMES * (2 if self.staggered else 1) + _ENDS + 10
        self.bottom = height - _FOOT - _ENDS - (_GUTTER if self.some_absent else 0.0)
        self.gutter = self.bottom + _GUTTER + 4
        self.y = lanes.value_scale(parameters, self.bottom, self.top)
        key = _RAMP + sum(measure.width(said, _SMALL) for said in ("worst", _RANKED, _BEST))
        self.folded = lanes.best_of(parameters) is not None and _SIDE + key > width  # the legend is in two lines
        self.order = sorted(parameters.tried, key=lambda each: (each.run_id == parameters.best, each.rank))

    def x(self, number: int) -> float:
        return float(round(self.left + number * self.room))

    def place(self, place: float | None) -> float:
        return self.gutter if place is None else self.bottom - place * (self.bottom - self.top)

    def points(self, each: Tried) -> tuple[Point, ...]:
        """Through the axes to the value. To whole pixels: three hundred lines are half of a page else."""
        across = [(self.x(number), float(round(self.place(place)))) for number, place in enumerate(each.at)]
        return (*across, (self.right, float(round(self.y.at(each.value)))))

    def lines(self) -> Iterator[Item]:
        for each in self.order:
            is_best = each.run_id == self.parameters.best
            look = lanes.BEST if is_best else f"scale-{min(int(each.rank * _SCALES), _SCALES - 1)}"
            yield Stroke(look=look, points=self.points(each), width=2.5 if is_best else 1.0)

    def uprights(self) -> Iterator[Item]:
        for number, axis in enumerate(self.parameters.axes):
            x = self.x(number)
            yield Stroke(look="axis", points=((x, self.top), (x, self.bottom)), width=1.0)
            yield from self.choices(axis, x) if axis.choices else self.numbers(axis, x)
        if self.some_absent:
            last = self.x(len(self.parameters.axes) - 1)
            yield Stroke(look="grid", points=((self.left, self.gutter), (last, self.gutter)), dashed=True)
            yield Words(
                look="muted", at=(self.left - _AIR - 4, self.gutter + 4), text=_NOT_THERE, anchor=END, size=_SMALL
            )

    def names(self) -> Iterator[Item]:
        """In two rows where they would touch; the first and last stay inside the frame."""
        names = [*(axis.name for axis in self.parameters.axes), self.parameters.metric or "value"]
        xs = [*(self.x(number) for number in range(len(names) - 1)), self.right]
        most = (2 if self.staggered else 1) * self.room - 8
        rooms = [min(most, 2 * min(x - 2, self.width - x - 2)) for x in xs]
        shown = lanes.apart(names, _SIZE, rooms, bold=True)
        for number, (said, x) in enumerate(zip(shown, xs, strict=True)):
            y = 2 * _NAMES if self.staggered and number % 2 else _NAMES
            yield Words(look="title", at=(x, y), text=said, anchor=MIDDLE, size=_SIZE, bold=True)

    def numbers(self, axis: Axis, x: float) -> Iterator[Item]:
        """What lies at its ends; above that, whether it is logarithmic."""
        room = min(self.room - 6, 2 * (x - 2))
        low, high = axes.number(axis.low), axes.number(axis.high)
        shown = measure.fitted(low, _SMALL, room)
        wide = measure.width(shown, _SMALL) + 2
        yield Box(look="paper", at=(x - wide / 2, self.bottom + 4), width=wide, height=_LINE - 2)
        yield Words(look="tick", at=(x, self.bottom + 13), text=shown, anchor=MIDDLE, size=_SMALL)
        if axis.low < axis.high:
            said = f"{high} (log)" if axis.log and measure.width(f"{high} (log)", _SMALL) <= room else high
            above = measure.fitted(said, _SMALL, room)
            yield Words(look="tick", at=(x, self.top - 6), text=above, anchor=MIDDLE, size=_SMALL)

    def choices(self, axis: Axis, x: float) -> Iterator[Item]:
        """Beside the axis; of many as many as find room."""
        room = self.room - 2 * _AIR - 4
        last = self.top - 1e9
        shown = lanes.apart(axis.choices, _SMALL, [room] * len(axis.choices))
        for (place, _), said in reversed(list(zip(lanes.ends(axis), shown, strict=True))):
            y = self.place(place)
            yield Stroke(look="axis", points=((x - 3, y), (x + 3, y)))
            at = self.clear(y)
            if at - last < _LINE or not said:
                continue
            last = at
            yield from self.beside(said, x + _AIR, at)

    def values(self) -> Iterator[Item]:
        """The last axis: what came of them."""
        yield Stroke(look="axis", points=((self.right, self.top), (self.right, self.bottom)), width=2.0)
        for tick in self.y.ticks(_TICKS):
            y = self.y.at(tick.value)
            said = measure.fitted(tick.text, _SMALL, self.width - self.right - 10)
            yield Stroke(look="axis", points=((self.right, y), (self.right + 4, y)))
            yield Words(look="tick", at=(self.right + 8, y + 4), text=said, size=_SMALL)

    def marks(self, href: Callable[[str], str] | None) -> Iterator[Item]:
        for each in self.order[-_POINTED_AT:]:
            is_best = each.run_id == self.parameters.best
            yield Mark(
                look=lanes.BEST if is_best else f"scale-{min(int(each.rank * _SCALES), _SCALES - 1)}",
                at=(self.right, float(round(self.y.at(each.value)))),
                size=5.0 if is_best else 3.0,
                says=_says(self.parameters, each),
                href=href(each.run_id) if href else "",
            )

    def highlight(self) -> Iterator[Item]:
        """What the best had, on each axis; a number is written beside it."""
        best = lanes.best_of(self.parameters)
        if best is None:
            return
        for number, (axis, place) in enumerate(zip(self.parameters.axes, best.at, strict=True)):
            x, y = self.x(number), float(round(self.place(place)))
            yield Mark(look=lanes.BEST, at=(x, y), size=3.5)
            if place is None or axis.choices or axis.low == axis.high:
                continue
            said = measure.fitted(lanes.spelled(axis, place), _SMALL, self.room - 16)
            if said:
                yield from self.beside(said, x + _AIR + 1, y)

    def clear(self, y: float) -> float:
        return min(max(y, self.top + 5), self.bottom - 6)

    def beside(self, said: str, x: float, y: float) -> Iterator[Item]:
        """Words on paper, for lines run through there; clear of the numbers above and below the axes."""
        y = self.clear(y)
        yield Box(look="paper", at=(x, y - 7), width=measure.width(said, _SMALL) + 2, height=_LINE)
        yield Words(look="label", at=(x + 1, y + 4), text=said, size=_SMALL)

    def key(self, y: float) -> Iterator[Item]:
        """What the looks mean, from left to right."""
        x = _SIDE + measure.width("worst", _SMALL) + _AIR
        yield Words(look="muted", at=(x - _AIR, y), text="worst", anchor=END, size=_SMALL)
        for number in range(_SCALES):
            yield Box(look=f"scale-{number}", at=(x + number * 14, y - 8), width=14, height=9)
        yield Words(look="muted", at=(x + _SCALES * 14 + _AIR, y), text=_RANKED, size=_SMALL)
        x += _SCALES * 14 + 2 * _AIR + measure.width(_RANKED, _SMALL) + 14
        if self.folded:
            x, y = _SIDE, y + told.LINE
        if lanes.best_of(self.parameters):
            yield Stroke(look=lanes.BEST, points=((x, y - 4), (x + 20, y - 4)), width=2.5)
            yield Words(look="muted", at=(x + 20 + _AIR, y), text=_BEST, size=_SMALL)


def _says(parameters: Parameters, each: Tried) -> str:
    had = ", ".join(
        f"{axis.name} {lanes.spelled(axis, place)}"
        for axis, place in zip(parameters.axes, each.at, strict=True)
        if place is not None
    )
    best = ", the best" if each.run_id == parameters.best else ""
    return f"{text.line(each.run_id)}{best}: {axes.number(each.value, 6)} with {had}"


def _sentences(parameters: Parameters, plan: _Plan) -> list[str]:
    sample = parameters.sample
    better = "lower" if parameters.direction == MINIMIZE else "higher"
    said = f"{better.capitalize()} is better. "
    if sample.shown < sample.total:
        said += f"Shown are {sample.shown:,} of {sample.total:,} runs with a value: {sample.rule}. "
    elif sample.rule and ";" in sample.rule:
        said += f"Shown: {sample.rule}. "
    if len(parameters.tried) > 1 and len({each.value for each in parameters.tried}) == 1:
        said += "All have the same value. "
    outside = sum(not plan.y.holds(each.value) for each in parameters.tried)
    if outside:
        said += f"{text.count(outside, 'value')} beyond the last axis, drawn at its end. "
    if parameters.left_out:
        said += f"{text.count(parameters.left_out, 'more parameter')} not shown. "
    said += lanes.unvalued(parameters)
    return [said.strip()]


def _told(parameters: Parameters) -> str:
    """For those who do not see it."""
    names = ", ".join(axis.name for axis in parameters.axes)
    best = lanes.best_of(parameters)
    found = f" {_says(parameters, best)}." if best else ""
    return f"{text.count(len(parameters.tried), 'run')} over {names}.{found}"
