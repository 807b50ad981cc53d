"""The limits of a project's SPEC beside what its project.yaml asks for: which would end it, and what to edit. Pure.

Both files are a person's to edit, and neither knows of the other: rounds that one allows may be runs that the other
does not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import policy
from lab.core.policy import Finish
from lab.core.view import QUEUED
from lab.research.project import MAX_ROUNDS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.research.declared import Phase
    from lab.research.project import Project

RUNS = "max_iterations_total"
_TIMES = 10  # of each phase in each round that there may ever be: runs that fail, are killed, or are done again
_KEYS = {
    "max iterations": RUNS,
    "time budget used": "stop_conditions.budget_hours",
    "cost budget used": "stop_conditions.budget_cost",
    "token budget used": "stop_conditions.budget_tokens",
    "hard stop": "stop_conditions.hard_stop_after_days",
}


def room(phases: Sequence[Phase]) -> int:
    """Runs that no project comes to which goes on as it may: what bounds it are its rounds and its budgets."""
    return _TIMES * sum(MAX_ROUNDS if each.each_round else 1 for each in phases)


def needed(project: Project, phases: Sequence[Phase]) -> int:
    """The runs of a project that makes all its rounds, and in which nothing fails."""
    rounds = project.iteration.max_rounds
    return sum(rounds if each.each_round else 1 for each in phases) + bool(project.publish.to)


def met(view: View, spec: Spec, now: datetime) -> tuple[str, str] | None:
    """The limit that would end a project at once again if somebody opened it: in words, and its key in the SPEC."""
    opened = msgspec.structs.replace(view, phase=QUEUED, failure_streak=0, losses=0, runs_since_opened=0)
    move = policy.decide(opened, spec, now, at_once=True)
    if not isinstance(move, Finish):
        return None
    numbers = ", ".join(f"{name} {value}" for name, value in sorted(move.facts.items()))
    return f"{move.reason} ({numbers})", _KEYS.get(move.reason, "stop_conditions")


def problems(project: Project, phases: Sequence[Phase], spec: Spec) -> Iterator[tuple[str, str]]:
    """Where project.yaml asks for what the SPEC does not allow, each with what to edit in the SPEC."""
    absent = [each.name for each in phases if each.name not in spec.fidelity_tiers]
    if absent:
        yield f"the SPEC has no tier for {', '.join(absent)}", f"add {', '.join(absent)} to fidelity_tiers"
    runs, most = needed(project, phases), spec.max_iterations_total
    if most < runs:
        what = (
            f"{RUNS} is {most}, and the {project.iteration.max_rounds} rounds of iteration.max_rounds in project.yaml"
            f" are up to {runs} runs"
        )
        yield what, f"raise {RUNS} to {room(phases)}, or lower iteration.max_rounds"
