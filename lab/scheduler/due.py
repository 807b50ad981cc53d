"""Which experiments are due, and in which order. Reads the index; what it says is looked at again before a run."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from lab.core.errors import NotFound, Unavailable
from lab.core.view import OPEN_PHASES
from lab.core.world import stamp
from lab.projections import index
from lab.scheduler import refresh
from lab.store import experiments, reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from lab.projections.index import Index, Row
    from lab.store.root import Root

# How much longer than an urgent one an experiment may be passed over. A waiting one keeps its place while those that
# are due again and again move back, so nobody starves; and within these hours what is more urgent goes first.
PATIENCE = {
    "urgent": timedelta(0),
    "high": timedelta(hours=6),
    "normal": timedelta(days=1),
    "low": timedelta(days=3),
}


def due(root: Root, *, classes: Collection[str] = (), only: Collection[str] = (), now: bool = False) -> list[str]:
    """The experiments that may be due, first things first. With `now`, also those whose time has not come.

    May: the index can be older than the SPEC or the ledger, so that each is asked again in its own section.
    """
    for name in only:
        experiments.require(root, name)
    moment = root.world.now()
    rows = _rows(root)
    fitting = [
        row
        for row in rows.experiments
        if row.phase in OPEN_PHASES and (not only or row.id in only) and (not classes or row.executor_class in classes)
    ]
    asked = moment if not now else datetime.max.replace(tzinfo=UTC)
    limit = stamp(asked)
    return in_order(row for row in fitting if _is_due(row, limit) or edited(root, row.id))


def in_order(rows: Iterable[Row]) -> list[str]:
    """By priority, then by who has waited longest."""
    return [row.id for row in sorted(rows, key=lambda row: (_place(row), row.id))]


def _place(row: Row) -> datetime:
    try:
        since = datetime.fromisoformat(row.next_due_at)
    except ValueError:
        since = datetime.min.replace(tzinfo=UTC) + timedelta(days=1)
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return since + PATIENCE.get(row.priority, PATIENCE["normal"])


def _is_due(row: Row, limit: str) -> bool:
    """Stamps of ours sort as text. An experiment whose last run ended in the future is due: a clock jumped back."""
    return bool(row.next_due_at) and (row.next_due_at <= limit or row.last_run_at > limit)


def edited(root: Root, experiment: str) -> bool:
    """Whether the SPEC was touched since the experiment's pages were made; its cadence may be another one now."""
    try:
        return os.stat(root.layout.spec(experiment)).st_mtime >= os.stat(root.layout.status(experiment)).st_mtime
    except FileNotFoundError:
        return False


def _rows(root: Root) -> Index:
    """The index, up to the ledger's end."""
    found = index.parse(reading.read(root.layout.index) or b"")
    if found is None or found.ledger.end != max(0, reading.size_of(root.layout.events)):
        refresh.lab_pages(root)
        found = index.parse(reading.read(root.layout.index) or b"")
    if found is None:
        raise Unavailable("the index cannot be written or read", where=root.layout.index, fix="labctl refresh")
    return found


def require_known(root: Root, classes: Collection[str]) -> None:
    """Refuse a class that no experiment has: a misspelt one would look like an idle lab for ever."""
    known = {row.executor_class for row in _rows(root).experiments}
    for name in classes:
        if known and name not in known:
            what = f"no experiment has the executor class {name}"
            raise NotFound(what, fix=f"the classes are {', '.join(sorted(known))}")
