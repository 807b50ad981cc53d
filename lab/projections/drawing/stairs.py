"""The staircase: every run where it stands, the best so far as steps, the noise around it, and crashes on the floor.

What a picture hides is said below it: what lies outside the frame, what was left out, which labels found no place, and
that the noise is not known.
"""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING

import msgspec

from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.drawing import axes, flight, labels, legend, measure, runs
from lab.projections.drawing import scene as scenes
from lab.projections.drawing.axes import Scale  # msgspec resolves annotations
from lab.projections.drawing.labels import Area, Busy, Wanted  # msgspec resolves annotations
from lab.projections.drawing.scene import Box, Mark, Marks, Point, Scene, Stroke, Words
from lab.projections.picture import stairs as kinds

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.projections.drawing.scene import Item
    from lab.projections.picture.stairs import Spot, Stairs, Step

WIDTH, HEIGHT = 960.0, 420.0
LEAST_WIDTH, LEAST_HEIGHT = 320.0, 240.0
SINGLE = 300  # marks of a kind that can be pointed at; more are a crowd
_TICK, _TITLE, _LABEL = 11.0, 14.0, 11.0
_FLOOR_HEIGHT = 22.0
_LEAST_FRAME = 90.0
_EDGE = 12.0  # the strip for what lies outside: below every dot that is inside, or above it
_CLEAR = 5.0
_OVER = 0.35  # cost of a label over a run of the crowd, for each cell of the grid that its mark touches
_FEW, _MANY = 200, 800
_ORDER = (  # what is drawn first lies below
    kinds.DISCARD, kinds.CLAIMED, kinds.REPLAYED, kinds.CANCELLED, kinds.UNMEASURED, kinds.CRASH, kinds.WITHIN,
    kinds.BASELINE, kinds.KEEP, kinds.DONE,
)  # fmt: skip


def draw(
    stairs: Stairs,
    *,
    width: float = WIDTH,
    height: float = HEIGHT,
    href: Callable[[str], str] | None = None,
    log: bool = False,
    name: str = "stairs",
) -> Scene:
    """The scene; higher than asked where words would leave no room for it. `href` gives the link of a run.

    With `log` the scale is logarithmic, but for what `why_plain` tells.
    """
    width, height = max(width, LEAST_WIDTH), max(height, LEAST_HEIGHT)
    drawing = _Drawing(stairs, width, height, href, log=log)
    return Scene(
        name=name,
        title=f"Staircase of {text.line(stairs.experiment)}",
        told=runs.told(stairs),
        width=width,
        height=drawing.height,
        items=tuple(drawing.items()),
    )


class _Plot(msgspec.Struct, frozen=True, kw_only=True):
    """Where things lie. The floor is the strip between `frame.bottom` and `floor`."""

    frame: Area
    floor: float
    x: Scale
    y: Scale

    def at(self, n: float, value: float) -> Point:
        return self.x.at(n), self.y.at(value)


