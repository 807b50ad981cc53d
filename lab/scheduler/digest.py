"""Digests: what happened in a day or a week, for a person who was away.

A digest is derived like every page: the ledger remembers that it was written and up to which record, so `refresh` can
write a lost one again.
"""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, history
from lab.core.errors import BadInput
from lab.core.run import better
from lab.core.view import Decision
from lab.projections import digest as pages
from lab.projections import index
from lab.scheduler import subjects
from lab.scheduler.control import notices
from lab.scheduler.recorded import Recorded
from lab.store import experiments, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.event import Line
    from lab.core.run import Run
    from lab.projections.index import Row
    from lab.scheduler.rows import Read
    from lab.store.root import Root

DAILY, WEEKLY = "daily", "weekly"
_DAYS_A_WEEK = 7
_NOISE = "noise of "  # an experiment, in the facts of the line: whether its SPEC called its metric noisy
_HEAD_LINES = 10  # of a daily digest, in control/outbox/ for who looks only there
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_WEEK = re.compile(r"([0-9]{4})-W([0-9]{2})")


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """Where a digest lies and what it says."""

    name: str
    path: str
    text: str


def write(root: Root, kind: str, name: str, *, actor: str) -> Written:
    """Write the digest of a day (`2026-01-31`) or an ISO week (`2026-W05`), as far as it has come."""
    _days(kind, name)  # refuses a date that does not exist, before anything is written
    noise = _declared(root)
    told = event.Event(
        type=event.DIGEST_WRITTEN, ts=root.now(), name=f"{kind}/{name}", actor=actor,
        facts={f"{_NOISE}{experiment}": is_noisy for experiment, is_noisy in noise.items()},
    )  # fmt: skip
    mark = ledger.append(root, told)
    data = _page(root, kind, name, mark.seq, noise)
    path = root.layout.digest(kind, name)
    root.files.replace(path, data)
    if kind == DAILY:
        head = data.decode().splitlines()[:_HEAD_LINES]
        root.files.replace(root.layout.day(name), ("\n".join(head) + "\n").encode())
    notices.digest_written(root, kind, name)
    return Written(name=name, path=path, text=data.decode())


def bring_back(root: Root) -> int:
    """Write digests that are gone again, from what the ledger knew when they were written."""
    last: dict[str, Line] = {}
    for entry in ledger.entries(root):
        if entry.line is not None and entry.line.event.type == event.DIGEST_WRITTEN:
            last[entry.line.event.name] = entry.line
    written = 0
    for whole, line in sorted(last.items()):
        kind, _, name = whole.partition("/")
        path = root.layout.digest(kind, name)
        if kind in (DAILY, WEEKLY) and reading.size_of(path) < 0:
            facts = line.event.facts.items()
            noise = {each.removeprefix(_NOISE): is_noisy for each, is_noisy in facts if isinstance(is_noisy, bool)}
            written += root.files.replace(path, _page(root, kind, name, line.seq, noise))
    return written


def _declared(root: Root) -> dict[str, bool]:
    """What each SPEC says now of whether its metric is noisy: the only thing that a digest takes from one."""
    specs = {name: experiments.load(root, name).spec for name in experiments.names(root)}
    return {name: spec.noise for name, spec in specs.items() if spec is not None and spec.noise is not None}


def _page(root: Root, kind: str, name: str, seq: int, noise: Mapping[str, bool]) -> bytes:
    """The digest from everything before a ledger record. No SPEC is read: it may have been edited or lost since."""
    said, written = _before(root, seq)
    days = _days(kind, name)
    rows: list[Row] = []
    runs: list[Run] = []
    decisions: dict[str, tuple[Decision, ...]] = {}
    before: dict[str, dict[str, float]] = {}
    for experiment in experiments.names(root):
        own = said.pop(experiment, None)  # let go: one may have a hundred thousand runs
        if own is None:
            continue
        subject, made = subjects.past(root, experiment, own, noise=noise.get(experiment))
        rows.append(index.row(subject))
        decided = _decisions(own, days)
        if decided:
            decisions[experiment] = decided
        during, earlier = _runs(own, made, days)
        runs += during
        before[experiment] = earlier
    told = pages.DigestInput(rows=tuple(rows), runs=tuple(runs), decisions=decisions, before=before)
    if kind == DAILY:
        return pages.daily(name, told)
    return pages.weekly(name, told, days=[day for day in days if f"{DAILY}/{day}" in written])


def _before(root: Root, seq: int) -> tuple[dict[str, Recorded], set[str]]:
    """What is said of every experiment before a ledger record, and the names that lines told of."""
    said: dict[str, Recorded] = {}
    names: set[str] = set()
    for entry in ledger.entries(root):
        if entry.line is None or entry.line.seq >= seq:
            continue
        said.setdefault(entry.line.event.experiment, Recorded()).add(entry.line, entry.mark)
        if entry.line.event.type == event.DIGEST_WRITTEN:
            names.add(entry.line.event.name)
    return said, names


def _decisions(own: Recorded, days: frozenset[str]) -> tuple[Decision, ...]:
    found = []
    for item in own.decisions:
        told = item.event
        if told is None or told.type not in history.DECISIONS or told.ts[:10] not in days:
            continue
        what = told.phase or told.tier or told.type
        found.append(
            Decision(seq=item.key[0], ts=told.ts, type=told.type, what=what, actor=told.actor, reason=told.reason)
        )
    return tuple(found)


def _runs(own: Recorded, made: dict[str, Read], days: frozenset[str]) -> tuple[list[Run], dict[str, float]]:
    """The runs that ended in the period, and each tier's best before it began."""
    first = min(days)
    during: list[Run] = []
    best: dict[str, float] = {}
    for run_id in own.seals:
        if run_id not in made:
            continue
        run = made[run_id].run
        if run.ended_at[:10] in days:
            during.append(run)
        elif (
            run.value is not None and run.ended_at[:10] < first and better(run.value, best.get(run.tier), run.direction)
        ):
            best[run.tier] = run.value
    return during, best


def _days(kind: str, name: str) -> frozenset[str]:
    """The dates of a day or an ISO week."""
    pattern, shown = (_DATE, "2026-01-31") if kind == DAILY else (_WEEK, "2026-W05")
    found = pattern.fullmatch(name)  # one spelling only: each spelling would be a file of its own
    try:
        if kind == DAILY and found is not None:
            return frozenset({date.fromisoformat(name).isoformat()})
        first = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found is not None else None
    except ValueError:
        first = None
    if first is None:
        raise BadInput(f"{name} is no {'date' if kind == DAILY else 'ISO week'}", fix=f"write it as {shown}")
    return frozenset((first + timedelta(days=number)).isoformat() for number in range(_DAYS_A_WEEK))
