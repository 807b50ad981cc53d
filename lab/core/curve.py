"""The curve of a run: what it reported of itself on the way, `step value` by `step value`. Pure.

Steps only grow: one that is not beyond the last (a run that went back to a checkpoint, a second process that reports
too) says nothing new. A curve is kept in at most POINTS points, however long the run was.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate
from math import isfinite
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

Point = tuple[float, float]  # step, value
POINTS = 64


class Curve(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What the bundle keeps of a report. `passed_over` lines of it said nothing."""

    points: tuple[Point, ...] = ()
    passed_over: int = 0


class Thinned:
    """Points as they come, of which every so many are kept: first each, then every second, every fourth, and so on."""

    __slots__ = ("_at", "_every", "_kept", "last")

    def __init__(self) -> None:
        self._kept: list[Point] = []
        self._every = 1
        self._at = 0
        self.last: Point | None = None

    def add(self, step: float, value: float) -> bool:
        """Take one more; False for one that counts for nothing."""
        if not (isfinite(step) and isfinite(value)) or step < 0 or (self.last is not None and step <= self.last[0]):
            return False
        self.last = (step, value)
        if self._at % self._every == 0:
            if len(self._kept) == POINTS:
                self._kept = self._kept[::2]
                self._every *= 2
            self._kept.append(self.last)
        self._at += 1
        return True

    @property
    def points(self) -> tuple[Point, ...]:
        """At most POINTS of them, the first and the last among them."""
        if self.last is None or self._kept[-1] == self.last:
            return tuple(self._kept)
        return (*self._kept[: POINTS - 1], self.last)


class Track:
    """The best that a run had shown by each of its steps, as losses: less is better."""

    __slots__ = ("_best", "_steps")

    def __init__(self, points: Iterable[Point], *, minimize: bool) -> None:
        thinned = Thinned()
        taken = [point for point in points if thinned.add(*point)]  # what a stranger wrote may not be in order
        self._steps = [step for step, _ in taken]
        self._best = list(accumulate((value if minimize else -value for _, value in taken), min))

    @property
    def end(self) -> float:
        """The last step, or 0."""
        return self._steps[-1] if self._steps else 0.0

    def by(self, step: float) -> float | None:
        """The least loss up to a step; None for a run that did not get so far."""
        if not self._steps or step > self._steps[-1]:
            return None
        at = bisect_right(self._steps, step)
        return self._best[at - 1] if at else None


def told(data: bytes | None) -> tuple[Point, ...]:
    """The points of a kept curve; none in what is no curve, whoever wrote it."""
    if data is None:
        return ()
    try:
        points = msgspec.json.decode(data, type=Curve).points
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return ()
    thinned = Thinned()
    for step, value in points:
        thinned.add(step, value)
    return thinned.points
