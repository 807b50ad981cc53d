"""What the trials of a search say of its space: a Gaussian process over all of them, and the chance of a failure.

`Memory` keeps what was computed for a search, by the very numbers it was computed from: it saves work and changes no
answer. Needs numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lab.strategies.encoding import Encoding
from lab.strategies.gp import Posterior, Prior, Scales, fit, log_normal
from lab.strategies.targets import targets

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.core.trial import History, Trial
    from lab.strategies.encoding import Array

EACH = 40  # up to here the model is fitted anew for each trial, then for every twentieth part more
PRIORS = {None: Prior(), True: Prior(noise=-4.0, firmness=2.5), False: Prior(noise=-14.0, firmness=1.0)}
_KEPT_FITS = 4
# What may explain the endings: how far one tells of others, in diagonals of the space, and how much of it is luck.
_LENGTHS = (0.15, 0.4)
_LUCK = (0.05, 0.3, 1.0)
_UNSURE = 0.02
_WARY = 2.0  # the power of the chance: with 1 it went on trying what always failed, at a wall beside the best point


def fitted_at(count: int) -> int:
    """The number of trials at which the model for `count` of them is fitted: the same in every process."""
    at = EACH
    if count <= at:
        return count
    while at + max(1, at // 20) <= count:
        at += max(1, at // 20)
    return at


class Memory:
    """The rows and the fits of one space."""

    def __init__(self, space: Space) -> None:
        self.encoding = Encoding(space)
        self._rows: dict[str, tuple[Params, Array]] = {}
        self._fits: dict[tuple[bytes, bytes, Prior], Scales] = {}

    def rows(self, trials: Sequence[Trial]) -> Array:
        found = np.empty((len(trials), self.encoding.count))
        kept: dict[str, tuple[Params, Array]] = {}
        for k, trial in enumerate(trials):
            known = self._rows.get(trial.run_id)
            if known is None or known[0] != trial.params:
                known = (trial.params, self.encoding.row(trial.params))
            kept[trial.run_id] = known
            found[k] = known[1]
        self._rows = kept
        return found

    def scales(self, seen: Array, values: Array, prior: Prior) -> Scales:
        key = (seen.tobytes(), values.tobytes(), prior)
        if key not in self._fits:
            while len(self._fits) >= _KEPT_FITS:
                del self._fits[next(iter(self._fits))]
            self._fits[key] = fit(seen, self.encoding.column_of, values, prior)
        return self._fits[key]


class Belief:
    """The model of a history. `scored` are the trials with a value, in their order; at least one of them is needed."""

    def __init__(self, memory: Memory, history: History) -> None:
        encoding = memory.encoding
        self.encoding = encoding
        rows = memory.rows(history.trials)
        losses = [(k, history.loss(trial.value)) for k, trial in enumerate(history.trials) if trial.value is not None]
        self.scored = [history.trials[k] for k, _ in losses]
        self.losses = np.array([loss for _, loss in losses])
        middle = sorted(self.losses)[len(self.losses) // 2]
        # A run that was stopped early would have become better: what it last told is believed to be bad, not how bad.
        stopped = [
            (k, max(middle, history.loss(trial.reported)))
            for k, trial in enumerate(history.trials)
            if trial.outcome and trial.value is None and trial.reported is not None
        ]
        told = sorted(losses + stopped)
        values = np.array([loss for _, loss in told])
        self.rows = rows[[k for k, _ in losses]]
        seen = encoding.seen(rows[[k for k, _ in told]])
        first = fitted_at(len(told))
        prior = PRIORS[history.noisy]
        self.scales = memory.scales(seen[:first], targets(values[:first]), prior)
        self.targets = targets(values)
        self.posterior = Posterior(seen, encoding.column_of, self.targets, self.scales)
        of_scored = [told.index(each) for each in losses]
        self.scored_targets = self.targets[of_scored]
        self.means = self.posterior.mean(encoding.seen(self.rows))
        self._seen = seen
        # A stopped run has not failed: it says nothing of the chance of a failure.
        ended = [
            (k, trial.failed) for k, trial in enumerate(history.trials) if trial.outcome and trial.reported is None
        ]
        self.any_failed = any(failed for _, failed in ended)
        self._ended = encoding.seen(rows[[k for k, _ in ended]])
        self._endings: tuple[Posterior, float] | None = None
        self._failed = np.array([failed for _, failed in ended], dtype=bool)
        self._unwanted = np.array([encoding.row(params) for params in history.unwanted])
        self._pending = rows[[k for k, trial in enumerate(history.trials) if trial.pending]]

    def settled(self, trials: int, least: float) -> bool:
        """Whether the last trials have made the best one better by less than `least`, in deviations of the targets."""
        before = self.targets[:-trials]
        return len(before) > 0 and float(before.min() - self.targets.min()) < least

    def with_pending(self) -> Posterior:
        """The model as it would be if each trial under way came out as expected: it is not proposed again nearby.

        What a person did not want is taken for middling, or its neighbour would be offered next.
        """
        seen, targets_ = [self._seen], [self.targets]
        if len(self._pending):
            seen.append(self.encoding.seen(self._pending))
            targets_.append(self.posterior.mean(seen[-1]))
        if len(self._unwanted):
            seen.append(self.encoding.seen(self._unwanted))
            targets_.append(np.full(len(self._unwanted), np.median(self.targets)))
        if len(seen) == 1:
            return self.posterior
        return Posterior(np.concatenate(seen), self.encoding.column_of, np.concatenate(targets_), self.scales)

    def log_success(self, seen: Array) -> Array:
        """The logarithm of the chance that a trial there succeeds: a model of what ended well and what did not.

        How much of it is plain bad luck is weighed by how well each answer explains the endings. Bad luck is the same
        everywhere and keeps nobody from a good place; a place where nothing succeeds is left for others.
        """
        if self._endings is None:
            column_of, labels = self.encoding.column_of, np.where(self._failed, -1.0, 1.0)
            middle = max(0.0, float(labels.mean()))
            near = np.full(self.encoding.count, self.encoding.count**0.5)
            tried = [
                Posterior(self._ended, column_of, labels - middle, Scales(near * length, 1.0, luck))
                for length in _LENGTHS
                for luck in _LUCK
            ]
            self._endings = (max(tried, key=lambda each: each.evidence), middle)
        model, middle = self._endings
        mean, deviation = model.roughly_at(seen)
        return _WARY * log_normal((middle + mean) / np.sqrt(_UNSURE + deviation**2))


class Expected(NamedTuple):
    """What is expected of a tried point, in the units of the loss, and how much one measurement strays from it."""

    mean: float
    sd: float
    noise: float


def expected(belief: Belief, place: int) -> Expected:
    """What the model expects of the scored trial at `place`, brought back from targets to losses along the trials."""
    order = np.argsort(belief.scored_targets, kind="stable")
    unit = _unit(belief.losses)
    targets_, losses = belief.scored_targets[order], belief.losses[order] / unit
    (mean,), (sd,) = belief.posterior.at(belief.encoding.seen(belief.rows[place : place + 1]))
    noise = belief.scales.noise**0.5

    def loss(target: float) -> float:
        return float(np.interp(target, targets_, losses)) * unit

    def half(spread: float) -> float:
        return loss(mean + spread) / 2 - loss(mean - spread) / 2  # halves first: 1e308 - -1e308 is no float

    return Expected(loss(mean), half(float(sd)), half(noise))


def repeated_noise(belief: Belief) -> float | None:
    """The deviation of losses measured at one and the same point, or None where no point was measured twice."""
    unit = _unit(belief.losses)
    groups: dict[bytes, list[float]] = {}
    for row, loss in zip(belief.rows, belief.losses, strict=True):
        groups.setdefault(row.tobytes(), []).append(float(loss) / unit)
    again = [np.array(losses) - np.mean(losses) for losses in groups.values() if len(losses) > 1]
    if not again:
        return None
    freedom = sum(len(losses) - 1 for losses in again)
    return float(np.sqrt(sum(float((losses**2).sum()) for losses in again) / freedom)) * unit


def _unit(losses: Array) -> float:
    """What losses are measured in here: neither squares nor differences of the largest floats are floats."""
    return max(1.0, float(np.abs(losses).max()) * 1e-100)
