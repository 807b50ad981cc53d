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
    from lab.strategies.encoding import Array, Encoding, Mask

    Wanted = Callable[[Array], Array]  # rows -> how much each is wanted

SPREAD = 512  # points looked at all over the space
AROUND = 16  # changes of each good point
GOOD = 5
SETTLED_FOR, SETTLED = 8, 0.01  # so many trials made the best so little better, in deviations of the targets
SHARE = 0.3  # of the proposals then look at another choice
KEPT = 32  # of all those
STARTS = 5
CHANGES = 24  # changes of each start, in each round
ROUNDS = (0.1, 0.05, 0.02, 0.01, 0.004, 0.002)  # how far they go
DRAWN = 8  # points drawn for certain where constraints may leave none of the others

_FAR = -25.0  # from there on both terms of the improvement are too small for floats to tell apart
_LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def proposals(belief: Belief, space: Space, seed: int) -> Array:
    """Rows that are worth trying, the best first. Most of them meet the constraints; none is promised to be new."""
    encoding, posterior = belief.encoding, belief.with_pending()
    chance = np.random.default_rng(seed)
    elsewhere = _elsewhere(belief, chance)
    there = np.ones(len(belief.rows), dtype=bool) if elsewhere is None else elsewhere(belief.rows)
    if not there.any():
        there[:] = True
    best = float(belief.means.min())

    def wanted(rows: Array, *, roughly: bool = False) -> Array:
        seen = encoding.seen(rows)
        mean, deviation = posterior.roughly_at(seen) if roughly else posterior.at(seen)
        # Elsewhere the improvement is hoped for in the corners, of which nothing is known: the mean leads downhill.
        found = log_improvement(mean, deviation, best) if elsewhere is None else -mean
        if belief.any_failed:
            found = found + belief.log_success(seen)
        if elsewhere is not None:
            found = np.where(elsewhere(rows), found, found - 1e6)
        if space.constraints:
            met = [assignment.meets(space, encoding.point(row)) for row in rows]
            found = np.where(met, found, -np.inf)
        return found

    pool = [encoding.from_cube(chance.random((SPREAD, encoding.count)))]
    if space.constraints:
        luck = Random(seed)
        pool.append(np.array([encoding.row(assignment.draw(space, luck)) for _ in range(DRAWN)]))
    good = belief.rows[there][np.argsort(belief.means[there], kind="stable")[:GOOD]]
    pool += [changed(encoding, np.repeat(good, AROUND, axis=0), reach, chance) for reach in (0.1, 0.02)]
    rows = np.concatenate(pool)
    rows = rows[np.argsort(-wanted(rows, roughly=True), kind="stable")[:KEPT]]
    return climbed(encoding, wanted, rows, chance)


def _elsewhere(belief: Belief, chance: np.random.Generator) -> Callable[[Array], Mask] | None:
    """Which rows are to be looked at where nothing gets better: now and then those with another choice.

    A model that knows one choice well is too sure of what another would do, with its own best numbers: it is made to
    find these for itself. The same for numbers (far off in one of them) found no second valley on hartmann6.
    """
    choices = [k for k, many in enumerate(belief.encoding.choices) if many]
    if not choices or not belief.settled(SETTLED_FOR, SETTLED) or chance.random() >= SHARE:
        return None
    column = choices[int(chance.integers(len(choices)))]
    many, now = belief.encoding.choices[column], belief.rows[int(belief.means.argmin()), column]
    other = (now + 1 + chance.integers(many - 1)) % many
    return lambda rows: rows[:, column] == other


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
