"""One parameter against the value: a small picture, of which several stand side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import axes, lanes, measure
from lab.projections.drawing.scene import (
    CIRCLE,
    END,
    MIDDLE,
    TRIANGLE_DOWN,
    TRIANGLE_UP,
    Mark,
    Marks,
    Scene,
    Stroke,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.projections.drawing.scene import Item, Point
    from lab.projections.picture.columns import Axis
    from lab.projections.picture.parameters import Parameters, Tried

NAME = "slice"
_SMALL, _SIZE = 10.5, 12.0
_TOP, _FOOT, _RIGHT = 38.0, 24.0, 14.0
_MOST_LEFT = 0.3  # of the width, that numbers may take
_ABSENT = 26.0  # the width of the place for runs in which the parameter did not count
_INSET = 8.0
_SPREAD = 7  # places beside one another on which runs with the same choice lie
_AIR = 6.0
_TICKS = 4
_LEAST = 56.0  # room for a word below the axis, if there is place for it at all
_WIDEST = 16.0


def draw(
    parameters: Parameters,
    axis_index: int,
    *,
    width: float = 300,
    height: float = 220,
    href: Callable[[str], str] | None = None,
) -> Scene:
    """The scene. `href` leads from the best run to its page."""
    plan = _Plan(parameters, axis_index, width, height)
    items = (*plan.frame(), *plan.ticks(), *plan.crowd(), *plan.best(href), *plan.head())
    return Scene(
        name=f"{NAME}-{axis_index}",
        title=f"{parameters.metric or 'value'} by {plan.axis.name}",
        told=plan.told(),
        width=width,
        height=height,
        items=items,
    )


class _Plan:
    """Where everything lies."""

    def __init__(self, parameters: Parameters, index: int, width: float, height: float) -> None:
        self.parameters, self.index, self.width = parameters, index, width
        self.axis: Axis = parameters.axes[index]
        self.placed = [each for each in parameters.tried if each.at[index] is not None]
        self.absent = [each for each in parameters.tried if each.at[index] is None]
        self.bottom = height - _FOOT
        self.y = lanes.value_scale(parameters, self.bottom - _INSET, _TOP + _INSET)
        self.values = self.y.ticks(5)
        widest = max((measure.width(tick.text, _SMALL) for tick in self.values), default=0.0)
        self.left = min(widest, _MOST_LEFT * width) + 2 * _AIR
        self.right = width - _RIGHT
        self.from_x = self.left + _INSET
        self.to_x = self.right - _INSET - (_ABSENT if self.absent else 0.0)
        self.slot = (self.to_x - self.from_x) / (len(self.axis.choices) or _TICKS)

    def frame(self) -> Iterator[Item]:
        for tick in self.values:
            y = self.y.at(tick.value)
            yield Stroke(look="grid", points=((self.left, y), (self.right, y)))
            told = measure.fitted(tick.text, _SMALL, self.left - 2 * _AIR)
            yield Words(look="tick", at=(self.left - _AIR, y + 4), text=told, anchor=END, size=_SMALL)
        yield Stroke(look="frame", points=((self.left, _TOP), (self.left, self.bottom), (self.right, self.bottom)))
        if self.absent:
            x = self.to_x + _INSET
            yield Stroke(look="frame", points=((x, _TOP), (x, self.bottom)), dashed=True)

    def ticks(self) -> Iterator[Item]:
        """What stands below the axis, from left to right: what would come upon the one before it is left out."""
        taken = -_AIR
        edge = self.to_x + _INSET if self.absent else self.width
        wanted = lanes.ends(self.axis, _TICKS)
        room = max(self.slot - _AIR, _LEAST)
        words = lanes.apart([said for _, said in wanted], _SMALL, [room] * len(wanted))
        for (place, _), shown in zip(wanted, words, strict=True):
            x = self.x(place)
            wide = measure.width(shown, _SMALL)
            left = min(max(x - wide / 2, 2.0), edge - 2.0 - wide)
            if left < taken + _AIR or not shown:
                continue
            yield Stroke(look="axis", points=((x, self.bottom), (x, self.bottom + 4)))
            yield Words(look="tick", at=(left + wide / 2, self.bottom + 16), text=shown, anchor=MIDDLE, size=_SMALL)
            taken = left + wide
        if self.absent:
            x = (self.to_x + _INSET + self.right) / 2
            yield Words(look="tick", at=(x, self.bottom + 16), text="none", anchor=MIDDLE, size=_SMALL)

    def x(self, place: float) -> float:
        """Choices lie in the middle of their share of the width, numbers from end to end."""
        if count := len(self.axis.choices):
            place = (place * (count - 1) + 0.5) / count if count > 1 else 0.5
        return self.from_x + place * (self.to_x - self.from_x)

    def at(self, each: Tried, number: int) -> Point:
        place = each.at[self.index]
        if place is None:
            x, wide = (self.to_x + _INSET + self.right) / 2, _ABSENT * 0.6
        else:
            x = self.x(place)
            wide = min(_WIDEST, self.slot / 2) if self.axis.choices else 0.0
        x += wide * ((number * 3) % _SPREAD / (_SPREAD - 1) - 0.5)
        return round(x, 1), round(self.y.at(each.value), 1)  # a page has a dozen of these, with 300 runs each

    def crowd(self) -> Iterator[Item]:
        inside: list[Point] = []
        above: list[Point] = []
        below: list[Point] = []
        for number, each in enumerate(self.parameters.tried):
            if each.run_id == self.parameters.best:
                continue
            x, y = self.at(each, number)
            if self.y.holds(each.value):
                inside.append((x, y))
            elif each.value > self.y.high:
                above.append((x, _TOP + 3))
            else:
                below.append((x, self.bottom - 4))
        yield Marks(look="discard", at=tuple(inside), shape=CIRCLE, size=2.0)
        yield Marks(look="clipped", at=tuple(above), shape=TRIANGLE_UP, size=2.5)
        yield Marks(look="clipped", at=tuple(below), shape=TRIANGLE_DOWN, size=2.5)

    def best(self, href: Callable[[str], str] | None) -> Iterator[Item]:
        for number, each in enumerate(self.parameters.tried):
            if each.run_id == self.parameters.best:
                says = f"{text.line(each.run_id)}, the best: {self.said(each)}, {axes.number(each.value, 6)}"
                link = href(each.run_id) if href else ""
                yield Mark(look=lanes.BEST, at=self.at(each, number), size=5.0, says=says, href=link)

    def said(self, each: Tried) -> str:
        place = each.at[self.index]
        return f"{self.axis.name} {'does not count' if place is None else lanes.spelled(self.axis, place)}"

    def head(self) -> Iterator[Item]:
        """The parameter, and what cannot be seen."""
        outside = sum(not self.y.holds(each.value) for each in self.parameters.tried)
        beyond = f"{outside:,} beyond the edge" if outside else ""
        metric = self.parameters.metric or "value"
        room = self.width - 2 * _AIR
        yield Words(
            look="title",
            at=(_AIR, 16),
            text=measure.fitted(self.axis.name, _SIZE, room, bold=True),
            size=_SIZE,
            bold=True,
        )
        scale = ", log scale" if self.axis.log else ""
        half = room - measure.width(beyond, _SMALL) - _AIR
        yield Words(look="muted", at=(_AIR, 31), text=measure.fitted(f"{metric}{scale}", _SMALL, half), size=_SMALL)
        if beyond:
            yield Words(look="muted", at=(self.width - _AIR, 31), text=beyond, anchor=END, size=_SMALL)

    def told(self) -> str:
        low, high = (lanes.spelled(self.axis, end) for end in (0.0, 1.0))
        told = f"{text.count(len(self.placed), 'run')} from {low} to {high}"
        if self.absent:
            told += f", {text.count(len(self.absent), 'run')} in which it did not count"
        best = lanes.best_of(self.parameters)
        return f"{told}. The best, {text.line(best.run_id)}: {self.said(best)}." if best else f"{told}."
