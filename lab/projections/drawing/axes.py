"""Scales and their ticks, and which stretch of values is worth looking at.

Whatever the values are (equal, tiny, huge, next to the largest number there is), what comes out is finite and bounded.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINUS = "\u2212"
LARGEST = sys.float_info.max / 2.5  # so that a difference of two is still a number
_ALIKE = 1e-12  # of their size: what differs by less cannot be told apart by the digits of a tick
_LEAST = 1e-290  # a fifth of it is still a number, and not 0
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e7  # numbers between these are written without an exponent
_REACH = 3.0  # median distances from the best: so far the crowd is looked at
_STEP_REACH = 4.0  # times that far the steps are; one that is further is told at the edge
_MOST_TICKS = 40
_MORE = 6  # as many more ticks are asked for, until there are two
_ODD = 1e300  # sums of larger ones may be infinite
_MARGIN = 0.06
_PLAIN_DIGITS = 9


class Tick(msgspec.Struct, frozen=True, kw_only=True):
    """A place on a scale, and its number as it is written there."""

    value: float
    text: str


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """From values to units of the scene. `low` lies at `start`, `high` at `end`; `start` may be the larger."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def at(self, value: float) -> float:
        """Where a value lies; what lies outside is at the nearer end."""
        if value <= self.low:
            return self.start
        if value >= self.high:
            return self.end
        share = _share(value, self.low, self.high, log=self.log)
        return self.start + share * (self.end - self.start)

    def holds(self, value: float) -> bool:
        return self.low <= value <= self.high

    def ticks(self, count: int = 5) -> tuple[Tick, ...]:
        """About so many, on round numbers."""
        return log_ticks(self.low, self.high, count) if self.log else linear_ticks(self.low, self.high, count)


def scale(low: float, high: float, start: float, end: float, *, log: bool = False) -> Scale:
    """A scale that has some width, whatever the two are; logarithmic only where both are above 0."""
    low, high = widened(low, high)
    return Scale(low=low, high=high, start=start, end=end, log=log and low > 0)


def widened(low: float, high: float) -> tuple[float, float]:
    """The two in order, apart by enough to write different numbers beside them, and not infinite."""
    low, high = sorted(max(min(value, LARGEST), -LARGEST) for value in (low, high))
    size = max(abs(low), abs(high))
    if high - low > max(_ALIKE * size, _LEAST):
        return low, high
    apart = size * 0.05 if size * 0.05 > _LEAST else 1.0  # or the same two would be widened once more
    return max(low - apart, -LARGEST), min(high + apart, LARGEST)


def padded(low: float, high: float, share: float = _MARGIN, *, log: bool = False) -> tuple[float, float]:
    """A little more on both sides, so that no mark sits on the frame."""
    low, high = widened(low, high)
    if log and low > 0:
        factor = math.exp(min((math.log(high) - math.log(low)) * share, 50.0))
        return low / factor or low, min(high * factor, LARGEST)
    more = (high - low) * share
    return max(low - more, -LARGEST), min(high + more, LARGEST)


