"""The door through which a class's `engine` becomes something that places jobs: built-ins and plug-ins alike.

Six verbs, and all that is asked of them is placement. An engine may forget, double, restart and misreport jobs;
it must only never place one that it has not been asked to place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.job import Wants  # msgspec resolves annotations
from lab.store.files import Files
from lab.store.plug_ins import Door

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.job import Report

GROUP = "lab.engines"
BUILT_IN: Mapping[str, str] = {
    "local": "lab.engines.local:Local",
    "ray": "lab.engines.ray:Ray",
    "slurm": "lab.engines.slurm:Slurm",
}


class Ground(msgspec.Struct, frozen=True, kw_only=True):
    """What an engine stands on: the surroundings of the command, and a folder of the lab that is its own."""

    environ: dict[str, str]
    folder: str  # registry/engines/<engine>; made by whoever writes the first file there
    files: Files  # what it writes, it writes through these
    address: str = ""  # of an engine that is spoken to over the network, where engines.yaml names it
    # Whose jobs `listed` may leave it at, by their numbers; none: everybody's. An engine has those of many others too.
    users: tuple[int, ...] = ()
    lab: str = ""  # how the names of this lab's jobs begin; empty where that is not known
    names: dict[str, str] = {}  # by number, as last listed; an engine may have given the number to another job since


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """A job as an engine is to place it."""

    name: str
    argv: tuple[str, ...]  # the body: absolute program and arguments, started in `cwd`
    cwd: str
    root: str  # the data root: a body that cannot see it ends with core.job.NOT_HERE
    output: str  # the file that takes what the body prints
    budget_s: float  # within which the body ends by itself, its seal included
    environ: dict[str, str] = {}  # variables that the body is given besides those of its place
    wants: Wants = Wants()


class Refused(Exception):
    """The engine will not have this job, however often it is asked: what it said, in one line, and what to do."""

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class NotNow(Exception):
    """The engine will not have this job now, and may have it later, as it is: a full queue, a closed partition.

    It answers all the same: this is one job's trouble, and no silence.
    """

    def __init__(self, what: str, *, fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.fix = fix


class Engine(Protocol):
    """Where jobs are placed. Keeps no state of its own between two calls: another process may make the next one.

    `listed` and `describe` look, and end nothing.

    Every verb raises `lab.core.errors.Unavailable` when the engine cannot be asked now; then nothing is known.
    """

    forgets_after_s: float
    """How long it may not know a job that it has accepted: longer than the window in which it saves its state."""

    def submit(self, job: Placement, ground: Ground) -> str:
        """Hand it over, held: it must not start before `release`. Returns the engine's own number for it.

        `Refused`, or `NotNow`.
        """
        ...

    def release(self, number: str, ground: Ground) -> None:
        """Let it start. Does nothing for one that was released, or is not there any more.

        `Refused` and `NotNow`, where it can hold nothing back and is asked only now.
        """
        ...

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        """Every job whose name begins so, those that have ended too as long as it knows them: by one question.

        What is left of one that it calls `lost` is ended by `cancel`.
        """
        ...

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        """End them with all their processes. Does nothing for those that are not there any more."""
        ...

    def where(self, ground: Ground) -> str:
        """Which one of its kind answers here: a cluster's name, an address. Two that do not share jobs differ in it.

        Asked before anything else, so it may be kept for as long as the process lives. Empty where there is but one.
        """
        ...

    def describe(self, ground: Ground) -> str:
        """What it is and how it is, in one line for people: version, places, whether it is up. Asks it."""
        ...


_VERBS = ("submit", "release", "listed", "cancel", "where", "describe")
# What an engine may have besides. `ready(ground)` raises `Unavailable` where it is not installed or not found: it asks
# nothing, and comes before a run is claimed. `hands_on = True` where a body has the environment of whoever lets it
# go, so that what a SPEC names has to be set there. `tells_why = True` where it sends TERM to a body for reasons of its
# own and says afterwards by the job's state which it was. The TERM of others is taken for somebody's wish.
_DOOR: Door[Engine] = Door(GROUP, "engine", BUILT_IN, _VERBS)
find, names, problems = _DOOR.find, _DOOR.names, _DOOR.problems
