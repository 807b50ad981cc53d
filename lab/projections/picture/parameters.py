"""What the parameters have to do with the value: coordinates, slices, and importance with what it is worth."""

from __future__ import annotations

import msgspec

from lab.projections.picture.stairs import Sample  # msgspec resolves annotations

ENOUGH = 20  # scored runs, below which nothing is said of importance


class Axis(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A parameter that varied. A number has bounds, everything else its choices, spelled as they are shown."""

    name: str
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    choices: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run with a value. `at` has a place for each axis, from 0 to 1; None where the parameter did not count."""

    run_id: str
    value: float
    at: tuple[float | None, ...]
    rank: float  # 1 is the best of those shown, 0 the worst


class Weight(msgspec.Struct, frozen=True, kw_only=True):
    """How much of the spread of the values goes with one parameter, between 0 and 1, and how unsure that is."""

    name: str
    share: float
    low: float
    high: float


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """What it is from, and what it is worth: `caveat` stands beside every drawing of it."""

    n: int
    weights: tuple[Weight, ...]
    method: str
    caveat: str


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Of one tier. `importance` is None below ENOUGH runs, and `why_not` says so."""

    metric: str
    direction: str
    axes: tuple[Axis, ...]
    tried: tuple[Tried, ...]
    sample: Sample
    best: str = ""  # the run to highlight
    importance: Importance | None = None
    why_not: str = ""
    left_out: int = 0  # axes beyond those shown
