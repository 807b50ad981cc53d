"""context.md: what the last runs tried and found, for whoever plans the next one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.attention import opening
from lab.projections.summary import outcome

if TYPE_CHECKING:
    from lab.core.run import Run
    from lab.core.subject import Subject

EXCERPT_CHARS = 1_500
EXCERPT_LINES = 30
_REASON_CHARS = 400


def context_page(subject: Subject) -> bytes:
    """The bytes of context.md: the recent runs, newest first."""
    lines = opening(subject, "context")
    if not subject.view.recent:
        lines.append("No run yet.")
    for run in reversed(subject.view.recent):
        lines += _run(run, subject.results.get(run.run_id, ""))
    return text.page(lines)


def _run(run: Run, result: str) -> list[str]:
    lines = [
        f"## {text.md(run.run_id)}",
        "",
        f"- Outcome: {outcome(run)}",
        f"- {text.md(run.metric) or 'Value'}: {text.number(run.value)}",
        f"- Tier {text.md(run.tier)}, iteration {run.iteration}, {text.duration(run.wall_s)}",
    ]
    if run.reason:
        lines.append(f"- Reason: {text.md(run.reason, _REASON_CHARS)}")
    if run.note:
        lines.append(f"- Note: {text.md(run.note, _REASON_CHARS)}")
    return [*lines, "", *excerpt(result), ""]


def excerpt(result: str) -> list[str]:
    """The beginning of a RESULT.md."""
    shown = text.block(result, EXCERPT_CHARS, EXCERPT_LINES)
    return ["RESULT.md begins:", "", *text.fenced(shown, "markdown")] if shown else ["It left no RESULT.md."]
