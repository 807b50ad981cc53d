"""Whether a phase left what it must: files of the names that its declaration asks for, and what each of them says.

Asked twice: by the run itself when it has worked, and, of the disk alone, by the lab that reads the run. A phase that
says it is done and has left nothing is a failed run, whoever did it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lab.core.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from lab.research.declared import Phase
    from lab.research.order import Order
    from lab.research.work.out import Out
    from lab.research.worker import Task

    Check = Callable[[Order, Out, Task | None], Iterable[str]]

# phase -> what looks into its files: (order, outputs, the task where the lab itself is at hand, else None) -> problems
CHECKS = {
    "literature": "lab.research.literature.accepted:problems",
    "ideation": "lab.research.phases.ideation:problems",
    "implementation": "lab.research.phases.implementation:problems",
    "training": "lab.research.phases.training:problems",
    "evaluation": "lab.research.phases.evaluation:problems",
    "iteration": "lab.research.phases.iteration:problems",
    "writing": "lab.research.paper.accepted:problems",
    "publishing": "lab.research.release.accepted:problems",
}


def problems(phase: Phase, order: Order, out: Out, task: Task | None = None) -> tuple[str, ...]:
    """Everything that is wrong with what a phase left; nothing where it may be believed."""
    missing = tuple(_missing(phase, out))
    if missing:
        return missing
    module, _, name = CHECKS[phase.name].partition(":")
    check: Check = getattr(import_module(module), name)
    try:
        return tuple(check(order, out, task))
    except LabError as wrong:
        return (f"{wrong.where}: {wrong.what}" if wrong.where else wrong.what,)


def _missing(phase: Phase, out: Out) -> Iterator[str]:
    for name in phase.outputs:
        wanted = name.removeprefix("?")
        if wanted.endswith("/"):
            if wanted == name and not out.names(wanted):
                yield f"it left no file in artifacts/{wanted}"
        elif wanted == name and not out.read(wanted):
            yield f"it left no artifacts/{wanted}, or an empty one"
