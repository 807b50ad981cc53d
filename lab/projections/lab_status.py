"""LAB-STATUS.md: the whole lab on a page, with what wants a person at its top."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.view import ACTIVE, ARCHIVED, AWAITING, COMPLETED, OPEN_PHASES, PAUSED, QUEUED
from lab.projections import text
from lab.projections.attention import item
from lab.projections.index import PARTLY_LUCK, outcomes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.index import Index, Row

SECTION_LINES = 50
NEXT_ACTIONS = 5
_GOAL_CHARS = 80
_RANKS = {"urgent": 0, "high": 1, "normal": 2, "low": 3}
_SECTIONS = ((ACTIVE, "Active"), (QUEUED, "Queued"), (PAUSED, "Paused"), (COMPLETED, "Completed"))


def render(index: Index) -> bytes:
    """The bytes of LAB-STATUS.md."""
    rows = index.experiments
    lines = ["# Lab status", "", f"As of: {text.md(index.as_of) or 'before anything happened'}", ""]
    lines += ["## What wants you", "", *_wants(index), ""]
    for phase, title in _SECTIONS:
        lines += _section(title, [row for row in rows if row.phase == phase])
    archived = index.counts_by_phase.get(ARCHIVED, 0)
    if archived:
        lines += ["## Archived", "", f"{text.count(archived, 'experiment')}: labctl list --archived", ""]
    lines += ["## Next actions", "", *_next_actions(rows), ""]
    lines += ["## Health", "", *_health(index)]
    return text.page(lines)


def _wants(index: Index) -> list[str]:
    """Alerts of the lab, then what waits for a person, then what is wrong elsewhere."""
    waiting = sorted(index.experiments, key=lambda row: (row.phase != AWAITING, _RANKS.get(row.priority, 2), row.id))
    lines = [item(alert) for alert in index.alerts]
    lines += [item(each, row.id) for row in waiting if row.phase != ARCHIVED for each in row.attention]
    return _bounded(lines, len(lines)) or ["Nothing."]


def _bounded(lines: list[str], of: int) -> list[str]:
    """At most so many lines, of so many that there are; the last one says what was left out."""
    if of <= SECTION_LINES:
        return lines
    return [*lines[: SECTION_LINES - 1], f"- and {of - SECTION_LINES + 1} more: labctl list"]


def _section(title: str, rows: Sequence[Row]) -> list[str]:
    if not rows:
        return [f"## {title}", "", "None.", ""]
    return [f"## {title} ({len(rows)})", "", *_bounded([_line(row) for row in rows[:SECTION_LINES]], len(rows)), ""]


def _line(row: Row) -> str:
    runs = f"{row.run_count}/{row.max_iterations_total}" if row.max_iterations_total else str(row.run_count)
    best = text.md(row.found) or "no best yet"
    if row.best_value is not None:
        luck = PARTLY_LUCK if row.partly_luck else ""
        best = f"best {text.md(row.metric) or 'value'} {row.best_value!r}{luck}"
    failing = f", {row.streak}" if row.streak else ""
    goal = f" - {text.md(row.goal, _GOAL_CHARS)}" if row.goal else ""
    name = f"**[{text.md(row.id)}](experiments/{row.id}/SUMMARY.md)**"
    return f"- {name} - runs {runs}{failing}, tier {text.md(row.tier)}, {best}{goal}"


def _next_actions(rows: Sequence[Row]) -> list[str]:
    open_rows = [row for row in rows if row.phase in OPEN_PHASES and row.next_due_at]
    first = sorted(open_rows, key=lambda row: (row.next_due_at, _RANKS.get(row.priority, 2), row.id))[:NEXT_ACTIONS]
    return [
        f"{number}. {text.md(row.id)} ({row.priority}): "
        + (f"due {text.moment(row.next_due_at)}" if row.run_count else "its first run")
        for number, row in enumerate(first, 1)
    ] or ["Nothing is due."]


def _health(index: Index) -> list[str]:
    rows = index.experiments
    told = ", ".join(f"{number} {name}" for name, number in outcomes(rows).items())
    failing = [
        text.md(row.id) for row in rows if row.failure_streak and row.phase != ARCHIVED and not row.last_unmeasured
    ]
    superseded = sum(row.superseded for row in rows)
    lines = [
        f"- Experiments: {len(rows)}",
        f"- Runs: {sum(row.run_count for row in rows)}" + (f" ({told})" if told else ""),
        f"- Time used: {text.duration(sum(row.wall_s for row in rows))}",
        f"- Ledger: {text.count(index.ledger.seq, 'record')}",
    ]
    if superseded:
        lines.append(f"- Superseded and not counted: {text.count(superseded, 'run')}")
    if failing:
        more = f" and {len(failing) - NEXT_ACTIONS} more" if len(failing) > NEXT_ACTIONS else ""
        lines.append(f"- Last run failed: {', '.join(failing[:NEXT_ACTIONS])}{more}")
    if index.alerts:
        lines.append(f"- Alerts: {len(index.alerts)}")
    return lines
