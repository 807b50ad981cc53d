"""The line of steps, and the noise around it. On its way to what lies outside the frame the line is seen to break."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from lab.projections.drawing.scene import Stroke
from lab.projections.picture.stairs import WITHIN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.projections.drawing.axes import Scale
    from lab.projections.drawing.scene import Item, Point
    from lab.projections.picture.stairs import Stairs, Step

_WIDTH = 1.8
_BREAK, _BREAK_WIDTH = 4.0, 1.4


def line(points: Sequence[Point], y: Scale) -> Iterator[Item]:
    """The steps through these points. What goes beyond the scale is dashed, for how far it goes is not to scale."""
    top, bottom = sorted((y.start, y.end))

    def is_broken(piece: tuple[Point, Point]) -> bool:
        return any(not top <= at <= bottom for _, at in piece)

    for broken, found in itertools.groupby(itertools.pairwise(points), key=is_broken):
        pieces = list(found)
        through = (pieces[0][0], *(end for _, end in pieces))
        yield Stroke(look="stair", points=through, width=_WIDTH, dashed=broken)
        for (x, start), (to_x, end) in pieces if broken else ():
            if x == to_x and start != end:
                yield from _break(x, top if min(start, end) < top else bottom)


def _break(x: float, y: float) -> Iterator[Item]:
    """Two short strokes across the line."""
    for shift in (-2.0, 2.0):
        ends = ((x - _BREAK, y + shift + 2), (x + _BREAK, y + shift - 2))
        yield Stroke(look="axis", points=ends, width=_BREAK_WIDTH)


def held(stairs: Stairs) -> list[Step]:
    """The steps that what comes is held against: the keeps. A best within the noise is no better than they are."""
    within = {spot.run_id for spot in stairs.spots if spot.kind == WITHIN}
    return [step for number, step in enumerate(stairs.steps) if not number or step.run_id not in within]


def band(stairs: Stairs, x: Scale, y: Scale) -> Iterator[Item]:
    """The noise: a band around the last keep, of steps like those of the stairs."""
    if stairs.band is None or not stairs.band.width:
        return
    over: list[Point] = []
    under: list[Point] = []
    steps, width = held(stairs), stairs.band.width
    for number, step in enumerate(steps):
        start = x.at(step.n)
        end = x.at(steps[number + 1].n) if number + 1 < len(steps) else x.end
        top, bottom = y.at(step.value + width), y.at(step.value - width)
        over += [(start, top), (end, top)]
        under += [(start, bottom), (end, bottom)]
    if over:
        yield Stroke(look="band", points=(*over, *reversed(under)), close=True)
