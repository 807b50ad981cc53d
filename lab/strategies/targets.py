"""Losses as a Gaussian process can bear them: bad ones cut off, a long tail drawn in, mean 0, deviation 1.

Needs numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lab.strategies.encoding import Array

_ENOUGH = 5  # fewer have no shape
_CUT = 2.0  # a run may be that much worse than the median, in units of how much better the best is
_SKEW = 0.5
BOTH = True
_POWERS = (-4.0, 4.0)  # of Yeo and Johnson; below 1 a tail of high losses is drawn in
_FLAT = 1e-12


def targets(losses: Array) -> Array:
    """The targets for a model, in the order of the losses. Only a tail of high losses is drawn in.

    The low losses are where the search looks: whatever is special about them must stay.
    """
    scaled = losses / max(1.0, float(np.abs(losses).max()) * 1e-100)  # the square of 1e300 is no float
    if len(scaled) >= _ENOUGH:
        middle = float(np.median(scaled))
        scaled = np.minimum(scaled, middle + _CUT * (middle - float(scaled.min())))
    even = _standard(scaled)
    skew = float((even**3).mean())
    if len(even) < _ENOUGH or (abs(skew) if BOTH else skew) <= _SKEW:
        return even
    return _standard(_bent(even, _power(even)))


def _standard(values: Array) -> Array:
    apart = float(values.std())
    return (values - values.mean()) / apart if apart > _FLAT * max(1.0, float(np.abs(values).max())) else values * 0.0


def _power(values: Array) -> float:
    """The power under which the values look most like a normal distribution, by golden section."""
    ratio = (5.0**0.5 - 1.0) / 2.0
    low, high = _POWERS
    one, other = high - ratio * (high - low), low + ratio * (high - low)
    at_one, at_other = _fit(values, one), _fit(values, other)
    for _ in range(20):
        if at_one >= at_other:
            high, other, at_other = other, one, at_one
            one = high - ratio * (high - low)
            at_one = _fit(values, one)
        else:
            low, one, at_one = one, other, at_other
            other = low + ratio * (high - low)
            at_other = _fit(values, other)
    return (low + high) / 2.0


def _fit(values: Array, power: float) -> float:
    spread = float(_bent(values, power).var())
    stretch = (power - 1.0) * float((np.sign(values) * np.log1p(np.abs(values))).sum())
    return stretch - 0.5 * len(values) * float(np.log(max(1e-300, spread)))


def _bent(values: Array, power: float) -> Array:
    """The transformation of Yeo and Johnson."""
    size = np.log1p(np.abs(values))
    above = size if abs(power) < _FLAT else np.expm1(power * size) / power
    rest = 2.0 - power
    below = -size if abs(rest) < _FLAT else -np.expm1(rest * size) / rest
    return np.where(values >= 0.0, above, below)
