"""What the library may not look at by itself: the clock, chance, processes, the environment.

Built once in `cli`, passed down, and replaced in tests. `core` never calls it: there, time and chance are arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # msgspec resolves the annotations below
from datetime import datetime
from random import Random
from typing import Protocol

import msgspec


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A small program that was started and waited for. `code` is None when it was not there, or took too long."""

    code: int | None
    out: str = ""
    problem: str = ""


class Run(Protocol):
    """Start a small program of the surroundings, such as crontab, and wait.

    An experiment's program is no such thing: it goes through an executor, which holds it to its budget.
    """

    def __call__(self, argv: Sequence[str], *, given: str = "", limit_s: float = 30.0) -> Done: ...


class World(msgspec.Struct, frozen=True, kw_only=True):
    """The four things that differ between two runs of the same command."""

    now: Callable[[], datetime]
    rng: Random
    run: Run
    environ: Mapping[str, str]


def stamp(moment: datetime) -> str:
    """A moment as the files write it: UTC, microseconds, `Z`. Sorts as text in the order of time."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
