"""What was measured more than once in a search, and what that tells of its noise: one answer, whoever asks.

Briefing, picture, `labctl best` and `labctl compare` all take it from here. A failed run repeats nothing, whatever its
program claimed, and chunks of one training repeat nothing either: each goes on from the one before. Nothing is
forgotten among the runs that are looked at: the order in which they came says nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, noise
from lab.core.noise import Noise  # msgspec resolves annotations
from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.projections.tables import Line

AMONG = 5_000  # of the last runs: the noise is looked for among these, so that its cost does not grow


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """What repeats say of the noise of one measurement, by how many points, and what a model says, where one was asked.

    `weighed` is what both say together: the noise, wherever it is told.
    """

    noise: Noise = Noise()
    points: int = 0
    modelled: float | None = None

    @property
    def weighed(self) -> Noise:
        return noise.filled(self.noise, self.modelled)

    @property
    def told(self) -> str:
        """From what it is known, in words."""
        repeated = f"{text.count(self.points, 'point')} measured more than once, {freedom(self.noise.df)}"
        if self.weighed == self.noise:
            return repeated
        return f"{repeated}, and the model" if self.noise.df else "the model"


def freedom(df: int) -> str:
    """Degrees of freedom, in words."""
    return f"{text.count(df, 'degree')} of freedom"


def known(lines: Sequence[Line], tier: str) -> Known:
    """What the last runs of a tier tell."""
    return _known(lines, groups(lines, tier, max(len(lines) - AMONG, 0)))


def by_tier(lines: Sequence[Line]) -> dict[str, Known]:
    """The same of every tier that has any of these runs, at once: a tier costs nothing then."""
    places: dict[str, list[int]] = {}
    for place in range(max(len(lines) - AMONG, 0), len(lines)):
        places.setdefault(lines[place].tier, []).append(place)
    return {tier: _known(lines, _alike(lines, each)) for tier, each in places.items()}


def groups(lines: Sequence[Line], tier: str, first: int = 0) -> list[list[int]]:
    """The places, from `first` on, of the runs of each point of a tier that was measured more than once."""
    return _alike(lines, (place for place in range(first, len(lines)) if lines[place].tier == tier))


def _known(lines: Sequence[Line], found: Sequence[Sequence[int]]) -> Known:
    values = [[lines[place].value or 0.0 for place in group] for group in found]
    return Known(noise=noise.repeated(values), points=len(found))


def _alike(lines: Sequence[Line], places: Iterable[int]) -> list[list[int]]:
    """These places by the point that was measured there; points that were measured once are left out."""
    alike: dict[object, list[int]] = {}
    for place in places:
        line = lines[place]
        if line.scored and line.params is not None and not line.ran.chunk:
            alike.setdefault(_coarse(line.params), []).append(place)
    found: dict[object, list[int]] = {}
    for place in (place for group in alike.values() if len(group) > 1 for place in group):
        found.setdefault(assignment.key(lines[place].params or {}), []).append(place)
    return [group for group in found.values() if len(group) > 1]


def _coarse(params: Mapping[str, object]) -> object:
    """A key that points which are the same share, and few others. It costs a tenth of the exact one."""
    try:
        return sum(map(hash, params.values()))
    except TypeError:  # a list among them
        return assignment.key(params)
