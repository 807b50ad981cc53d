"""What a kind of run is called: the same word in legends, tables, tooltips, on the live page and at the terminal."""

from __future__ import annotations

from lab.projections import text
from lab.projections.picture import given, stairs

UNCONFIRMED = "kept unconfirmed"  # a keep of a code loop that no test told from the noise
WITHIN_NOISE = "within noise"
CHECKS_FAILED = "checks_failed"
KINDS = {
    stairs.BASELINE: "baseline",
    stairs.KEEP: "keep",
    stairs.WITHIN: WITHIN_NOISE,
    stairs.DISCARD: "discard",
    stairs.CRASH: "crash",
    stairs.CANCELLED: "cancelled",
    stairs.CLAIMED: "claimed elsewhere",
    stairs.REPLAYED: "replayed",
    stairs.UNMEASURED: "not measured",
    given.RUNNING: "under way",
    given.WAITING: "waiting",
    given.LOST: "lost",
    CHECKS_FAILED: "checks failed",
}


def of(kind: str) -> str:
    """The kind in a word; one that nobody knows as it is written."""
    return KINDS.get(kind) or text.line(kind, 40)
