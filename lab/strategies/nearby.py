"""Points near a point: what `perturb` and `tree` change, and a rough forecast of what a change is worth. No numpy.

Places are those of `core.scale`: a number between 0 and 1. A choice has no place; two are the same or they are not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core import assignment, scale

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from random import Random

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space
    from lab.core.trial import Trial

_LEAPS = 0.2  # the share of changes that leave the basin
_MOST = 0.7
_OTHER_CHOICE = 0.3  # the square of the distance between two choices
_NOISE = 1e-2
_OFFERED = 16  # changes of which one is chosen
_CLOSE = 32  # trials that the choice looks at
_REACH = 2.0  # how far a forecast looks, in mean distances of the trials it is made from

Scored = list[tuple["Trial", float]]  # trials with their losses
# Where each parameter of the space lies: None where it does not count, a choice as it is.
Places = tuple["Scalar", ...]


class Neighbourhood:
    """The parameters of a space that vary, and how a point of it is changed."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.varying = tuple(each for each in space.parameters if scale.levels(each) != 1)
        self._ordered = tuple(scale.is_ordered(each) for each in self.varying)

    def places(self, params: Mapping[str, Scalar]) -> Places:
        """Where a point lies. Two points of one space can be told apart by it."""
        return tuple(
            None
            if each.name not in params
            else scale.to_unit(each, params[each.name])
            if ordered
            else f"{params[each.name]!r}"
            for each, ordered in zip(self.varying, self._ordered, strict=True)
        )

    def changed(self, params: Params, step: float, rng: Random) -> Params:
        """A point with some of the parameters moved by about `step`, and now and then one far away."""
        count = len(self.varying)
        if rng.random() < _LEAPS:
            step *= 4
        share = max(1.5 / max(1, count), 0.3)
        numbers = self._numbers(params)
        hit = [each for each in numbers if rng.random() < share] or ([rng.choice(numbers)] if numbers else [])
        places = {each.name: scale.to_unit(each, params[each.name]) + rng.gauss(0, step) for each in hit}
        return self.moved(params, places, rng, switch=0.5 / max(1, count) + 0.05)

    def along(self, params: Params, one: Places, other: Places, step: float, rng: Random) -> Params:
        """A point moved by a part of the way between two others, in most of the parameters."""
        part = rng.uniform(0.4, 1.0)
        places = {}
        for each, ordered, here, there in zip(self.varying, self._ordered, one, other, strict=True):
            if not ordered or each.name not in params or not isinstance(here, float) or not isinstance(there, float):
                continue
            if rng.random() < _MOST:
                place = scale.to_unit(each, params[each.name])
                places[each.name] = place + part * (here - there) + rng.gauss(0, step / 10)
        return self.moved(params, places, rng, switch=0.5 / max(1, len(self.varying)) + 0.05)

    def between(self, one: Params, other: Params, part: float, rng: Random) -> Params:
        """A point that lies `part` of the way from one to another: numbers do, choices are those of one of them."""

        def choose(parameter: Parameter) -> Scalar:
            name = parameter.name
            if name in one and name in other:
                if scale.is_ordered(parameter):
                    here, there = (scale.to_unit(parameter, each[name]) for each in (one, other))
                    return scale.from_unit(parameter, here + part * (there - here))
                return other[name] if rng.random() < part else one[name]
            if name in one or name in other:
                return one[name] if name in one else other[name]
            return scale.from_unit(parameter, rng.random())

        return assignment.completed(self.space, choose)

    def moved(self, params: Params, places: Mapping[str, float], rng: Random, *, switch: float) -> Params:
        """The point with the numbers in `places` moved, and each choice switched with a chance of `switch`.

        A place outside 0 to 1 is reflected. What counts only now is drawn.
        """

        def choose(parameter: Parameter) -> Scalar:
            name = parameter.name
            if name not in params:
                return scale.from_unit(parameter, rng.random())
            if name in places:
                return scale.from_unit(parameter, reflected(places[name]))
            if not scale.is_ordered(parameter) and rng.random() < switch:
                return scale.from_unit(parameter, rng.random())
            return params[name]

        return assignment.completed(self.space, choose)

    def _numbers(self, params: Mapping[str, Scalar]) -> list[Parameter]:
        both = zip(self.varying, self._ordered, strict=True)
        return [each for each, ordered in both if ordered and each.name in params]


