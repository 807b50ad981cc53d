"""Which experiments are due, and in which order. Reads the index; what it says is looked at again before a run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
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


class Due(msgspec.Struct, frozen=True, kw_only=True):
    """Who may be due, first things first, each with its tier, and whose SPEC is not the one that the index tells of."""

    names: tuple[str, ...]
    tiers: dict[str, str]
    edited: frozenset[str]


def due(root: Root, *, classes: Collection[str] = (), only: Collection[str] = (), now: bool = False) -> Due:
    """The experiments that may be due. With `now`, also those whose time has not come.

    May: the index can be older than the SPEC or the ledger, so that each is asked again in its own section. Whether a
    SPEC was edited is told by its bytes; times of files lie after a copy or a checkout.
    """
    for name in only:
        experiments.require(root, name)
    rows = _rows(root).experiments
    if only:  # whoever is named is looked at, and says itself why it does not run
        named = [row for row in rows if row.id in only]
        return _due(named, frozenset(row.id for row in named if _edited(root, row)))
    fitting = [row for row in rows if row.phase in OPEN_PHASES]
    edited = frozenset(row.id for row in fitting if _edited(root, row))
    limit = stamp(datetime.max.replace(tzinfo=UTC) if now else root.world.now())
    chosen = [
        row
        for row in fitting
        # One whose SPEC cannot be used has no moment at which it is due: each turn says so, until somebody mends it.
        if row.id in edited
        or ((_is_due(row, limit) or not row.next_due_at) and (not classes or row.executor_class in classes))
    ]
    return _due(chosen, edited)


def _due(rows: list[Row], edited: frozenset[str]) -> Due:
    return Due(names=tuple(in_order(rows)), tiers={row.id: row.tier for row in rows}, edited=edited)


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
    """Stamps of ours sort as text. An experiment whose last run ended in the future is due: a clock jumped back.

    So is one without a run, though it was made in the future: on a machine whose clock is ahead.
    """
    return bool(row.next_due_at) and (row.next_due_at <= limit or row.last_run_at > limit or not row.last_run_at)


def _edited(root: Root, row: Row) -> bool:
    data = reading.read(root.layout.spec(row.id))
    return (canonical.digest(data)[: index.SPEC_CHARS] if data is not None else "") != row.spec


def _rows(root: Root) -> Index:
    """The index, up to the ledger's end."""
    found = index.parse(reading.read(root.layout.index) or b"")
    if found is None or found.ledger.end != max(0, reading.size_of(root.layout.events)):
        refresh.lab_pages(root)
        found = index.parse(reading.read(root.layout.index) or b"")
    if found is None:
        raise Unavailable("the index cannot be written or read", where=root.layout.index, fix="labctl refresh")
    return found


def classes(root: Root) -> frozenset[str]:
    """The classes that experiments of this lab have: of a SPEC that was edited, what it says now."""
    return frozenset(_class_now(root, row) for row in _rows(root).experiments)


def _class_now(root: Root, row: Row) -> str:
    if not _edited(root, row):
        return row.executor_class
    spec = experiments.load(root, row.id).spec
    return spec.executor_class if spec is not None else row.executor_class  # one that cannot be used says so when due


def require_known(root: Root, wanted: Collection[str]) -> None:
    """Refuse a class that no experiment has: a misspelt one would look like an idle lab for ever."""
    known = classes(root) if wanted else frozenset()
    for name in wanted:
        if known and name not in known:
            what = f"no experiment has the executor class {name}"
            raise NotFound(what, fix=f"the classes are {', '.join(sorted(known))}")
