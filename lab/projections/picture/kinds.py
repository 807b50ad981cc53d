"""What each run is at a glance, one word each: what `stairs` tells in one tier, for the runs of all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.candidate import BASELINE as MEASURED
from lab.core.candidate import IMPORTED
from lab.core.candidate import KEEP as KEPT
from lab.core.run import CANCELLED as CALLED_OFF
from lab.core.run import better
from lab.projections.picture.stairs import BASELINE, CANCELLED, CLAIMED, CRASH, DISCARD, KEEP

if TYPE_CHECKING:
    from lab.projections.picture.given import Given
    from lab.projections.tables import Line


def of(given: Given) -> list[str]:
    """The kind of every line, in their order."""
    bests: dict[str, float] = {}
    found = []
    for line in given.lines:
        kind = by_itself(line)
        if not kind:
            direction = given.view.directions.get(line.tier, given.view.direction)
            kind = DISCARD
            if line.value is not None and better(line.value, bests.get(line.tier), direction):
                bests[line.tier] = line.value
                kind = KEEP
        found.append(kind)
    return found


def by_itself(line: Line) -> str:
    """The kind of a run that tells it by itself; empty for one that has to be compared."""
    made = line.candidate
    if made is not None and made.kind == IMPORTED:
        return CLAIMED
    if line.outcome == CALLED_OFF:
        return CANCELLED
    if not line.scored:
        return CRASH
    if made is None:
        return ""
    return BASELINE if made.kind == MEASURED else KEEP if line.verdict == KEPT else DISCARD
