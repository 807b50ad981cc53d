"""What a run is at a glance, from its line alone: for who has one line and not the runs before it.

`stairs.kinds` is what pictures show. It knows the noise too, so some of what is a discard here is within noise there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import candidate as candidates
from lab.core import run as runs
from lab.projections.picture import stairs

if TYPE_CHECKING:
    from lab.projections.tables import Line


def by_itself(line: Line) -> str:
    """The kind of a run that tells it by itself; empty for one with a value that has to be compared."""
    made = line.candidate
    if line.outcome == runs.CANCELLED:
        return stairs.CANCELLED
    if made is not None and made.kind == candidates.IMPORTED:
        return stairs.CRASH if made.claimed is None and line.value is None else stairs.CLAIMED
    if line.outcome in runs.FAILURES or line.verdict in (candidates.CRASHED, candidates.CHECKS_FAILED):
        return stairs.CRASH
    if line.value is None:
        return stairs.UNMEASURED
    return "" if made is None else _judged(made.kind, line.verdict)


def _judged(kind: str, verdict: str) -> str:
    """Of a code loop."""
    if kind in (candidates.BASELINE, candidates.REPLAYED):
        return stairs.BASELINE if kind == candidates.BASELINE else stairs.REPLAYED
    return stairs.KEEP if verdict == candidates.KEEP else stairs.DISCARD
