"""The daily and the weekly digest: what a person who was away should know, the most pressing first."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import event
from lab.core.run import OUTCOMES, SUCCESS, Run
from lab.core.subject import Finding
from lab.core.view import ARCHIVED, AWAITING, COMPLETED, PAUSED, Decision
from lab.projections import template, text
from lab.projections.attention import item
from lab.projections.index import Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECTION_LINES = 50
_STOPS = frozenset({AWAITING, PAUSED, COMPLETED, ARCHIVED})


class DigestInput(msgspec.Struct, frozen=True, kw_only=True):
    """A period of the lab: how it stood at the end, and what happened in it."""

    rows: tuple[Row, ...] = ()
    runs: tuple[Run, ...] = ()  # of the period, in the order of history
    decisions: dict[str, tuple[Decision, ...]] = {}  # experiment -> its decisions of the period, in order
    before: dict[str, dict[str, float]] = {}  # experiment -> tier -> the best value when the period began
    alerts: tuple[Finding, ...] = ()  # of the lab as a whole


def daily(date: str, items: DigestInput) -> bytes:
    """The digest of a day, `2026-01-31`."""
    return _digest(f"Digest of {date}", "this day", items, ())


def weekly(week: str, items: DigestInput, *, days: Sequence[str] = ()) -> bytes:
    """The digest of an ISO week, `2026-W05`; `days` are the dates that have a daily digest."""
    return _digest(f"Digest of the week {week}", "this week", items, days)


def _digest(title: str, period: str, items: DigestInput, days: Sequence[str]) -> bytes:
    rows = sorted(items.rows, key=lambda row: row.id)
    values: dict[str, object] = {
        "title": text.md(title),
        "period": period,
        "as_of": text.md(max((row.as_of for row in rows), default="")) or "before anything happened",
        "needed": _bounded([item(each, row.id) for row in rows if row.phase != ARCHIVED for each in row.attention]),
        "bests": _bounded(list(_new_bests(rows, items))),
        "promotions": _bounded(list(_decided(items, event.TIER_CHANGED))),
        "stopped": _bounded(list(_decided(items, event.PHASE_CHANGED))),
        "ran": _ran(rows, items),
        "days": [text.md(day) for day in sorted(set(days))],
        "health": [*(item(alert) for alert in items.alerts[:SECTION_LINES]), *_health(rows, items)],
    }
    return template.render("digest.md.j2", values)


def _bounded(lines: list[str]) -> list[str]:
    if len(lines) <= SECTION_LINES:
        return lines
    return [*lines[: SECTION_LINES - 1], f"- and {len(lines) - SECTION_LINES + 1} more: labctl list"]


def _new_bests(rows: Sequence[Row], items: DigestInput) -> Iterator[str]:
    """The bests that a run of the period brought."""
    made = {(run.experiment, run.run_id): run.metric for run in items.runs}
    for row in rows:
        for tier, best in row.bests.items():
            if (row.id, best.run) in made:
                change = _change(best.value, items.before.get(row.id, {}).get(tier))
                metric = made[row.id, best.run] or row.metric  # of its tier: tiers may measure different things
                told = f"{text.md(metric) or 'value'} {best.value!r}, {change}, {text.md(best.run)}"
                yield f"- **{text.md(row.id)}** ({text.md(tier)}): {told}"


def _change(value: float, before: float | None) -> str:
    if before is None:
        return "the first"
    return "as before" if value == before else f"{value - before:+.6g} on {before!r}"


def _decided(items: DigestInput, kind: str) -> Iterator[str]:
    """Decisions of a kind; of the phases only those in which nothing runs."""
    lead = "in the tier " if kind == event.TIER_CHANGED else ""
    for experiment, decisions in sorted(items.decisions.items()):
        for each in decisions:
            now = each.what.rpartition("-> ")[2]  # `phase active -> paused`, or `paused` alone
            if each.type == kind and (kind != event.PHASE_CHANGED or now in _STOPS):
                why = f": {text.md(each.reason)}" if each.reason else ""
                who = f", by {text.md(each.actor)}" if each.actor else ""
                yield f"- **{text.md(experiment)}** is {lead}{text.md(now)}{who}{why}"


def _ran(rows: Sequence[Row], items: DigestInput) -> list[str]:
    """A table with a line for each experiment that ran."""
    by_id = {row.id: row for row in rows}
    runs: dict[str, list[Run]] = {}
    for run in items.runs:
        runs.setdefault(run.experiment, []).append(run)
    cells = []
    for experiment, made in sorted(runs.items())[:SECTION_LINES]:
        row = by_id.get(experiment)
        value = row.best_value if row else None
        tier = row.tier if row else made[-1].tier
        change = text.NONE if value is None else _change(value, items.before.get(experiment, {}).get(tier))
        successes = sum(run.outcome == SUCCESS for run in made)
        time = text.duration(sum(run.wall_s for run in made))
        cells.append((text.md(experiment), str(len(made)), str(successes), text.number(value), change, time))
    if not cells:
        return []
    lines = text.table(("experiment", "runs", "succeeded", "best now", "change", "time"), cells)
    left = len(runs) - len(cells)
    return [*lines, "", f"And {text.count(left, 'experiment')} more."] if left else lines


def _health(rows: Sequence[Row], items: DigestInput) -> list[str]:
    totals = {name: sum(run.outcome == name for run in items.runs) for name in OUTCOMES}
    told = ", ".join(f"{number} {name}" for name, number in totals.items() if number)
    failing = [row for row in rows if row.failure_streak and row.phase != ARCHIVED]
    lines = [f"- Runs: {len(items.runs)}" + (f" ({told})" if told else "")]
    lines += [f"- {text.md(row.id)}: {row.streak}" for row in failing[:SECTION_LINES]]
    return lines
