"""The door through which a phase's `executor` becomes somebody who does it: built-ins, agents, commands, plug-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterable  # msgspec resolves annotations
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.spec import Spec
from lab.core.view import View
from lab.research.declared import Phase
from lab.research.order import Order
from lab.research.project import Project
from lab.research.work.given import Given
from lab.research.work.out import Out
from lab.store.plug_ins import Door
from lab.store.root import Root

if TYPE_CHECKING:
    from collections.abc import Mapping

GROUP = "lab.research"
BUILT_IN: Mapping[str, str] = {
    "agent": "lab.research.phases.agent:ByAgent",
    "command": "lab.research.phases.command:ByCommand",
    "ideas": "lab.research.phases.ideation:Ideas",
    "literature": "lab.research.phases.literature:Survey",
    "paper": "lab.research.phases.writing:Writing",
    "release": "lab.research.phases.publishing:Release",
    "repeats": "lab.research.phases.evaluation:Repeats",
    "rules": "lab.research.phases.iteration:Rules",
    "runs": "lab.research.phases.training:Runs",
    "study": "lab.research.phases.implementation:Study",
}
READERS = ("agent", "command")  # of these, who reads what a person said in words


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """A phase to do, and everything that whoever does it may know.

    `given` are its inputs, each proved against the seal it comes from. What it writes goes through `out` alone. Runs of
    other experiments are made through `root`, by the scheduler's own functions, and by nobody's else.
    """

    root: Root
    spec: Spec  # of the project's experiment, in the tier of the phase
    view: View  # of the same
    run_id: str
    project: Project
    folder: (
        str  # the project's, absolute: belongs to the user; only `research new` and a study's copy are written there
    )
    phase: Phase
    order: Order
    given: Given
    out: Out
    until_s: float  # by time.monotonic(): when the budget is used up
    say: Callable[[str], None]  # progress, into the run's log
    interrupted: Callable[[], str]
    steering: str = ""  # what a person last said to the project, until an iteration has heard it
    ruled: str = ""  # the decision that the iteration is to come to, by that person's word


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where a phase would be done, for who asks beforehand whether it could be."""

    root: Root
    project: Project
    folder: str
    phase: Phase
    spec: Spec | None = None  # of a project that is made: what its runs get of the surroundings


class Lack(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a phase needs and that is not there. `fix` is what to type: the exact command where there is."""

    what: str
    fix: str = ""
    is_fatal: bool = True  # the phase could not be done; else it is done with less


class Worker(Protocol):
    def lacks(self, place: Place) -> Iterable[Lack]:
        """What is missing for it here. Writes nothing, and asks no service anything."""
        ...

    def work(self, task: Task) -> Mapping[str, float]:
        """Do it, and return what it measured of itself. Its outputs are judged by the phase's contract, not by this.

        A `LabError` says why it could not be done. It may be killed at any moment, and is then done again from the
        beginning: what it did outside `out` must be found there by the next one, and not done twice.
        """
        ...


_DOOR: Door[Worker] = Door(GROUP, "worker of a phase", BUILT_IN, ("lacks", "work"))
find, names, problems = _DOOR.find, _DOOR.names, _DOOR.problems
