"""autoresearch-progress.md: where a code loop stood after every ten runs, the oldest first.

It only grows: a section says what was known when it was written, and later ones do not change it. It rests on what runs
alone leave in the view, for that is all that is known when the page is written anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.candidate import IMPORTED
from lab.projections import text
from lab.projections.autoresearch_log import status

if TYPE_CHECKING:
    from lab.core.loop import Loop
    from lab.core.run import Run
    from lab.core.view import View

EVERY = 10
CELL_CHARS = 100
TURN_AFTER, LEAVE_AFTER = 3, 5  # candidates in a row that were not kept


def head(view: View) -> bytes:
    """How the page begins."""
    return text.page([f"# {text.md(view.experiment)}: progress", "", f"A section after every {EVERY} runs."])


def section(view: View, run: Run) -> bytes:
    """What is known after this run."""
    tier = view.tiers.get(run.tier)
    loop = tier.loop if tier else None
    lines = ["", f"## After {view.runs} runs", ""]
    lines.append(f"- As of: {text.moment(run.ended_at or run.started_at)}")
    lines += _standing(run, loop)
    lines.append(f"- Time used: {text.duration(view.wall_s)}")
    lines += ["", "The last five:", ""]
    lines += text.table(("run", "verdict", text.md(run.metric) or "value", "what"), map(_cells, view.recent[::-1]))
    return text.page(lines)


def _standing(run: Run, loop: Loop | None) -> list[str]:
    if loop is None or loop.base is None:
        return ["- Nothing was measured yet."]
    base, best = loop.base, loop.best or loop.base
    than = f"{text.md(best.run_id)}; baseline {text.number(base.value)}{delta(base.value, best.value)}"
    return [
        f"- Best {text.md(run.metric) or 'value'}: {text.number(best.value)} ({than})",
        f"- {tally(loop)}",
        f"- Direction: {direction(loop)}",
    ]


def tally(loop: Loop) -> str:
    """How the candidates ended."""
    ended = f"{loop.kept} kept, {loop.discarded} discarded, {loop.crashed} crashed"
    return f"{text.count(loop.candidates, 'candidate')}: {ended}, {loop.failed_checks} failed the checks"


def delta(base: float | None, best: float | None) -> str:
    """By how much the best differs from the baseline, as a clause."""
    if base is None or best is None:
        return ""
    change = best - base
    share = f", {change / abs(base):+.2%}" if base else ""
    return f", a change of {change:+.6g}{share}"


def direction(loop: Loop) -> str:
    """What the last verdicts say of where to look, in words."""
    if loop.unkept >= LEAVE_AFTER:
        return f"{loop.unkept} candidates in a row were not kept: start elsewhere"
    if loop.unkept >= TURN_AFTER:
        return f"{loop.unkept} candidates in a row were not kept: change direction"
    return "go on from the best"


def _cells(run: Run) -> tuple[str, ...]:
    claimed = run.candidate is not None and run.candidate.kind == IMPORTED
    verdict = f"{status(run)}, claimed elsewhere" if claimed else status(run)
    return (
        text.md(run.run_id),
        verdict,
        text.number(run.value),
        text.md(run.note or run.reason, CELL_CHARS) or text.NONE,
    )