class _Drawing:
    def __init__(
        self, stairs: Stairs, width: float, height: float, href: Callable[[str], str] | None, *, log: bool
    ) -> None:
        self._stairs = stairs
        self._width = width
        self._href = href
        self._best = stairs.steps[-1] if stairs.steps else None
        self._stepped = {step.run_id: step for step in stairs.steps}
        self._floored = any(kind in stairs.counts for kind in kinds.FLOOR)
        shown = axes.finite([*(spot.value for spot in stairs.spots), *(step.value for step in stairs.steps)])
        self._has_values = bool(shown)
        self._plain = why_plain(stairs) if log else ""
        log = log and not self._plain
        low, high = self._range(log=log)
        scale = axes.scale(*axes.padded(low, high, log=log), 1.0, 0.0, log=log)
        values = [(spot, spot.value) for spot in stairs.spots if spot.value is not None]
        self._above = [spot for spot, value in values if value > scale.high]
        self._under = [spot for spot, value in values if value < scale.low]
        self._legend = legend.rows(runs.entries(stairs), width - 24)
        self._notes = self._remarks(scale, len(stairs.steps))
        self._plot = self._placed(scale, height)

    def items(self) -> Iterator[Item]:
        """From the paper up."""
        plot = self._plot
        yield from self._heading()
        if not self._has_values:
            yield from self._nothing()
        else:
            yield from self._grid()
            yield from flight.band(self._stairs, plot.x, plot.y)
            yield from self._target()
        yield from self._bottom()
        yield from self._marks(first=True)
        stair = self._stair()
        yield from flight.line(stair, self._plot.y)
        placed = self._labels(stair)
        yield from placed.leaders()
        yield from self._marks(first=False)
        yield from self._clipped()
        yield from placed.words(_LABEL)
        for number, line in enumerate(self._remarks(plot.y, placed.dropped)):
            at = (12.0, plot.floor + 47 + number * legend.LINE)
            yield Words(look="muted", at=at, text=line, size=legend.SIZE)

    def _range(self, *, log: bool) -> tuple[float, float]:
        """The stretch of values to show; on a logarithmic scale all of them."""
        stairs = self._stairs
        values, steps = axes.finite(spot.value for spot in stairs.spots), [step.value for step in stairs.steps]
        best = self._best.value if self._best else None
        if log:
            low, high = min([*values, *steps], default=1.0), max([*values, *steps], default=1.0)
        else:
            low, high = axes.interesting(values, steps, best)
        wide = high - low
        if best is not None and stairs.band and stairs.band.width <= wide and not log:
            around = flight.held(stairs)[-1].value
            low, high = min(low, around - stairs.band.width), max(high, around + stairs.band.width)
        near = stairs.target is not None and low - wide / 2 <= stairs.target <= high + wide / 2
        if stairs.target is not None and near and not (log and stairs.target <= 0):
            low, high = min(low, stairs.target), max(high, stairs.target)
        return low, high

    def _placed(self, scale: Scale, height: float) -> _Plot:
        top = 30 + len(self._legend) * legend.LINE + 10
        foot = 37 + len(self._notes) * legend.LINE + 8
        strip = _FLOOR_HEIGHT if self._floored else 0.0
        self.height = max(height, top + _LEAST_FRAME + strip + foot)
        floor = self.height - foot
        bottom = floor - strip
        ticks = scale.ticks(_ticks(bottom - top, 40)) if self._has_values else ()
        widest = max((measure.width(tick.text, _TICK) for tick in ticks), default=30.0)
        frame = Area(left=12 + max(widest, 52.0) + 6, top=top, right=self._width - 14, bottom=bottom)
        total = max(self._stairs.sample.total, 1)
        pad = max(total * 0.012, 0.5)
        return _Plot(
            frame=frame,
            floor=floor,
            x=Scale(low=1 - pad, high=total + pad, start=frame.left, end=frame.right),
            y=msgspec.structs.replace(
                scale,
                start=frame.bottom - (_EDGE if self._under else 0.0),
                end=frame.top + (_EDGE if self._above else 0.0),
            ),
        )

    def _heading(self) -> Iterator[Item]:
        stairs, best = self._stairs, self._best
        name = measure.fitted(text.line(stairs.experiment), _TITLE, self._width / 2, bold=True)
        words = [f"{text.line(stairs.metric, 40)}, {runs.way(stairs)}"]
        if stairs.tier not in ("", "default"):
            words.append(f"tier {text.line(stairs.tier, 24)}")
        if best is not None:
            words.append(f"best {axes.number(best.value, 5)} after {_runs(stairs.sample.total)}")
        left = 12 + measure.width(name, _TITLE, bold=True) + scenes.MORE_GAP
        told = measure.fitted("; ".join(words), scenes.MORE_SIZE, self._width - left - 12)
        yield Words(look="title", at=(12, 21), text=name, size=_TITLE, bold=True, more=told)
        yield from legend.items(self._legend, 12.0, 28.0)

    def _remarks(self, scale: Scale, dropped: int) -> list[str]:
        said = runs.remarks(self._stairs, scale, self._above, self._under, dropped)
        said = itertools.chain([self._plain] if self._plain else [], said)
        return legend.wrapped(said, self._width - 24)

    def _nothing(self) -> Iterator[Item]:
        """Instead of an axis that would have nothing on it."""
        frame, stairs = self._plot.frame, self._stairs
        yield Box(look="grid", at=(frame.left, frame.top), width=frame.right - frame.left, height=1)
        told = "No run has ended yet."
        if stairs.sample.total:
            told = f"No run has a value: {runs.tally(stairs)}."
        at = ((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2)
        room = frame.right - frame.left
        fit = measure.fitted(told, 13.0, room)
        yield Words(look="muted", at=at, text=fit, anchor=scenes.MIDDLE, size=13.0)

    def _grid(self) -> Iterator[Item]:
        plot = self._plot
        frame = plot.frame
        for tick in plot.y.ticks(_ticks(frame.bottom - frame.top, 40)):
            y = plot.y.at(tick.value)
            yield Stroke(look="grid", points=((frame.left, y), (frame.right, y)))
            if self._floored and y > frame.bottom - _CLEAR:
                continue  # its number would lie on the words beside the floor
            at = (frame.left - 6, y + _TICK * 0.36)
            yield Words(look="tick", at=at, text=tick.text, anchor=scenes.END, size=_TICK)

    def _bottom(self) -> Iterator[Item]:
        """The floor, where runs without a value stand, and below it the runs by number."""
        plot, total = self._plot, self._stairs.sample.total
        frame = plot.frame
        if self._floored:
            yield Stroke(look="frame", points=((frame.left, frame.bottom), (frame.right, frame.bottom)))
            at = (frame.left - 6, (frame.bottom + plot.floor) / 2 + _TICK * 0.36)
            yield Words(look="tick", at=at, text="no value", anchor=scenes.END, size=_TICK)
        yield Stroke(look="axis", points=((frame.left, plot.floor), (frame.right, plot.floor)))
        if total:
            for value in _counted(total, _ticks(frame.right - frame.left, 90)):
                x = plot.x.at(value)
                yield Stroke(look="axis", points=((x, plot.floor), (x, plot.floor + 4)))
                half = measure.width(f"{value:,}", _TICK) / 2
                at = (min(x, self._width - 2 - half), plot.floor + 16)
                yield Words(look="tick", at=at, text=f"{value:,}", anchor=scenes.MIDDLE, size=_TICK)
        at = (frame.left, plot.floor + 31)
        told = "runs, in the order in which they were sealed"
        fit = measure.fitted(told, _TICK, frame.right - frame.left)
        yield Words(look="muted", at=at, text=fit, size=_TICK)

    def _stair(self) -> tuple[Point, ...]:
        """Level until the next step, then upright: between two runs nothing was measured."""
        plot = self._plot
        points: list[Point] = []
        for step in self._stairs.steps:
            x, y = plot.x.at(step.n), self._y(step.value)
            if points:
                points.append((x, points[-1][1]))
            points.append((x, y))
        if points:
            points.append((plot.frame.right, points[-1][1]))
        return tuple(points)

    def _y(self, value: float) -> float:
        """Where a value lies; what is outside stands in the strip at the edge."""
        plot = self._plot
        if plot.y.holds(value):
            return plot.y.at(value)
        return plot.frame.top + _EDGE / 2 if value > plot.y.high else plot.frame.bottom - _EDGE / 2

    def _target(self) -> Iterator[Item]:
        target, plot = self._stairs.target, self._plot
        if target is not None and plot.y.holds(target):
            y = plot.y.at(target)
            yield Stroke(look="hint", points=((plot.frame.left, y), (plot.frame.right, y)), width=1.2, dashed=True)

    def _marks(self, *, first: bool) -> Iterator[Item]:
        """First the crowd, which the stairs go over; then the steps, which are on the stairs."""
        by_kind: dict[str, list[Spot]] = {}
        outside = {spot.n for spot in (*self._above, *self._under)}
        for spot in self._stairs.spots:
            if spot.n not in outside and (spot.run_id in self._stepped) != first:
                by_kind.setdefault(spot.kind, []).append(spot)
        for kind in _ORDER:
            if kind in by_kind:
                yield from self._kind(kind, by_kind[kind], crowd=first)

    def _kind(self, kind: str, spots: Sequence[Spot], *, crowd: bool) -> Iterator[Item]:
        shape, size = runs.STYLES[kind]
        total = len(self._stairs.spots)
        if crowd and kind != kinds.KEEP:
            size *= 1.0 if total <= _FEW else 0.85 if total <= _MANY else 0.65
        if len(spots) > (_FEW if kind == kinds.DISCARD else SINGLE):
            yield Marks(look=kind, at=tuple(map(self._at, spots)), shape=shape, size=size)
            return
        best = self._best.run_id if self._best else ""
        for spot in spots:
            is_best = spot.run_id == best
            yield Mark(
                look="best" if is_best and kind == kinds.KEEP else kind,
                at=self._at(spot),
                shape=shape,
                size=size + 1.5 if is_best else size,
                says=self._says(spot, "best so far" if is_best else ""),
                href=self._href(spot.run_id) if self._href else "",
            )
        if kind == kinds.KEEP:
            unsure = tuple(self._at(spot) for spot in spots if _is_unsure(self._stepped.get(spot.run_id)))
            yield Marks(look=kinds.WITHIN, at=unsure, size=runs.UNSURE_SIZE)

    def _says(self, spot: Spot, more: str) -> str:
        return runs.says(spot, more, unsure=_is_unsure(self._stepped.get(spot.run_id)))

    def _at(self, spot: Spot) -> Point:
        plot = self._plot
        if spot.value is None:
            return plot.x.at(spot.n), (plot.frame.bottom + plot.floor) / 2
        return plot.at(spot.n, spot.value)

    def _clipped(self) -> Iterator[Item]:
        """At the edge, those that lie outside."""
        frame = self._plot.frame
        edges = (
            (self._above, scenes.TRIANGLE_UP, frame.top + _EDGE / 2),
            (self._under, scenes.TRIANGLE_DOWN, frame.bottom - _EDGE / 2),
        )
        for spots, shape, y in edges:
            crowd = tuple((self._plot.x.at(spot.n), y) for spot in spots if spot.kind == kinds.DISCARD)
            yield Marks(look="clipped", at=crowd, shape=shape, size=2.6)
            for spot in [spot for spot in spots if spot.kind != kinds.DISCARD][:SINGLE]:
                says = self._says(spot, "outside the frame")
                at = (self._plot.x.at(spot.n), y)
                href = self._href(spot.run_id) if self._href else ""
                yield Mark(look=spot.kind, at=at, shape=shape, size=4.0, says=says, href=href)

    def _labels(self, stair: Sequence[Point]) -> labels.Placed:
        """What changed at each step, where there is room for it; the best and the largest gains first."""
        plot, steps = self._plot, self._stairs.steps
        frame = plot.frame
        busy = Busy()
        busy.path(stair)
        for spot in self._stairs.spots:
            if spot.value is not None:
                stepped = spot.run_id in self._stepped
                busy.spot(self._at(spot), labels.BLOCKED if stepped else _OVER, 4.0 if stepped else 3.0)
        if self._stairs.target is not None and plot.y.holds(self._stairs.target):
            y = plot.y.at(self._stairs.target)
            busy.path(((frame.left, y), (frame.right, y)))
        if self._above:
            busy.area(Area(left=frame.left, top=frame.top, right=frame.right, bottom=frame.top + _EDGE - 2))
        if self._under:
            busy.area(Area(left=frame.left, top=frame.bottom - _EDGE + 2, right=frame.right, bottom=frame.bottom))
        wanted = []
        for number, step in enumerate(steps):
            is_inside = plot.y.holds(step.value)
            says = text.line(step.changed, 60)
            if not is_inside:  # nothing else in the picture says where it is
                says = f"{says} {axes.number(step.value)}".lstrip()
            gained = abs(plot.y.at(step.value) - plot.y.at(steps[number - 1].value)) if number else 0.0
            weight = math.inf if step is self._best else 1e6 if number == 0 else gained
            if says:
                at = (plot.x.at(step.n), self._y(step.value))
                below = self._stairs.direction == MINIMIZE if is_inside else step.value > plot.y.high
                link = self._href(step.run_id) if self._href else ""
                wanted.append(Wanted(text=says, at=at, weight=weight, below=below, href=link))
        room = max(min(270.0, (frame.right - frame.left) / 3), 60.0)
        return labels.place(wanted, frame, busy, size=_LABEL, room=room)


def why_plain(stairs: Stairs) -> str:
    """Why there can be no logarithmic scale, as a sentence; empty where there can."""
    drawn = axes.finite([*(spot.value for spot in stairs.spots), *(step.value for step in stairs.steps)])
    if not drawn or min(drawn) > 0:
        return ""
    return f"The scale is not logarithmic: some values are not above 0 (the lowest is {axes.number(min(drawn))})."


def _is_unsure(step: Step | None) -> bool:
    return step is not None and step.within


def _runs(total: int) -> str:
    return "1 run" if total == 1 else f"{total:,} runs"


def _ticks(room: float, each: float) -> int:
    return max(2, int(room / each))


def _counted(total: int, count: int) -> list[int]:
    """Round numbers of runs; the only one, where there is but one."""
    if total <= count:
        return list(range(1, total + 1))
    ticks = axes.linear_ticks(1.0, float(total), count)
    return [int(tick.value) for tick in ticks if tick.value == int(tick.value)]
