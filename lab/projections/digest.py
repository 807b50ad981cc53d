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
from lab.projections.index import PARTLY_LUCK, Row
from lab.projections.summary import tally

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
        "promotions": _bounded(list(_promoted(items))),
        "stopped": _bounded(list(_stopped(rows, items))),
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
                luck = PARTLY_LUCK if row.partly_luck and tier == row.tier else ""
                told = f"{text.md(metric) or 'value'} {best.value!r}{luck}, {change}, {text.md(best.run)}"
                yield f"- **{text.md(row.id)}** ({text.md(tier)}): {told}"


def _change(value: float, before: float | None) -> str:
    if before is None:
        return "the first"
    return "as before" if value == before else f"{value - before:+.6g} on {before!r}"


def _promoted(items: DigestInput) -> Iterator[str]:
    for experiment, decisions in sorted(items.decisions.items()):
        for each in decisions:
            if each.type == event.TIER_CHANGED:
                yield f"- **{text.md(experiment)}** went to the tier {text.md(_to(each))}{_because(each)}"


def _stopped(rows: Sequence[Row], items: DigestInput) -> Iterator[str]:
    """Each experiment that was stopped in the period, once. What it is no more is told as what it was."""
    phases = {row.id: row.phase for row in rows}
    for experiment, decisions in sorted(items.decisions.items()):
        moves = [each for each in decisions if each.type == event.PHASE_CHANGED]
        stops = [each for each in moves if _to(each) in _STOPS]
        if not stops:
            continue
        last = stops[-1]
        now = phases.get(experiment, _to(moves[-1]))
        is_so = last is moves[-1] and now == _to(last)
        told = f"is {text.md(now)}" if is_so else f"was {text.md(_to(last))} and is {text.md(now)} now"
        often = f", the last of {len(stops)} stops" if len(stops) > 1 else ""
        yield f"- **{text.md(experiment)}** {told}{often}{_because(last)}"


def _to(decision: Decision) -> str:
    """Where it went: `phase active -> paused`, or `paused` alone."""
    return decision.what.rpartition("-> ")[2]


def _because(decision: Decision) -> str:
    who = f", by {text.md(decision.actor)}" if decision.actor else ""
    return who + (f": {text.md(decision.reason)}" if decision.reason else "")


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
        successes = sum(run.outcome == SUCCESS and not run.claimed for run in made)
        time = text.duration(sum(run.wall_s for run in made))
        now = text.number(value) + (PARTLY_LUCK if row and row.partly_luck and value is not None else "")
        cells.append((text.md(experiment), str(len(made)), str(successes), now, change, time))
    if not cells:
        return []
    lines = text.table(("experiment", "runs", "succeeded", "best now", "change", "time"), cells)
    left = len(runs) - len(cells)
    return [*lines, "", f"And {text.count(left, 'experiment')} more."] if left else lines


def _health(rows: Sequence[Row], items: DigestInput) -> list[str]:
    totals = {name: sum(run.outcome == name for run in items.runs) for name in OUTCOMES}
    claimed = {name: sum(run.outcome == name and run.claimed for run in items.runs) for name in OUTCOMES}
    told = tally(totals, claimed=claimed)
    failing = [row for row in rows if row.failure_streak and row.phase != ARCHIVED]
    lines = [f"- Runs: {len(items.runs)}" + (f" ({told})" if told else "")]
    lines += [f"- {text.md(row.id)}: {row.streak}" for row in failing[:SECTION_LINES]]
    return lines
