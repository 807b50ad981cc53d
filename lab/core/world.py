"""What the library may not look at by itself: the clock, chance, processes, the environment.

Built once in `cli`, passed down, and replaced in tests. `core` never calls it: there, time and chance are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # msgspec resolves the annotations below
from datetime import datetime
from random import Random

import msgspec


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The four things that differ between two runs of the same command."""

    now: Callable[[], datetime]
    rng: Random
    run: Callable[[Sequence[str]], int]
    environ: Mapping[str, str]


def stamp(moment: datetime) -> str:
    """A moment as the files write it: UTC, microseconds, `Z`. Sorts as text in the order of time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
