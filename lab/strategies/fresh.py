"""A point that the search has not tried: what every strategy hands its proposal through. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import assignment, scale
from lab.core.errors import Exhausted
from lab.core.space import holds
from lab.core.trial import luck

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from lab.core.assignment import Params
    from lab.core.parameter import Parameter, Scalar
    from lab.core.space import Space
    from lab.core.trial import History

ATTEMPTS = 20
DRAWS = 200
LISTED = 50_000  # points looked at where nearly all were tried; takes about a second


def fresh(space: Space, history: History, propose: Callable[[int], Params]) -> Params:
    """The first of what `propose` offers for 0, 1, 2 ... that was not tried, else a drawn one, else one that is left.

    A trial under way counts as tried. `propose` need not look at the constraints. `Exhausted` when every point was
    tried. Where chance finds no new point and there are too many to list, one is proposed again.
    """
    is_tried = history.tried()
    for attempt in range(ATTEMPTS):
        offered = propose(attempt)
        if not is_tried(offered) and assignment.meets(space, offered):
            return offered
    rng = luck(history.seed, history.number, "fresh")
    drawn = assignment.draw(space, rng)
    for _ in range(DRAWS):
        if not is_tried(drawn):
            return drawn
        drawn = assignment.draw(space, rng)
    for count, listed in enumerate(_points(assignment.in_order(space), {}, rng)):
        if not is_tried(listed) and assignment.meets(space, listed):
            return {name: listed[name] for name in space.names if name in listed}
        if count >= LISTED:
            return drawn
    if any(scale.levels(parameter) is None for parameter in space.parameters):
        return drawn
    raise Exhausted(
        f"every point of the search space was tried, in {len(history.trials)} trials",
        fix="widen the space, or end the experiment: its best run is the best there is",
    )


def _points(left: tuple[Parameter, ...], chosen: Params, rng: Random) -> Iterator[Params]:
    """Every point that begins with `chosen`, starting anywhere; of a float without a step one value, drawn."""
    if not left:
        yield chosen
        return
    parameter, rest = left[0], left[1:]
    if not holds(parameter, set(chosen), chosen):
        yield from _points(rest, chosen, rng)
        return
    count = scale.levels(parameter)
    start = 0 if count is None else rng.randrange(count)
    for k in range(count or 1):
        value = scale.from_unit(parameter, rng.random()) if count is None else _level(parameter, (start + k) % count)
        yield from _points(rest, {**chosen, parameter.name: value}, rng)


def _level(parameter: Parameter, index: int) -> Scalar:
    """The value number `index` of a parameter with finitely many, in the very form that `from_unit` gives it."""
    match parameter.kind:
        case "fixed":
            return parameter.value
        case "bool":
            return bool(index)
        case "choice":
            return parameter.choices[index]
        case _:
            number = parameter.low + index * (parameter.step or 1)
            return scale.from_unit(parameter, scale.to_unit(parameter, number))
