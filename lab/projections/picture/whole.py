"""The picture of an experiment: the one value that report, live page, terminal and plots are made from."""

from __future__ import annotations

import msgspec

from lab.core.subject import Finding  # msgspec resolves annotations
from lab.projections.picture.given import UnderWay  # msgspec resolves annotations
from lab.projections.picture.lineage import Lineage  # msgspec resolves annotations
from lab.projections.picture.parameters import Parameters  # msgspec resolves annotations
from lab.projections.picture.spending import Arm, Spending  # msgspec resolves annotations
from lab.projections.picture.stairs import Sample, Stairs  # msgspec resolves annotations
from lab.projections.picture.timeline import Timeline  # msgspec resolves annotations

FORMAT = 1


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run in the table of runs. `kind` is that of its spot in the staircase."""

    n: int
    run_id: str
    kind: str
    outcome: str
    tier: str
    value: float | None = None
    verdict: str = ""
    by: str = ""
    began: str = ""
    ended: str = ""
    wall_s: float = 0.0
    cost: float = 0.0
    worker: str = ""
    params: str = ""  # those that vary, in one cut line
    says: str = ""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What an experiment is, and where it stands."""

    experiment: str
    goal: str
    metric: str
    direction: str
    phase: str
    phase_reason: str
    tier: str
    tiers: tuple[str, ...]
    strategy: str
    is_loop: bool
    as_of: str
    runs: int
    outcomes: dict[str, int]
    most_runs: int | None
    baseline: float | None
    best: float | None
    best_run: str
    best_says: str
    gain: float | None  # of the best over the baseline; above 0 is better
    sigma: float | None
    luck: tuple[str, ...] = ()  # what must not be hidden: unconfirmed keeps, expected false keeps, alarms; in words


class Best(msgspec.Struct, frozen=True, kw_only=True):
    """The run to take."""

    run_id: str
    value: float
    params: dict[str, object] | None
    says: str = ""
    diff: str = ""
    diff_cut: bool = False


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. Its size is bounded: `Sample` says, wherever something is left out, how much and by which rule."""

    format: int = FORMAT
    head: Head
    wants: tuple[Finding, ...]
    under_way: tuple[UnderWay, ...]
    stairs: Stairs
    other_tiers: tuple[Stairs, ...]
    best: Best | None
    parameters: Parameters | None
    lineage: Lineage | None
    timeline: Timeline
    spending: Spending
    arms: tuple[Arm, ...]
    rows: tuple[Row, ...]
    rows_sample: Sample
    warnings: tuple[str, ...] = ()
