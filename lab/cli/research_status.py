"""`labctl research status`: each phase of a project, what was decided, and what to type next.

Without an ID: a line for each project of the lab.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.cli.terminal import Answer

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from lab.cli.session import Session
    from lab.research.projects.overview import Overview, Projects, Stage

SHARED = ()
TARGET = "the project"
TARGET_OPTIONAL = True
_WHY_CHARS, _REASON_CHARS = 160, 400
_DASH = "-"


def arguments(parser: argparse._ArgumentGroup) -> None:
    """Nothing besides of what."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """Look, and tell."""
    from msgspec import to_builtins

    from lab.research.projects import overview

    if not args.target:
        found = overview.every(session.root())
        then = [f"labctl research status {found.projects[0].experiment}"] if found.projects else []
        return Answer(to_builtins(found), _every(found), then=then)
    seen = overview.of(session.root(), args.target)
    return Answer(to_builtins(seen), lines(seen), then=seen.next)


def _every(found: Projects) -> Iterator[str]:
    from lab.cli.columns import columns
    from lab.projections import text

    if not found.projects:
        yield "No experiment is a research project"
        return
    rows = [
        (
            each.experiment,
            each.mode or _DASH,
            each.standing,
            each.phase or _DASH,
            str(each.runs),
            text.line(each.reason, 60),
        )
        for each in found.projects
    ]
    yield from columns(("project", "mode", "stands", "phase", "runs", "why"), rows, left={0, 1, 2, 3, 5}, may_go={5})


def lines(seen: Overview) -> Iterator[str]:
    """The same for people."""
    from lab.cli.burst_words import length
    from lab.core.view import OPEN_PHASES
    from lab.projections import text

    is_news = seen.reason and seen.standing not in OPEN_PHASES  # why it was opened once says nothing of where it stands
    why = f": {text.line(seen.reason, _REASON_CHARS)}" if is_news else ""
    yield f"{seen.experiment}, mode {seen.mode or '?'}, {seen.standing}{why}"
    if seen.problem:
        yield f"nobody can say what comes next: {text.line(seen.problem, _REASON_CHARS)}"
        if seen.fix:
            yield f"  {text.line(seen.fix, _REASON_CHARS)}"
        return
    yield from _table(seen.stages)
    if seen.placeholder:
        yield f"note: {text.line(seen.placeholder, _REASON_CHARS)}"
    if seen.decision is not None:
        told = seen.decision
        yield f"decided in round {told.round}: {told.decision} ({told.reason}): {text.line(told.why, _REASON_CHARS)}"
    if seen.said:
        yield f"said by a person: {text.line(seen.said, _REASON_CHARS)}"
    for each in seen.disowned:
        yield f"does not count: {text.line(each, _REASON_CHARS)} (labctl verify {seen.experiment})"
    if seen.sent:
        yield f"sent: the release {seen.sent}"
    of = f" of {length(seen.budget_s)}" if seen.budget_s is not None else ""
    yield f"{text.count(seen.runs, 'run')}, {length(seen.wall_s)}{of} used"


def _table(stages: tuple[Stage, ...]) -> Iterator[str]:
    from lab.cli.burst_words import length
    from lab.cli.columns import columns
    from lab.projections import text

    head = ("phase", "state", "by", "round", "took", "run", "idea")
    rows = [
        (
            each.phase, each.state, each.worker or _DASH, str(each.round or _DASH),
            length(each.wall_s) if each.wall_s else _DASH, each.run or _DASH, each.idea or _DASH,
        )
        for each in stages
    ]  # fmt: skip
    shown = columns(head, rows, left={0, 1, 2, 5, 6}, may_go={6})
    yield next(shown)
    for each, line in zip(stages, shown, strict=True):
        yield line
        if each.why:
            yield f"       {text.line(each.why, _WHY_CHARS)}"