def interesting(values: Sequence[float], steps: Sequence[float] = (), best: float | None = None) -> tuple[float, float]:
    """The stretch to show: the best, the steps, and most of the crowd. A few far away would squash all others.

    The crowd is shown up to three median distances from the best, steps up to four times as far. Where that is nearly
    everything, it is everything. What is outside is for the caller to tell.
    """
    every = [value for value in (*values, *steps) if math.isfinite(value)]
    if not every:
        return 0.0, 1.0
    centre = best if best is not None and math.isfinite(best) else every[-1]
    shrink = 2.0**-4 if max(map(abs, every)) > _ODD else 1.0

    def away(value: float) -> float:
        return abs(value * shrink - centre * shrink)

    distances = sorted(distance for distance in map(away, every) if distance > 0)
    if not distances:
        return centre, centre
    reach = _REACH * distances[len(distances) // 2]
    if distances[-1] <= 1.5 * reach:
        return min(every), max(every)
    near = [value for value in every if away(value) <= reach]
    near += [value for value in steps if math.isfinite(value) and away(value) <= _STEP_REACH * reach]
    return min(near, default=centre), max(near, default=centre)


def linear_ticks(low: float, high: float, count: int = 5) -> tuple[Tick, ...]:
    """On multiples of 1, 2 or 5 times a power of ten; at least two, for one alone says nothing of the scale."""
    low, high = widened(low, high)
    found = _linear(low, high, count)
    more = 1
    while len(found) < 2 and more < _MORE:  # noqa: PLR2004  # two
        found = _linear(low, high, count + more)
        more += 1
    return found


def _linear(low: float, high: float, count: int) -> tuple[Tick, ...]:
    raw = high / max(count, 1) - low / max(count, 1)
    power = math.floor(math.log10(raw))
    step = next((found for unit in (1, 2, 5, 10) if (found := _times_ten(unit, power)) >= raw * 0.999), 0.0)
    if not step or not math.isfinite(step):
        return tuple(Tick(value=value, text=number(value)) for value in (low, high))
    first = math.ceil(low / step - 1e-9)
    places = range(first, min(math.floor(high / step + 1e-9), first + _MOST_TICKS) + 1)
    values = [value for value in (place * step for place in places) if math.isfinite(value)]
    digits = -math.floor(math.log10(step) + 1e-9)
    size = max(map(abs, values), default=0.0)
    return tuple(Tick(value=min(max(value, low), high), text=_tick_text(value, digits, size)) for value in values)


def log_ticks(low: float, high: float, count: int = 5) -> tuple[Tick, ...]:
    """On powers of ten; where few of these are inside, on 2 and 5 times these too, and else as on a plain scale."""
    if low <= 0:
        return linear_ticks(low, high, count)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    every = max(1, math.ceil((last - first) / max(2 * count, 1)))
    for units in ((1,), (1, 2, 5)):
        found = [_times_ten(unit, power) for power in range(first, last + 1, every) for unit in units]
        inside = [value for value in found if low <= value <= high]
        if len(inside) >= min(3, count):
            return tuple(Tick(value=value, text=number(value)) for value in inside[:_MOST_TICKS])
    return linear_ticks(low, high, count)


def number(value: float, digits: int = 4) -> str:
    """A value in few digits, with a minus sign that is as wide as a plus."""
    if not math.isfinite(value):
        return str(value)
    size = abs(value)
    if size and not _PLAIN_FROM <= size < _PLAIN_TO:
        return _exponent(f"{value:.{max(digits - 1, 0)}e}")
    if size >= 10.0**digits or value == int(value):
        return f"{value:,.0f}".replace("-", MINUS)
    return f"{value:,.{digits}g}".replace("-", MINUS)


def _tick_text(value: float, digits: int, size: float) -> str:
    """With as many digits as the ticks beside it need."""
    if value == 0:
        return "0"
    if not _PLAIN_FROM <= size < _PLAIN_TO and digits != 0:
        wanted = digits + math.floor(math.log10(size))
        return _exponent(f"{value:.{min(max(wanted, 0), 15)}e}")
    if digits > _PLAIN_DIGITS:
        return f"{value:.15g}".replace("-", MINUS)
    return f"{value:,.{max(digits, 0)}f}".replace("-", MINUS)


def _exponent(told: str) -> str:
    """1.50e-07 as 1.5e-7."""
    mantissa, _, power = told.partition("e")
    if "." in mantissa:
        mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(power)}".replace("-", MINUS)


def _times_ten(unit: int, power: int) -> float:
    """By reading it: 10.0 ** -3 * 5 is not the 0.005 that people write."""
    return float(f"{unit}e{power}")


def _share(value: float, low: float, high: float, *, log: bool) -> float:
    if log:
        value, low, high = math.log(value), math.log(low), math.log(high)
    return (value - low) / (high - low)


def finite(values: Iterable[float | None]) -> list[float]:
    """Those that are numbers one can draw."""
    return [value for value in values if value is not None and math.isfinite(value)]