def reflected(place: float) -> float:
    """A place that left the interval, as a mirror at its end would show it."""
    place = abs(place) % 2
    return 2 - place if place > 1 else place


def distance(one: Places, other: Places) -> float:
    """How far two points are apart."""
    found = 0.0
    for here, there in zip(one, other, strict=True):
        if isinstance(here, float) and isinstance(there, float):
            found += (here - there) * (here - there)
        elif here != there:
            found += _OTHER_CHOICE
    return math.sqrt(found)


class Forecast:
    """A smooth surface through the given points: which of two changes looks better, not by how much.

    It costs the cube of their number, so it is for some dozens.
    """

    def __init__(self, points: Sequence[Places], heights: Sequence[float], around: Places) -> None:
        self._points = points
        mean = sum(distance(around, each) for each in points) / max(1, len(points) - 1)
        self._reach = _REACH * mean or 1.0
        level = sum(heights) / len(heights)
        factor = self._factor()
        # factor * factor' * weights = heights: forwards, then backwards.
        weights: list[float] = []
        for row, height in zip(factor, heights, strict=True):
            known = sum(map(float.__mul__, row, weights))
            weights.append((height - level - known) / row[-1])
        for i in range(len(weights) - 1, -1, -1):
            weights[i] /= factor[i][i]
            for j in range(i):
                weights[j] -= factor[i][j] * weights[i]
        self._weights = weights

    def at(self, place: Places) -> float:
        """The height there, from the mean of all."""
        return sum(
            weight * self._alike(distance(place, point))
            for point, weight in zip(self._points, self._weights, strict=True)
        )

    def _alike(self, far: float) -> float:
        scaled = 2.236 * far / self._reach
        return (1 + scaled + scaled * scaled / 3) * math.exp(-scaled)

    def _factor(self) -> list[list[float]]:
        """The rows of the Cholesky factor of how alike the points are."""
        rows: list[list[float]] = []
        for i, point in enumerate(self._points):
            row: list[float] = []
            for j in range(i):
                left = self._alike(distance(point, self._points[j])) - sum(map(float.__mul__, row, rows[j]))
                row.append(left / rows[j][j])
            row.append(math.sqrt(max(1e-9, 1 + _NOISE - sum(each * each for each in row))))
            rows.append(row)
        return rows


def changes(
    near: Neighbourhood, parent: Trial, ranked: Scored, step: float, rng: Random, *, along: float
) -> Callable[[int], Params]:
    """Changes of a trial: by chance, or for a share of `along` by a part of the way from one good trial to another.

    `ranked` has the best first.
    """
    good = ranked[: max(6, len(ranked) // 4)]

    def change(_attempt: int) -> Params:
        if rng.random() < along:
            (one, _), (other, _) = rng.sample(good, 2)
            return near.along(parent.params, near.places(one.params), near.places(other.params), step, rng)
        return near.changed(parent.params, step, rng)

    return change


def promising(
    near: Neighbourhood,
    parent: Trial,
    scored: Scored,
    is_tried: Callable[[Params], bool],
    change: Callable[[int], Params],
) -> Callable[[int], Params]:
    """Of several changes of a trial the one that looks best by what was found close to it, of these trials."""
    around = near.places(parent.params)
    placed = [(near.places(trial.params), loss) for trial, loss in scored]
    close = sorted(placed, key=lambda each: distance(around, each[0]))[:_CLOSE]
    close.sort(key=lambda each: each[1])
    forecast = Forecast([places for places, _ in close], heights([loss for _, loss in close]), around)

    def best(attempt: int) -> Params:
        offered = [change(attempt) for _ in range(_OFFERED)]
        new = [each for each in offered if not is_tried(each) and assignment.meets(near.space, each)]
        return min(new, key=lambda each: forecast.at(near.places(each)), default=offered[0])

    return best


def heights(losses: Sequence[float]) -> list[float]:
    """Losses in rising order as -1 to 1: the better half to scale, the worse one cut off. Never overflows."""
    low, middle = losses[0] / 4, losses[len(losses) // 2] / 4
    span = middle - low
    if not span or not math.isfinite(span):
        return [2 * k / max(1, len(losses) - 1) - 1 for k in range(len(losses))]
    return [min(2.0, (loss / 4 - low) / span) - 1 for loss in losses]
