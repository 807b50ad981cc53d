"""Points of a search space: drawn, completed, checked, brought over from another space. Pure.

A point has a value for every parameter that counts and for no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import constraint, scale
from lab.core.errors import BadInput
from lab.core.parameter import mark, same
from lab.core.space import holds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space

Params = dict[str, "Scalar"]
TRIES = 20_000  # a constraint that one point in a thousand meets is found; one that none can meet ends within a second


def in_order(space: Space) -> tuple[Parameter, ...]:
    """The parameters with those first that the conditions of others ask for."""
    placed: dict[str, Parameter] = {}
    waiting = list(space.parameters)
    while waiting:
        ready = [each for each in waiting if all(condition.name in placed for condition in each.when)]
        placed.update((each.name, each) for each in ready)
        waiting = [each for each in waiting if each.name not in placed]
    return tuple(placed.values())


def completed(space: Space, choose: Callable[[Parameter], Scalar]) -> Params:
    """The point in which each parameter that counts has the value that `choose` gives it; the others are not asked."""
    chosen: Params = {}
    counts: set[str] = set()
    for parameter in in_order(space):
        if holds(parameter, counts, chosen):
            counts.add(parameter.name)
            chosen[parameter.name] = choose(parameter)
    return {name: chosen[name] for name in space.names if name in chosen}


def meets(space: Space, params: Mapping[str, object]) -> bool:
    """Whether the constraints hold."""
    return all(constraint.compiled(text)(params) for text in space.constraints)


def problems(space: Space, params: Mapping[str, object]) -> tuple[str, ...]:
    """Everything that is wrong with a point, constraints included."""
    found = space.check(params)
    if found:
        return found
    return tuple(f"it does not meet {text}" for text in space.constraints if not constraint.compiled(text)(params))


def draw(space: Space, rng: Random, *, tries: int = TRIES) -> Params:
    """A point drawn evenly, of those that meet the constraints. `BadInput` when none of `tries` does."""
    for _ in range(tries):
        found = completed(space, lambda parameter: scale.from_unit(parameter, rng.random()))
        if not space.constraints or meets(space, found):
            return found
    raise impossible(space, tries)


def impossible(space: Space, tries: int) -> BadInput:
    """The refusal of a space in which no point was found."""
    return BadInput(
        f"none of {tries:,} points drawn from the space meets {' and '.join(space.constraints)}",
        fix="loosen them; an equality between floats is met by no drawn point: compute one of the two from the other",
    )


def baseline(space: Space) -> Params | None:
    """The point of the defaults, or None where none is given or they break a constraint.

    A parameter without a default is in its middle, a choice at its first value.
    """
    if all(parameter.default is msgspec.UNSET for parameter in space.parameters):
        return None
    found = completed(space, _default)
    return found if meets(space, found) else None


def beginning(space: Space) -> Params | None:
    """Where a training begins that nobody searches: at the defaults, or at the one point of a space without choices."""
    if any(parameter.kind != "fixed" for parameter in space.parameters):
        return baseline(space)
    found = completed(space, lambda parameter: parameter.value)
    return found if meets(space, found) else None


def _default(parameter: Parameter) -> Scalar:
    if parameter.default is not msgspec.UNSET:
        return parameter.default
    return parameter.choices[0] if parameter.kind == "choice" else scale.from_unit(parameter, 0.5)


def size(space: Space) -> int | None:
    """How many points there are at most; None where a float without a step makes them too many to count."""
    product = 1
    for parameter in space.parameters:
        count = scale.levels(parameter)
        if count is None:
            return None
        product *= count + (1 if parameter.when else 0)
    return product


def brought_over(space: Space, params: Mapping[str, object]) -> Params | None:
    """A point of an earlier form of this space as one of this, or None where it lies outside.

    A parameter that is gone is dropped; a new one has its default, for that is what the program did before. A value
    outside its range, or a new parameter without a default, leaves the point outside.
    """
    chosen: Params = {}
    counts: set[str] = set()
    for parameter in in_order(space):
        if not holds(parameter, counts, chosen):
            continue
        counts.add(parameter.name)
        if parameter.kind == "fixed":
            value: object = params.get(parameter.name, parameter.value)
        elif parameter.name in params:
            value = params[parameter.name]
        elif parameter.default is not msgspec.UNSET:
            value = parameter.default
        else:
            return None
        if isinstance(value, float) and parameter.kind == "int" and value.is_integer():
            value = int(value)
        if parameter.problem(value):
            return None
        chosen[parameter.name] = value  # type: ignore[assignment]  # a scalar, or `problem` had said so
    found = {name: chosen[name] for name in space.names if name in chosen}
    return found if meets(space, found) else None


def filled(space: Space, params: Mapping[str, object]) -> dict[str, object]:
    """The same, and what it leaves out of a parameter that counts: its default, or the only value it has."""
    found, counts = dict(params), set[str]()
    for parameter in in_order(space):
        if not holds(parameter, counts, found):
            continue
        counts.add(parameter.name)
        if parameter.name not in found:
            value = parameter.value if parameter.kind == "fixed" else parameter.default
            if value is not msgspec.UNSET:
                found[parameter.name] = value
    return found


def alike(one: Mapping[str, object], other: Mapping[str, object]) -> bool:
    """Whether two points are the same."""
    return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())


def key(params: Mapping[str, object]) -> tuple[tuple[str, object], ...]:
    """Parameters as something to look up, whatever is in them: those that are alike have the same."""
    return tuple((name, mark(params[name])) for name in sorted(params))
