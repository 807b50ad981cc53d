"""Axes of parameters as they are drawn: what stands on them, what lies where, and which values are worth looking at."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.drawing import axes, measure

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.picture.columns import Axis
    from lab.projections.picture.parameters import Parameters, Tried

BEST = "series-1"  # the look of the run to highlight: it must not be the strongest of the scale from bad to good


def value_scale(parameters: Parameters, bottom: float, top: float) -> axes.Scale:
    """The stretch of values that is worth looking at: a few that went wild do not squash the rest."""
    values = [each.value for each in parameters.tried]
    best = best_of(parameters)
    if best is not None:
        return axes.scale(*axes.interesting(values, (), best.value), bottom, top)
    likely = (min if parameters.direction == MINIMIZE else max)(values, default=0.0)
    return axes.scale(*axes.interesting(values, (), likely), bottom, top)


def left_out(parameters: Parameters) -> tuple[str, ...]:
    """Sentences on the runs that are not shown, for pictures that have no room for them inside."""
    sample, found = parameters.sample, []
    if sample.shown < sample.total:
        found.append(f"Shown are {sample.shown:,} of {sample.total:,} runs with a value: {text.line(sample.rule)}.")
    return (*found, *filter(None, [unvalued(parameters)]))


def unvalued(parameters: Parameters) -> str:
    """What is said of the runs that cannot stand anywhere; empty where there are none."""
    count = parameters.without
    return f"{text.count(count, 'run')} without a value {'is' if count == 1 else 'are'} not shown." if count else ""


def best_of(parameters: Parameters) -> Tried | None:
    """The run to highlight, where it is among those that are shown."""
    return next((each for each in parameters.tried if each.run_id == parameters.best), None)


def ends(axis: Axis, count: int = 4) -> Sequence[tuple[float, str]]:
    """Where something stands on an axis, from 0 to 1, and what: round numbers, or the choices."""
    if axis.choices:
        last = len(axis.choices) - 1
        return [(number / last if last else 0.5, choice) for number, choice in enumerate(axis.choices)]
    if axis.low >= axis.high:
        return [(0.5, axes.number(axis.low))]
    scale = axes.scale(axis.low, axis.high, 0.0, 1.0, log=axis.log)
    return [(scale.at(tick.value), tick.text) for tick in scale.ticks(count)]


def apart(names: Sequence[str], size: float, rooms: Sequence[float], *, bold: bool = False) -> list[str]:
    """The names as far as they fit; where their beginnings would look alike, their ends."""
    found = []
    for name, room in zip(names, rooms, strict=True):
        shown = measure.fitted(name, size, room, bold=bold)
        begins = shown.removesuffix("…")
        alike = shown != name and sum(other.startswith(begins) for other in names) > 1
        found.append(_end(name, size, room, bold=bold) if alike else shown)
    return found


def _end(name: str, size: float, room: float, *, bold: bool) -> str:
    return measure.fitted(name[::-1], size, room, bold=bold)[::-1]


def spelled(axis: Axis, place: float) -> str:
    """What lies at a place of an axis."""
    if axis.choices:
        return axis.choices[round(place * (len(axis.choices) - 1))]
    return axes.number(value_at(axis, place), 3)


def value_at(axis: Axis, place: float) -> float:
    """The number at a place of an axis: what `Tried.at` was made from, but for rounding."""
    if axis.log:
        if place >= 1:
            return axis.high  # its logarithm may be rounded up, to that of no number
        low, high = math.log(axis.low), math.log(axis.high)
        return math.exp(low + place * (high - low))
    return axis.low * (1 - place) + axis.high * place
