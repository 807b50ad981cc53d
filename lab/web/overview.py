"""The lab on one page: what wants somebody, and a line an experiment."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.view import ACTIVE, ARCHIVED, AWAITING, COMPLETED, OPEN_PHASES, PAUSED, QUEUED
from lab.projections import index as index_of
from lab.web import assets, templating

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.subject import Finding
    from lab.projections.index import Index, Row
    from lab.projections.picture.spending import Took

ROWS = 1_000
WANTS = 50
DUE = 5
_RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
_PHASES = (
    (AWAITING, "Waiting for a person"),
    (ACTIVE, "Active"),
    (QUEUED, "Queued"),
    (PAUSED, "Paused"),
    (COMPLETED, "Completed"),
    (ARCHIVED, "Archived"),
)


def page(index: Index, link: Callable[[str], str], *, spent: Mapping[str, Took] | None = None) -> bytes:
    """The file. `link` says where an experiment leads; `spent` what it took, where that is known."""
    style = assets.style()
    shown = index.experiments[:ROWS]
    values: dict[str, object] = {
        "title": "The lab: report",
        "index": index,
        "link": link,
        "spent": spent or {},
        "wants": wants(index)[:WANTS],
        "wants_left": max(len(wants(index)) - WANTS, 0),
        "phases": [(title, phase, [row for row in shown if row.phase == phase]) for phase, title in _PHASES],
        "shown": len(shown),
        "due": due(index),
        "outcomes": index_of.outcomes(index.experiments),
        "runs": sum(row.run_count for row in index.experiments),
        "wall_s": sum(row.wall_s for row in index.experiments),
        "style": templating.trusted(style),
        "policy": f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src {assets.source_hash(style)}",
    }
    return templating.render("overview.html", values).encode(errors="replace")


def wants(index: Index) -> list[tuple[str, Finding]]:
    """What wants a person, and of which experiment; alerts of the lab itself first, then who waits for a word."""
    waiting = sorted(index.experiments, key=lambda row: (row.phase != AWAITING, _RANKS.get(row.priority, 2), row.id))
    of_experiments = [(row.id, each) for row in waiting if row.phase != ARCHIVED for each in row.attention]
    return [*(("", alert) for alert in index.alerts), *of_experiments]


def due(index: Index) -> list[Row]:
    """What is due next."""
    open_rows = [row for row in index.experiments if row.phase in OPEN_PHASES and row.next_due_at]
    return sorted(open_rows, key=lambda row: (row.next_due_at, _RANKS.get(row.priority, 2), row.id))[:DUE]
