"""What training and evaluation both ask first: which study, and whether what measures is still what it was."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, LabError
from lab.core.record import parse
from lab.research.built import FILE, Built
from lab.research.studies import frozen, measuring

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.worker import Task

# What a phase says of itself whose time is up, and what its run in flight is told by whom it was stopped.
OVER_TIME, THE_END = "the budget of the phase is used up", "the end of the phase's budget"
_NAME = f"implementation/{FILE}"
_SHOWN = 5


def built(task: Task) -> str:
    """The experiment of the study: what the implementation made, else what the project proceeds from."""
    found = implemented(task)
    return found.experiment if found is not None else task.project.proceed_from


def refuse_unbuilt(task: Task) -> str:
    """The same, or why there is none."""
    found = built(task)
    if not found:
        raise BadInput(
            "there is no study yet, so nothing can be run", fix="labctl research run ID does what comes first"
        )
    return found


@contextmanager
def guarded(task: Task) -> Iterator[None]:
    """Compare what measures before and after. What was measured in between by something else is void.

    Of an experiment that a project only proceeds from nobody froze anything; its SPEC's digest is in every manifest.
    """
    _refuse_changed(task, "before anything was measured")
    yield
    _refuse_changed(task, "while it was measured: what came of it is void")


def _refuse_changed(task: Task, when: str) -> None:
    found = implemented(task)
    changed = frozen.changed(found, task.root) if found is not None else []
    if changed and found is not None:
        told = "; ".join(changed[:_SHOWN]) + (f"; and {len(changed) - _SHOWN} more" if len(changed) > _SHOWN else "")
        fix = "put it back (study/ of the implementation's run has what is its own); or let that phase make it again"
        if any(not measuring.is_program(each) for each in found.outside):
            fix += " (a file elsewhere that runs write to is to be taken away before it)"
        raise LabError(f"what measures was changed {when}: {told}", where=found.folder, fix=fix)


def implemented(task: Task) -> Built | None:
    """What the implementation made; None where the project proceeds from an experiment that was there before."""
    data = task.given.find(_NAME)
    return None if data is None else parse(Built, data, _NAME)
