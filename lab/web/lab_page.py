"""The first page: what wants somebody, and the experiments. Read from the lab's index, whatever its runs come to."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import msgspec

from lab.core.subject import Finding  # msgspec resolves annotations
from lab.core.view import ACTIVE, ARCHIVED, AWAITING, COMPLETED, PAUSED, QUEUED
from lab.projections import text
from lab.projections.picture.given import lost
from lab.scheduler.results import pictured, wanted
from lab.scheduler.results.wanted import Want  # msgspec resolves annotations
from lab.store import standing as claims
from lab.web import shell
from lab.web.door import JSON, Reply, Route

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.projections.index import Index, Row
    from lab.web.door import Request
    from lab.web.site import Site

A_PAGE = 100
MOST_WANTS = 50
_ORDER = {phase: place for place, phase in enumerate((AWAITING, ACTIVE, QUEUED, PAUSED, COMPLETED, ARCHIVED))}
_TYPED_CHARS = 200


class LabAsked(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments, as the address says it. Without a phase, those that were archived are left out."""

    typed: str = ""
    phase: str = ""
    page: int = 1

    def address(self, **changed: str) -> str:
        """The same with something changed."""
        given = {"q": self.typed, "phase": self.phase, "page": str(self.page) if self.page > 1 else "", **changed}
        return "?" + urlencode({name: value for name, value in given.items() if value})


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment in the table."""

    id: str
    goal: str
    phase: str
    tier: str
    metric: str
    direction: str
    best: float | None
    partly_luck: bool
    best_run: str
    runs: int
    failed: int
    under_way: int
    wall_s: float
    last_run: str
    last_run_at: str
    last_outcome: str


class Lab(msgspec.Struct, frozen=True, kw_only=True):
    """All that the page shows."""

    as_of: str
    alerts: tuple[Finding, ...] = ()
    wants: tuple[Want, ...] = ()
    wants_left_out: int = 0
    rows: tuple[Line, ...] = ()
    total: int = 0
    found: int = 0
    archived: int = 0  # left out, because nobody asked for them
    pages: int = 1
    phases: tuple[tuple[str, int], ...] = ()


def answer(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The page, or the part of it that is asked for."""
    del names
    part = request.query.get("part", "")
    around = shell.around(site, request, "The lab", news="")
    wanted = _asked(request.query)
    index = site.live.index()
    told = Lab(as_of=index.as_of, phases=tuple(index.counts_by_phase.items()), total=len(index.experiments))
    if part != "experiments":
        told = _with_wants(site, index, told)
    if part != "wants":
        told, wanted = _with_rows(site, index, told, wanted)
    template = {"wants": "lab_wants", "experiments": "lab_experiments"}.get(part, "lab")
    return shell.reply(template, around, {"lab": told, "asked": wanted})


def as_json(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """The index itself."""
    del request, names
    return Reply(body=msgspec.json.encode(site.live.index()) + b"\n", kind=JSON)


def _asked(query: Mapping[str, str]) -> LabAsked:
    page = query.get("page", "")
    number = int(page) if page.isascii() and page.isdigit() and len(page) < 8 else 1  # noqa: PLR2004  # pages, not more
    typed, phase = query.get("q", "")[:_TYPED_CHARS], query.get("phase", "")
    return LabAsked(typed=typed, phase=phase if phase in _ORDER else "", page=max(1, number))


def _with_wants(site: Site, index: Index, told: Lab) -> Lab:
    ordered = sorted(index.experiments, key=lambda row: (_ORDER.get(row.phase, 9), row.id))
    found = [(row.id, each) for row in ordered if row.phase != ARCHIVED for each in (*row.attention, *_lost(site, row))]
    wants = wanted.wants(site.root, found)
    wants.sort(key=lambda each: each.waiting is None)  # what one word from somebody settles comes first
    return msgspec.structs.replace(
        told, alerts=index.alerts, wants=tuple(wants[:MOST_WANTS]), wants_left_out=max(0, len(wants) - MOST_WANTS)
    )


def _lost(site: Site, row: Row) -> Iterable[Finding]:
    """Runs whose holder is gone: it follows from claims, which are read where there are any that might be."""
    if claims.all_are_with_engines(site.root, row.id):
        return ()
    return lost(row.id, pictured.unsealed(site.root, row.id)[0])


def _with_rows(site: Site, index: Index, told: Lab, wanted: LabAsked) -> tuple[Lab, LabAsked]:
    words = wanted.typed.lower().split()
    shown = [row for row in index.experiments if _is_like(row, wanted.phase, words)]
    shown.sort(key=lambda row: row.last_run_at or row.created_at, reverse=True)
    shown.sort(key=lambda row: _ORDER.get(row.phase, 9))
    pages = max(1, -(-len(shown) // A_PAGE))
    page = min(wanted.page, pages)
    rows = tuple(_line(site, row) for row in shown[(page - 1) * A_PAGE : page * A_PAGE])
    archived = 0 if wanted.phase else index.counts_by_phase.get(ARCHIVED, 0)
    told = msgspec.structs.replace(told, rows=rows, found=len(shown), pages=pages, archived=archived)
    return told, msgspec.structs.replace(wanted, page=page)


def _is_like(row: Row, phase: str, words: list[str]) -> bool:
    if row.phase != phase if phase else row.phase == ARCHIVED:
        return False
    if not words:
        return True
    said = f"{row.id} {row.goal} {row.metric} {row.tier} {' '.join(row.tags)}".lower()
    return all(word in said for word in words)


def _line(site: Site, row: Row) -> Line:
    return Line(
        id=row.id,
        goal=row.goal,
        phase=row.phase,
        tier=row.tier,
        metric=row.metric,
        direction=row.metric_direction,
        best=row.best_value,
        partly_luck=row.partly_luck,
        best_run=row.best_run,
        runs=row.run_count,
        failed=row.failed,
        under_way=claims.under_way(site.root, row.id),
        wall_s=row.wall_s,
        last_run=row.last_run,
        last_run_at=row.last_run_at,
        last_outcome=text.line(row.last_came_to, 20),
    )


ROUTES = (
    Route(method="GET", path="/", answer=answer),
    Route(method="GET", path="/index.json", answer=as_json),
)
