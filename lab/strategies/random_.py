"""Chance, spread evenly: the points of a scrambled Sobol sequence. It learns nothing, and needs no library."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import assignment, scale
from lab.core.trial import Proposal, luck
from lab.strategies import sobol
from lab.strategies.fresh import fresh

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.core.trial import History

_TRIES = 64
_GOLDEN = 0x9E3779B97F4A7C15  # its multiples are spread evenly over the words
_WORD = 2**63 - 1


class Random:
    """The trial at place k of a search gets point k of its sequence, whatever the others found."""

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:  # noqa: ARG002  # the seed is the search's
        return Proposal(params=spread(space, history), note="evenly spread")


def spread(space: Space, history: History) -> Params:
    """The point of the search's sequence for the next trial, or the next one of it that was not tried."""
    return fresh(space, history, lambda k: sobol_point(space, _scrambled(history.seed, k * _TRIES), history.number))


def sobol_point(space: Space, seed: int, index: int) -> Params:
    """Point `index` of the search's sequence that meets the constraints; `BadInput` when none can be found.

    A point that breaks a constraint is replaced by one of another sequence, in the end by a drawn one.
    """
    for attempt in range(_TRIES if space.constraints else 1):
        found = _at(space, _scrambled(seed, attempt), index)
        if assignment.meets(space, found):
            return found
    return assignment.draw(space, luck(seed, index, "sobol"))


def _scrambled(seed: int, attempt: int) -> int:
    """The seed of another sequence. A point from further on in the same one differs in its last digits only."""
    return seed ^ (attempt * _GOLDEN & _WORD)


def _at(space: Space, seed: int, index: int) -> Params:
    places = dict(zip(space.names, sobol.point(seed, index, len(space.names)), strict=True))
    return assignment.completed(space, lambda parameter: scale.from_unit(parameter, places[parameter.name]))
