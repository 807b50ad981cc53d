"""Where to look next: the expected improvement, and a search for the points where it is highest. Needs numpy."""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import numpy as np

from lab.core import assignment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.space import Space
    from lab.strategies.belief import Belief
    from lab.strategies.encoding import Array, Encoding

    Wanted = Callable[[Array], Array]  # rows -> how much each is wanted

SPREAD = 512  # points looked at all over the space
AROUND = 16  # changes of each good point
GOOD = 5
SETTLED_FOR, SETTLED = 8, 0.01  # so many trials made the best so little better, in deviations of the targets
SHARE = 0.25
CHOICE = 0.5
ELSEWHERE = 0.25  # of the range; any other choice is further
KEPT = 32  # of all those
STARTS = 5
CHANGES = 24  # changes of each start, in each round
ROUNDS = (0.1, 0.05, 0.02, 0.01, 0.004, 0.002)  # how far they go
DRAWN = 32  # points drawn for certain where constraints may leave none of the others

_FAR = -25.0  # from there on both terms of the improvement are too small for floats to tell apart
_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def proposals(belief: Belief, space: Space, seed: int) -> Array:
    """Rows that are worth trying, the best first. Most of them meet the constraints; none is promised to be new."""
    encoding, posterior = belief.encoding, belief.with_pending()
    best = float(belief.means.min())
    chance = np.random.default_rng(seed)
    top = belief.rows[int(belief.means.argmin())]
    elsewhere = _elsewhere(belief, chance)

    def wanted(rows: Array, *, roughly: bool = False) -> Array:
        seen = encoding.seen(rows)
        found = log_improvement(*(posterior.roughly_at(seen) if roughly else posterior.at(seen)), best)
        if belief.any_failed:
            found = found + belief.log_success(seen)
        if elsewhere >= 0:
            away = np.abs(rows[:, elsewhere] - top[elsewhere])
            found = np.where(away > ELSEWHERE, found, found - 1e6)
        if space.constraints:
            met = [assignment.meets(space, encoding.point(row)) for row in rows]
            found = np.where(met, found, -np.inf)
        return found

    pool = [encoding.from_cube(chance.random((SPREAD, encoding.count)))]
    if space.constraints:
        luck = Random(seed)
        pool.append(np.array([encoding.row(assignment.draw(space, luck)) for _ in range(DRAWN)]))
    good = belief.rows[np.argsort(belief.means, kind="stable")[:GOOD]]
    pool += [changed(encoding, np.repeat(good, AROUND, axis=0), reach, chance) for reach in (0.1, 0.02)]
    rows = np.concatenate(pool)
    rows = rows[np.argsort(-wanted(rows, roughly=True), kind="stable")[:KEPT]]
    return climbed(encoding, wanted, rows, chance)


def _elsewhere(belief: Belief, chance: np.random.Generator) -> int:
    """Which column must differ from the best point's, or -1: where nothing gets better, another valley may be deeper.

    A model that knows one valley well is too sure of the rest, most of all of what another choice would do.
    """
    if not belief.settled(SETTLED_FOR, SETTLED) or chance.random() >= SHARE:
        return -1
    choices = [k for k, many in enumerate(belief.encoding.choices) if many]
    if choices and chance.random() < CHOICE:
        return choices[int(chance.integers(len(choices)))]
    return int(chance.integers(belief.encoding.count))


def climbed(encoding: Encoding, wanted: Wanted, rows: Array, chance: np.random.Generator) -> Array:
    """The best of the rows after a search around each, then the best ones as they were."""
    worth = wanted(rows)
    order = np.argsort(-worth, kind="stable")[: 4 * STARTS]
    best, value = rows[order[:STARTS]].copy(), worth[order[:STARTS]].copy()
    for reach in ROUNDS:
        tried = changed(encoding, np.repeat(best, CHANGES, axis=0), reach, chance)
        worths = wanted(tried).reshape(len(best), CHANGES)
        pick = worths.argmax(axis=1)
        found = worths[np.arange(len(best)), pick]
        better = found > value
        best[better] = tried[np.arange(len(best)) * CHANGES + pick][better]
        value[better] = found[better]
    return np.concatenate([best[np.argsort(-value, kind="stable")], rows[order]])


def changed(encoding: Encoding, rows: Array, reach: float, chance: np.random.Generator) -> Array:
    """Each row with one column or more changed: a number by about `reach`, a choice for another."""
    n, count = rows.shape
    often = max(0.4, 1.5 / count)
    forced = chance.integers(count, size=n)
    hit = chance.random((n, count)) < often
    hit[np.arange(n), forced] = True
    moved = np.clip(rows + chance.normal(0.0, reach, (n, count)), 0.0, 1.0)
    luck, other = chance.random((n, count)), chance.random((n, count))
    found = np.where(hit, moved, rows)
    for k, many in enumerate(encoding.choices):
        if many:
            swapped = (luck[:, k] < np.where(forced == k, 0.6, 0.12)) | (rows[:, k] < 0)
            found[:, k] = np.where(swapped, np.floor(other[:, k] * many), rows[:, k])
    return encoding.settled(found)


def log_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """The logarithm of how much lower than `best` a point can be expected to be, however hopeless it is."""
    away = (best - mean) / deviation
    near = np.maximum(away, _FAR)
    density = np.exp(-0.5 * near * near - _LOG_ROOT_TWO_PI)
    share = 0.5 * np.array([math.erfc(each) for each in (-math.sqrt(0.5) * near).tolist()])
    found = np.log(np.maximum(density + near * share, 1e-300))
    far = np.minimum(away, _FAR)
    found = np.where(away > _FAR, found, -0.5 * far * far - _LOG_ROOT_TWO_PI - 2.0 * np.log(-far))
    return found + np.log(deviation)
