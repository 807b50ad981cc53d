"""Indices of a lab made by hand, for tests of what shows them."""

from __future__ import annotations

from lab.core.subject import Finding, Place
from lab.projections import index

PHASES = ("active", "awaiting-human", "queued", "paused", "completed")


def an_index(count: int, *, says: str = "") -> index.Index:
    """A lab with so many experiments; the first in each five is active, and every one wants somebody."""
    rows = [
        index.Row(
            id=f"exp-{number}", phase=PHASES[number % 5], goal=says or f"goal {number}", metric=says or "loss",
            metric_direction="minimize", priority="normal", tier=says or "proxy", tiers=("proxy",),
            executor_class="default", run_count=10 * number, outcomes={"success": 9 * number, "crash": number},
            wall_s=61.5 * number, best_value=0.5 if number else None, last_run_at="2026-01-02T03:04:05.678901Z",
            next_due_at="2026-01-02T04:04:05.678901Z", as_of="2026-01-02T03:04:05.678901Z",
            attention=(Finding(what=says or f"it is paused: {number}", fix="labctl resume it"),),
        )
        for number in range(count)
    ]  # fmt: skip
    alerts = (Finding(what=says or "the disk is nearly full"),) if count else ()
    return index.of(rows, ledger=Place(seq=100), alerts=alerts)
