"""The staircase: every run of a tier where it stands, the best so far, and how wide the noise is."""

from __future__ import annotations

import msgspec

# What a mark is. A crash has no value, and stands on the floor as a cross; so do time-outs and failures.
KEEP, WITHIN, DISCARD, CRASH, CANCELLED, BASELINE, CLAIMED = (
    "keep", "within", "discard", "crash", "cancelled", "baseline", "claimed",
)  # fmt: skip


class Spot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run. `n` counts the runs of the tier from 1, in the order of history."""

    n: int
    run_id: str
    kind: str
    value: float | None = None
    says: str = ""  # what changed, or why it failed: one line


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From this run on the best so far is this. `changed` is the shortest honest word for what was different."""

    n: int
    run_id: str
    value: float
    changed: str = ""
    within: bool = False  # better than the one before by less than the noise tells apart


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """The noise of one measurement: what lies closer than `width` to a value need not differ from it."""

    sigma: float
    width: float
    source: str  # in words: from what it is known


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of how many, and by which rule, in words. Nothing is left out unsaid."""

    shown: int
    total: int
    rule: str = ""


class Stairs(msgspec.Struct, frozen=True, kw_only=True):
    """The staircase of one tier."""

    experiment: str
    tier: str
    metric: str
    direction: str
    spots: tuple[Spot, ...]
    steps: tuple[Step, ...]
    sample: Sample
    band: Band | None = None
    counts: dict[str, int] = {}  # kind -> how many there are, of all runs of the tier
    target: float | None = None
