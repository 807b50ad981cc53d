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

# A far stretch of the sequence: what replaces a point is not what a later trial of the same search would have got.
_STRIDE = 2**20
_TRIES = 64
_FAR = _STRIDE * _TRIES


class Random:
    """The trial at place k of a search gets point k of its sequence, whatever the others found."""

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:  # noqa: ARG002  # the seed is the search's
        return Proposal(params=spread(space, history), note="evenly spread")


def spread(space: Space, history: History) -> Params:
    """The point of the search's sequence for the next trial, or the next one of it that was not tried."""
    return fresh(space, history, lambda attempt: sobol_point(space, history.seed, history.number + attempt * _FAR))


def sobol_point(space: Space, seed: int, index: int) -> Params:
    """Point `index` of the search's sequence that meets the constraints; `BadInput` when none can be found.

    A point that breaks a constraint is replaced by one from further on, in the end by a drawn one.
    """
    for attempt in range(_TRIES if space.constraints else 1):
        found = _at(space, seed, index + attempt * _STRIDE)
        if assignment.meets(space, found):
            return found
    return assignment.draw(space, luck(seed, index, "sobol"))


def _at(space: Space, seed: int, index: int) -> Params:
    places = dict(zip(space.names, sobol.point(seed, index, len(space.names)), strict=True))
    return assignment.completed(space, lambda parameter: scale.from_unit(parameter, places[parameter.name]))
