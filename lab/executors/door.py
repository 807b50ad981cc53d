"""The door through which a SPEC's `executor` becomes something that can run: built-ins and plug-ins alike.

The built-ins stand in a table: asking the installed packages costs 15 ms, and `command` is asked for at every run. A
test holds the table equal to the entry points that this package declares.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.errors import BadInput, LabError, nearest

if TYPE_CHECKING:
    from collections.abc import Mapping
    from importlib.metadata import EntryPoint

    from lab.core.ended import Ended
    from lab.core.launch import Exit, Launch, Program
    from lab.core.manifest import Manifest

GROUP = "lab.executors"
BUILT_IN: Mapping[str, str] = {
    "command": "lab.executors.command:Command",
    "stub": "lab.executors.stub:Stub",
}


class Executor(Protocol):
    """How a launch becomes a process, and what the process left means.

    It starts nothing itself and writes nothing. It keeps no state between the two: another process may do the reading.
    """

    def prepare(self, launch: Launch) -> Program | None:
        """What is to be started, or None when nothing is. `BadInput` or `NotFound` when it cannot be."""
        ...

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """What lies in the run's folder, as the lab is to record it. Asked again after a crash: the disk is all it has.

        Whatever the run wrote there, an answer comes: a run that cannot be read has failed, with the reason in words.
        """
        ...


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A plug-in that cannot be used, and why."""

    name: str
    what: str


def find(name: str) -> Executor:
    """The executor of that name. `BadInput` when there is none, or when its plug-in cannot be loaded."""
    if name in BUILT_IN:
        return _built_in(name)
    points = _plug_ins()
    if name not in points:
        known = names()
        near = nearest(name, known)
        fix = f"did you mean {near}?" if near else f"known are {', '.join(known)}"
        raise BadInput(f"there is no executor {name!r}", fix=fix)
    loaded = _loaded(points[name])
    if isinstance(loaded, Problem):
        raise BadInput(
            f"the executor {name} cannot be used: {loaded.what}",
            fix="repair or remove the package it comes from, or name another executor in the SPEC",
        )
    return loaded


def read(name: str, path: str, manifest: Manifest, how: Exit) -> Ended:
    """What an executor reads in a run's folder. `BadInput` for one that cannot be used, whatever a plug-in raises.

    For whoever settles runs of dead holders: a stranger's fault there must not keep the lab from going on.
    """
    executor = find(name)
    try:
        return executor.read(path, manifest, how)
    except (LabError, OSError):
        raise
    except Exception as error:
        raise BadInput(f"the executor {name} cannot read it: {type(error).__name__}: {error}", where=path) from error


def names() -> tuple[str, ...]:
    """Every executor that a SPEC may name; one that fails to load is among them."""
    return tuple(sorted({*BUILT_IN, *_plug_ins()}))


def problems() -> tuple[Problem, ...]:
    """The plug-ins that fail to load, by name. This loads every one of them: for a check-up, not for each run."""
    points = _plug_ins()
    found = [_loaded(point) for name, point in sorted(points.items()) if name not in BUILT_IN]
    taken = [
        Problem(name=name, what=f"{point.value} takes the name of a built-in, which stays what it is")
        for name, point in sorted(points.items())
        if name in BUILT_IN
    ]
    return (*(each for each in found if isinstance(each, Problem)), *taken)


@cache
def _built_in(name: str) -> Executor:
    module, _, attribute = BUILT_IN[name].partition(":")
    made: Executor = getattr(import_module(module), attribute)()
    return made


def _plug_ins() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415  # 15 ms, which no run of a built-in should pay

    # Without our own lines, which an installed labctl declares like everybody else.
    return {point.name: point for point in entry_points(group=GROUP) if point.value != BUILT_IN.get(point.name)}


def _loaded(point: EntryPoint) -> Executor | Problem:
    """The plug-in, ready for use. It is a stranger's code: whatever it raises is told, and stops nothing else."""
    try:
        made = point.load()
        made = made() if isinstance(made, type) else made
    except Exception as error:  # noqa: BLE001  # see above
        return Problem(name=point.name, what=f"{point.value}: {type(error).__name__}: {error}")
    for method in ("prepare", "read"):
        if not callable(getattr(made, method, None)):
            return Problem(name=point.name, what=f"{point.value} has no method {method}")
    ready: Executor = made
    return ready
