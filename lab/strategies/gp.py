"""A small Gaussian process: Matern 5/2 with a length for each parameter, fitted by its marginal likelihood.

Written by hand because what it needs of a library is 200 lines, and importing one costs 1 to 3 seconds in every
process that proposes (docs/decisions/0017). Needs numpy. Everything here is a function of its arguments: a fit starts
from the same place whatever was fitted before.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from lab.strategies.encoding import Array

    Number = NDArray[np.float64] | NDArray[np.float32]
    Valued = Callable[[Array], tuple[float, Array]]

_S5 = math.sqrt(5.0)
_JITTER = 1e-8  # of a signal of about 1: two equal points must not make the matrix singular
_SMALL = 32
_FAR = 30.0  # standard deviations; what lies further away has no chance that a float could hold
_STEPS = 40
_LEVEL = 1e-12  # a direction that leads no further down than this leads nowhere
_STRAIGHT = 1e-10  # a curvature that floats cannot tell from none
ROUGH = 80  # trials
_SETTLED = 1e-3  # of a logarithm: what is gained below it changes no proposal
_LENGTH = (-3.5, 3.0)  # logarithms of what is allowed
_SIGNAL = (-4.0, 4.0)
_NOISE = (-16.0, 1.0)


class Prior(NamedTuple):
    """What is believed of the noise before anything was seen: the logarithm of its variance, and how firmly."""

    noise: float = -8.0
    firmness: float = 3.0


class Scales(NamedTuple):
    """A fitted model: a length for each parameter, the variance of the function, and that of the noise."""

    lengths: Array
    signal: float
    noise: float
    loss: float = 0.0


def fit(seen: Array, column_of: Array, targets: Array, prior: Prior) -> Scales:
    """The scales under which the targets (mean 0, deviation about 1) are most likely, weak priors counted in."""
    count = int(column_of.max()) + 1
    usual = math.log(usual_length(count))
    start = np.concatenate([np.full(count, usual), [0.0, min(-1.0, prior.noise + 1.7 * prior.firmness)]])
    curve = np.eye(count + 2)
    low = np.concatenate([np.full(count, _LENGTH[0]), [_SIGNAL[0], _NOISE[0]]])
    high = np.concatenate([np.full(count, _LENGTH[1]), [_SIGNAL[1], _NOISE[1]]])
    if len(seen) > ROUGH:  # most of the way on a part of the trials, for a fraction of the time
        part = slice(None, None, -(-len(seen) // ROUGH))
        start, curve, _ = _descend(_likelihood(seen[part], column_of, targets[part], prior), start, curve, (low, high))
    found, _, loss = _descend(_likelihood(seen, column_of, targets, prior), start, curve, (low, high))
    return Scales(np.exp(found[:count]), math.exp(found[count]), math.exp(found[count + 1]), loss)


def usual_length(count: int) -> float:
    """The length that is expected before anything was seen, among so many parameters; measured, not derived."""
    diagonal = math.sqrt(count)
    return max(min(0.7, 0.3 * diagonal), 0.22 * diagonal)


def _likelihood(seen: Array, column_of: Array, targets: Array, prior: Prior) -> Valued:
    """Minus the logarithm of the posterior of (log lengths, log signal, log noise), with its gradient."""
    n, count = len(seen), int(column_of.max()) + 1
    upper = np.triu_indices(n, 1)
    above, below = upper[0] * n + upper[1], upper[1] * n + upper[0]
    apart = np.zeros((count, len(above)))  # the squared distances of each pair, by parameter
    for place, column in enumerate(column_of):
        apart[column] += (seen[upper[0], place] - seen[upper[1], place]) ** 2
    usual = math.log(usual_length(count))
    matrix = np.empty((n, n))
    flat = matrix.reshape(-1)

    def value(at: Array) -> tuple[float, Array]:
        narrow, signal, noise = np.exp(-2.0 * at[:count]), math.exp(at[count]), math.exp(at[count + 1])
        far = _S5 * np.sqrt(narrow @ apart)
        falls = signal * np.exp(-far)
        kernel = (1.0 + far + far * far / 3.0) * falls
        flat[above] = flat[below] = kernel
        flat[:: n + 1] = signal + noise + _JITTER
        try:
            lower = np.asarray(np.linalg.cholesky(matrix), dtype=np.float64)
        except np.linalg.LinAlgError:
            return math.inf, np.zeros_like(at)
        root = inverse_of_lower(lower)
        inverse = root.T @ root
        weights = inverse @ targets
        loss = 0.5 * float(targets @ weights) + float(np.log(np.diag(lower)).sum())
        inner = inverse - np.outer(weights, weights)
        pull = inner.reshape(-1)[above]
        trace = float(np.trace(inner))
        slope = np.empty_like(at)
        slope[:count] = (apart @ (pull * (5.0 / 3.0) * (1.0 + far) * falls)) * narrow
        slope[count] = float(pull @ kernel) + 0.5 * signal * trace
        slope[count + 1] = 0.5 * noise * trace
        off = at[:count] - usual
        loss += 0.5 * float(off @ off) + 0.5 * at[count] ** 2
        slope[:count] += off
        slope[count] += at[count]
        away = (at[count + 1] - prior.noise) / prior.firmness
        return loss + 0.5 * away * away, slope + np.eye(1, len(at), count + 1)[0] * (away / prior.firmness)

    return value


def _descend(value: Valued, start: Array, curve: Array, box: tuple[Array, Array]) -> tuple[Array, Array, float]:
    """The lowest place found by BFGS within a box, what was learned of the curvature, and how low it is."""
    at, (low, high) = start.copy(), box
    here, slope = value(at)
    for _ in range(_STEPS):
        held = ((at <= low) & (slope > 0)) | ((at >= high) & (slope < 0))
        direction = np.where(held, 0.0, -(curve @ np.where(held, 0.0, slope)))
        if direction @ slope > -_LEVEL:
            curve = np.eye(len(start))
            direction = np.where(held, 0.0, -slope)
        direction *= min(1.0, 2.0 / max(1e-300, float(np.abs(direction).max())))
        size, there, new, lower = 1.0, at, slope, math.inf
        for _ in range(12):
            there = np.clip(at + size * direction, low, high)
            lower, new = value(there)
            if lower <= here + 1e-4 * float(slope @ (there - at)):
                break
            size *= 0.35
        gain = here - lower
        if not gain > 0:
            break
        moved, turned = there - at, new - slope
        at, here, slope = there, lower, new
        bend = float(moved @ turned)
        if bend > _STRAIGHT:
            shift = np.eye(len(start)) - np.outer(moved, turned) / bend
            curve = shift @ curve @ shift.T + np.outer(moved, moved) / bend
        if gain < _SETTLED:
            break
    return at, curve, here


def inverse_of_lower(lower: Array) -> Array:
    """The inverse of a lower triangle, by halves: numpy has none, and its general inverse costs twice as much."""
    n = len(lower)
    if n <= _SMALL:
        return np.tril(np.linalg.inv(lower))
    half = n // 2
    inverse = np.zeros_like(lower)
    first, last = inverse_of_lower(lower[:half, :half]), inverse_of_lower(lower[half:, half:])
    inverse[:half, :half], inverse[half:, half:] = first, last
    inverse[half:, :half] = -last @ (lower[half:, :half] @ first)
    return inverse


class Posterior:
    """What the model believes after the targets: a mean and a deviation for any point."""

    def __init__(self, seen: Array, column_of: Array, targets: Array, scales: Scales) -> None:
        self.scales = scales
        self._narrow = 1.0 / scales.lengths[column_of]
        self._seen = seen * self._narrow
        kernel = _kernel(self._seen, self._seen, scales.signal)
        kernel.flat[:: len(seen) + 1] = scales.signal + scales.noise + 1e-6
        lower = np.asarray(np.linalg.cholesky(kernel), dtype=np.float64)
        self._root = inverse_of_lower(lower)
        solved = self._root @ targets
        self._weights = self._root.T @ solved
        # How likely the targets are under these scales, as a logarithm, less what is the same for all.
        self.evidence = float(np.log(np.diag(self._root)).sum()) - 0.5 * float(solved @ solved)
        self._short = (self._seen.astype(np.float32), self._root.astype(np.float32), self._weights.astype(np.float32))

    def mean(self, seen: Array) -> Array:
        return _kernel(seen * self._narrow, self._seen, self.scales.signal) @ self._weights

    def at(self, seen: Array) -> tuple[Array, Array]:
        """The mean and the deviation of the function (without the noise) at each point."""
        kernel = _kernel(seen * self._narrow, self._seen, self.scales.signal)
        explained = kernel @ self._root.T
        left = self.scales.signal - np.einsum("ij,ij->i", explained, explained)
        return kernel @ self._weights, np.sqrt(np.maximum(1e-12, left))

    def roughly_at(self, seen: Array) -> tuple[Array, Array]:
        """The same in floats of half the size: three times as fast, and near a tried point only good for sorting."""
        near, root, weights = self._short
        kernel = _kernel((seen * self._narrow).astype(np.float32), near, np.float32(self.scales.signal))
        explained = kernel @ root.T
        left = self.scales.signal - np.einsum("ij,ij->i", explained, explained).astype(np.float64)
        return (kernel @ weights).astype(np.float64), np.sqrt(np.maximum(1e-6, left))


def log_normal(away: Array) -> Array:
    """The logarithm of the chance that a standard normal number lies below; down to what floats can hold."""
    lower = 0.5 * np.array([math.erfc(each) for each in (-math.sqrt(0.5) * np.maximum(away, -_FAR)).tolist()])
    return np.asarray(np.log(lower), dtype=np.float64)


def _kernel(one: Number, other: Number, signal: float | np.float32) -> Number:
    """Matern 5/2 between scaled points, in floats of their own size."""
    far = one @ (other.T * -2.0)
    far += (one**2).sum(1)[:, None]
    far += (other**2).sum(1)
    np.maximum(far, 0.0, out=far)
    np.sqrt(far, out=far)
    far *= _S5
    falls = np.exp(-far)
    falls *= signal
    falls *= far * (far / 3.0 + 1.0) + 1.0
    return falls
