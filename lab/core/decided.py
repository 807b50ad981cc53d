"""What the lab decided of a candidate: the last word of its run, written before anything follows from it."""

from __future__ import annotations

from collections.abc import Mapping  # msgspec resolves annotations

import msgspec

from lab.core.asi import Asi
from lab.core.candidate import Candidate
from lab.core.manifest import Usage
from lab.core.record import Record

BEST, BASELINE, NO_REFERENCE = "best", "baseline", "none"


class Decided(Record, frozen=True, kw_only=True):
    """What `artifacts/decision.json` says. A run that has it is sealed as it says, whoever settles it.

    `accepted`, `candidate_value`, `previous_best_value`, `reference_source` and `changed_files` stand where hermes-lab
    had them.
    """

    run_id: str
    outcome: str
    verdict: str
    accepted: bool = False
    candidate_value: float | None = None
    previous_best_value: float | None = None
    reference_source: str = NO_REFERENCE
    metric: str = ""
    metric_direction: str = ""
    changed_files: tuple[str, ...] = ()
    reason: str = ""
    note: str = ""
    candidate: Candidate
    metrics: Mapping[str, float] = {}
    remarks: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    wall_s: float = 0.0
    cost: float = 0.0
    usage: Usage = Usage()


class Handed(msgspec.Struct, frozen=True, kw_only=True):
    """A change that somebody made in a tree that was handed out for it, or that was made of files that were sent."""

    tree: str = ""  # the top of the tree
    base: str = ""  # the commit that it was made from
    parent: str = ""  # the run of that commit
    description: str = ""
    notes: Asi = Asi()
