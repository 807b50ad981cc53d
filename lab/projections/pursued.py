"""A research project on the pages: each run of it does a phase, and no run of it is better than another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import view as phases
from lab.core.pursuit import EXECUTOR
from lab.core.run import SUCCESS
from lab.projections import text
from lab.projections.tier import every

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.core.run import Run
    from lab.core.spec import Spec
    from lab.core.subject import Subject
    from lab.core.view import View

CELL_CHARS = 200
_ORDER = frozenset({"phase", "worker", "inputs"})


def is_project(spec: Spec | None) -> bool:
    """Whether an experiment is one. Not known while its SPEC cannot be used."""
    return spec is not None and spec.executor == EXECUTOR


def is_phase(params: Mapping[str, object] | None) -> bool:
    """Whether what a run was given is the order of a phase: no search varies these."""
    return params is not None and params.keys() >= _ORDER


def kind(name: str) -> str:
    """What it is, in the place of its metric."""
    return f"- A research project: each run does the phase of its tier. `labctl research status {name}` tells all of it"


def stands(subject: Subject) -> list[str]:
    """Each phase with its newest run and what that came to, in the place of the best runs."""
    view = subject.view
    newest = {run.tier: run for run in view.recent}  # in the order of history
    rows = [
        (
            text.md(name),
            str(tier.successes),
            str(tier.runs - tier.successes),
            text.md(run.run_id) if run else text.NONE,
            (text.md(run.note or run.reason, CELL_CHARS) if run else "") or text.NONE,
        )
        for name in every(view, subject.spec, view.tiers)
        if (tier := view.tiers.get(name)) is not None
        for run in (newest.get(name) or tier.best,)
    ]
    if not rows:
        return []
    return ["", "## Phases", "", *text.table(("phase", "done", "not done", "last run", "what it came to"), rows)]


def runs_table(runs: Sequence[Run]) -> list[str]:
    """Its last runs, in the order given."""
    rows = [
        (
            text.md(run.run_id),
            "done" if run.outcome == SUCCESS else run.outcome,
            text.md(run.tier),
            text.moment(run.ended_at or run.started_at),
            text.duration(run.wall_s),
            text.md(run.note or run.reason, CELL_CHARS) or text.NONE,
        )
        for run in runs
    ]
    return text.table(("run", "outcome", "phase", "ended", "took", "what it came to"), rows)


def outlook(subject: Subject) -> str:
    """What NEXT.md says: one sentence."""
    view, name = subject.view, subject.view.experiment
    waits = view.pursuit.unapproved if view.pursuit is not None else ""
    match view.phase:
        case phases.QUEUED | phases.ACTIVE:
            return f"The next phase begins with the scheduler's next turn, or at once: labctl research run {name}"
        case phases.AWAITING if waits:
            return f"A release waits for a person: labctl research publish {name} shows it"
        case phases.AWAITING:
            return f"No phase begins until a person decides: labctl research status {name} says what is asked"
        case phases.PAUSED:
            return f"No phase begins while it is paused: labctl research resume {name}"
        case phases.COMPLETED:
            return f"It is completed: labctl research paper {name} takes its paper; labctl research status {name}"
        case _:
            return f"It is {view.phase}; no phase begins."


def found(view: View) -> str:
    """What it came to so far, in a line: in the place of a best value, wherever experiments stand in a list."""
    if view.phase == phases.COMPLETED and view.phase_reason:
        return text.line(view.phase_reason, CELL_CHARS)
    last = view.last
    return text.line(last.note or last.reason, CELL_CHARS) if last else ""


def no_best(name: str) -> list[str]:
    """What best.md says."""
    return [
        "Each run of a research project does another phase, so none of them is the best.",
        f"What was found: labctl research status {name}, and the paper: labctl research paper {name}",
    ]
