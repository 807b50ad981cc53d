"""A parameter and the unit interval: where a value lies between 0 and 1, and which value a place there stands for.

Every strategy that computes in the unit cube goes through these two, so that a step, a logarithm and a bound mean the
same in all of them, and no value that comes out can lie outside the parameter.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core.parameter import same

if TYPE_CHECKING:
    from lab.core.parameter import Parameter, Scalar

_SLACK = 1e-9  # of a step: 0.1 to 0.7 in steps of 0.3 has three values, whatever floats make of it
_TOP = math.nextafter(1.0, 0.0)
_NEAR_OVERFLOW = 300.0  # above it, the exponential alone may be too large for a float
_LARGEST_LOG = math.log(1.7e308)


def levels(parameter: Parameter) -> int | None:
    """How many values a parameter has; None for a float without a step."""
    match parameter.kind:
        case "fixed":
            return 1
        case "bool":
            return 2
        case "choice":
            return len(parameter.choices)
        case _ if parameter.low == parameter.high:
            return 1
        case "float" if parameter.step is None:
            return None
        case _:
            step = parameter.step or 1
            return int((parameter.high - parameter.low) / step + _SLACK) + 1


def is_ordered(parameter: Parameter) -> bool:
    """Whether two values that lie close together in the unit interval are alike."""
    return parameter.kind in ("float", "int")


def to_unit(parameter: Parameter, value: Scalar) -> float:
    """The place of a value: the middle of its cell where there are finitely many. `value` is one of the parameter's."""
    count = levels(parameter)
    if count == 1:
        return 0.5
    match parameter.kind:
        case "bool":
            return 0.75 if value else 0.25
        case "choice":
            index = next(k for k, choice in enumerate(parameter.choices) if same(value, choice))
            return (index + 0.5) / len(parameter.choices)
        case _:
            low, high = _edges(parameter, count)
            number = float(value)  # type: ignore[arg-type]  # what `Parameter.problem` has let through
            if parameter.log:
                return min(1.0, max(0.0, _log_ratio(number, low) / _log_ratio(high, low)))
            return min(1.0, max(0.0, (number - low) / (high - low)))


def from_unit(parameter: Parameter, place: float) -> Scalar:
    """The value at a place; what lies outside 0 to 1 is brought to the nearer end."""
    place = min(_TOP, max(0.0, place))
    count = levels(parameter)
    match parameter.kind:
        case "fixed":
            return parameter.value
        case "bool":
            return place >= 0.5  # noqa: PLR2004  # half of the interval each
        case "choice":
            return parameter.choices[int(place * len(parameter.choices))]
        case _:
            return _number(parameter, place, count)


def _number(parameter: Parameter, place: float, count: int | None) -> int | float:
    if count == 1:
        return parameter.low
    low, high = _edges(parameter, count)
    found = _at_ratio(low, place * _log_ratio(high, low)) if parameter.log else low + place * (high - low)
    if count is None:
        return min(parameter.high, max(parameter.low, found))
    step = parameter.step or 1
    return at_step(parameter, min(count - 1, max(0, round((found - parameter.low) / step))))


def at_step(parameter: Parameter, index: int) -> int | float:
    """The value so many steps above low, spelt as everybody spells it. A whole number without a step has one of 1."""
    step = parameter.step or 1
    if parameter.kind == "int":
        return int(parameter.low + index * step)
    if index == 0:
        return parameter.low
    # Fifteen digits are what a float surely holds: 0.3, where the sum says 0.30000000000000004.
    return min(parameter.high, max(parameter.low, float(f"{parameter.low + index * step:.15g}")))


def _edges(parameter: Parameter, count: int | None) -> tuple[float, float]:
    """The ends of the scale. With steps half a step outside: the first and last value are as likely as the others."""
    if count is None:
        return float(parameter.low), float(parameter.high)
    step = float(parameter.step or 1)
    low, high = parameter.low - step / 2, parameter.low + (count - 1) * step + step / 2
    if parameter.log and low <= 0:
        low = parameter.low / 2 or parameter.low  # half of the smallest float is none
    return float(low), float(high)


def _log_ratio(high: float, low: float) -> float:
    """The logarithm of high over low. By the difference, which is exact where the two lie close together."""
    part = (high - low) / low
    return math.log1p(part) if math.isfinite(part) else math.log(high) - math.log(low)


def _at_ratio(low: float, ratio: float) -> float:
    """The number whose logarithm lies `ratio` above that of low."""
    if ratio < _NEAR_OVERFLOW:
        return low + low * math.expm1(ratio)
    return math.exp(min(_LARGEST_LOG, math.log(low) + ratio))
