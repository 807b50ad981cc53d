"""NEXT.md: what the last run hands to the next one, and what happens next."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import view as phases
from lab.projections import due, pursued, text, trained
from lab.projections.attention import opening

if TYPE_CHECKING:
    from lab.core.subject import Subject


def next_page(subject: Subject) -> bytes:
    """The bytes of NEXT.md."""
    lines = [*opening(subject, "next"), "## What happens next", "", _outlook(subject), "", "## The baton", ""]
    last = subject.view.last
    baton = text.block(subject.baton)
    if last is None:
        lines.append("No run has written one yet.")
    elif not baton:
        lines.append(f'The last run, {text.md(last.run_id)}, left no "## Next" section in its RESULT.md.')
    else:
        lines += [f"From {text.md(last.run_id)} ({last.outcome}), as it stands there:", "", *text.fenced(baton)]
    return text.page(lines)


def _outlook(subject: Subject) -> str:
    """One plain sentence."""
    view, name = subject.view, subject.view.experiment
    if subject.spec is None:
        return f"No run starts while the SPEC cannot be used. Mend it, then: labctl validate {name}"
    if pursued.is_project(subject.spec):
        return pursued.outlook(subject)
    match view.phase:
        case phases.QUEUED | phases.ACTIVE:
            at = due.next_due_at(view, subject.spec)
            which = "first" if not view.runs else "next"
            when = f"from {text.moment(at)} on" if at and view.runs else "as soon as the scheduler looks"
            return f"The {which} run may start {when}. {trained.following(view, subject.spec)}".rstrip()
        case phases.AWAITING:
            return f"No run starts until a person decides: labctl resume {name}, or: labctl complete {name}"
        case phases.PAUSED:
            return f"No run starts while it is paused: labctl resume {name}"
        case phases.COMPLETED:
            return f"It is completed; no run starts. labctl resume {name} opens it again."
        case _:
            return f"It is {view.phase}; no run starts."
