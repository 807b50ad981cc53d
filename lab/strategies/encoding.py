"""A search space as arrays: what a model computes with, and the way back to points.

A point is a row with one place per parameter that varies: where a number lies between 0 and 1, which choice it is
(0, 1, 2 ...), and `IDLE` or -1 where the parameter does not count. The scale is that of `core.scale`, computed for a
whole column at once; a test holds the two together. Needs numpy.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lab.core import assignment, scale
from lab.core.parameter import same

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

    Array = NDArray[np.float64]
    Mask = NDArray[np.bool_]

IDLE = 0.5  # the place of a number that does not count
NO_CHOICE = -1.0
_HOT = math.sqrt(0.5)  # two choices are as far apart as the two ends of a number
_NEAR = 1e-9
_TOP = math.nextafter(1.0, 0.0)


class Encoding:
    """The columns of a space. `width` is how many numbers a model sees for a point, `column_of` whose each one is."""

    def __init__(self, space: Space) -> None:
        self.space = space
        ordered = assignment.in_order(space)
        self.columns = tuple(each for each in ordered if scale.levels(each) != 1)
        self.place = {each.name: k for k, each in enumerate(self.columns)}
        self.choices = tuple(_choices(each) for each in self.columns)
        self.count = len(self.columns)
        self.column_of = np.array([k for k, many in enumerate(self.choices) for _ in range(max(1, many))], dtype=int)
        self.width = len(self.column_of)
        self._constant = {each.name: scale.from_unit(each, 0.5) for each in ordered if scale.levels(each) == 1}
        self._conditional = tuple(each for each in ordered if each.when)

    def row(self, params: Mapping[str, Scalar]) -> Array:
        """The row of a point of the space."""
        row = np.empty(self.count)
        for k, (parameter, many) in enumerate(zip(self.columns, self.choices, strict=True)):
            if parameter.name not in params:
                row[k] = NO_CHOICE if many else IDLE
            elif many:
                row[k] = _index(parameter, params[parameter.name])
            else:
                row[k] = scale.to_unit(parameter, params[parameter.name])
        return row

    def point(self, row: Array) -> Params:
        """The point that a row stands for. Whether it meets the constraints is not asked."""

        def value(parameter: Parameter) -> Scalar:
            k = self.place.get(parameter.name)
            if k is None:
                return scale.from_unit(parameter, 0.5)
            many = self.choices[k]
            return scale.from_unit(parameter, (max(0.0, float(row[k])) + 0.5) / many if many else float(row[k]))

        return assignment.completed(self.space, value)

    def from_cube(self, cube: Array) -> Array:
        """Rows for points of the unit cube, one place for each column."""
        rows = cube.copy()
        for k, many in enumerate(self.choices):
            if many:
                rows[:, k] = np.minimum(many - 1, np.floor(cube[:, k] * many))
        return self.settled(rows)

    def settled(self, rows: Array) -> Array:
        """The rows as the points that they stand for: on their steps, and idle where a parameter does not count."""
        rows = rows.copy()
        for k, parameter in enumerate(self.columns):
            if not self.choices[k] and scale.levels(parameter) is not None:
                rows[:, k] = on_steps(parameter, rows[:, k])
        counts: dict[str, Mask] = {}
        for parameter in self._conditional:
            active = np.ones(len(rows), dtype=bool)
            for condition in parameter.when:
                active &= self._holds(condition.name, condition.values, rows)
                if condition.name in counts:
                    active &= counts[condition.name]
            counts[parameter.name] = active
            k = self.place.get(parameter.name, -1)
            if k >= 0 and self.choices[k]:
                rows[:, k] = np.where(active, np.maximum(rows[:, k], 0.0), NO_CHOICE)
            elif k >= 0:
                rows[~active, k] = IDLE
        return rows

    def seen(self, rows: Array) -> Array:
        """What a model sees: numbers as they are, a choice as one column each."""
        places = rows[:, self.column_of]
        start = 0
        for many in self.choices:
            if many:
                hot = places[:, start : start + many] == np.arange(many)
                places[:, start : start + many] = _HOT * hot
            start += max(1, many)
        return places

    def _holds(self, name: str, values: tuple[Scalar, ...], rows: Array) -> Mask:
        """Where the parameter `name` has one of `values`, whether it counts or not."""
        if name in self._constant:
            return np.full(len(rows), any(same(self._constant[name], value) for value in values))
        k = self.place[name]
        parameter = self.columns[k]
        met = np.zeros(len(rows), dtype=bool)
        for value in values:
            wanted = _index(parameter, value) if self.choices[k] else scale.to_unit(parameter, value)
            met |= np.abs(rows[:, k] - wanted) < _NEAR
        return met


def on_steps(parameter: Parameter, places: Array) -> Array:
    """`to_unit(from_unit(place))` of a number with finitely many values, for a column."""
    low, high, step, count = _edges(parameter)
    places = np.clip(places, 0.0, _TOP)
    span = math.log(high / low) if parameter.log else high - low
    found = low * np.exp(places * span) if parameter.log else low + places * span
    index = np.clip(np.round((found - parameter.low) / step), 0, count - 1)
    value = parameter.low + index * step
    back = np.log(value / low) / span if parameter.log else (value - low) / span
    return np.clip(back, 0.0, 1.0)


def _edges(parameter: Parameter) -> tuple[float, float, float, int]:
    """The ends of the scale, half a step outside the values, as in `core.scale`; the step, and how many values."""
    count = scale.levels(parameter) or 1
    step = float(parameter.step or 1)
    low, high = parameter.low - step / 2, parameter.low + (count - 1) * step + step / 2
    if parameter.log and low <= 0:
        low = parameter.low / 2
    return float(low), float(high), step, count


def _choices(parameter: Parameter) -> int:
    """How many choices a parameter has; 0 for a number."""
    return 0 if scale.is_ordered(parameter) else scale.levels(parameter) or 0


def _index(parameter: Parameter, value: Scalar) -> float:
    if parameter.kind == "bool":
        return 1.0 if value else 0.0
    return float(next(k for k, choice in enumerate(parameter.choices) if same(value, choice)))
