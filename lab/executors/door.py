"""The door through which a SPEC's `executor` becomes something that can run: built-ins and plug-ins alike."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeVar

from lab.core.errors import BadInput, LabError
from lab.store.plug_ins import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.ended import Ended
    from lab.core.launch import Exit, Foreseen, Launch, Program
    from lab.core.manifest import Manifest
    from lab.core.spec import Spec

T = TypeVar("T")
GROUP = "lab.executors"
BUILT_IN: Mapping[str, str] = {
    "command": "lab.executors.command:Command",
    "in_process": "lab.executors.in_process:InProcess",
    "lm_eval": "lab.executors.lm_eval:LmEval",
    "reference": "lab.executors.reference:Reference",
    "research": "lab.research.work.executor:Research",
    "stub": "lab.executors.stub:Stub",
    "tinker": "lab.executors.tinker:Tinker",
    "training": "lab.executors.training:Training",
}


class Executor(Protocol):
    """How a launch becomes a process, and what the process left means.

    It starts nothing itself and writes nothing. It keeps no state between the two: another process may do the reading.

    Two more methods it may have or not: `require(foreseen)` refuses what could not run, before a run is claimed for it,
    and `require_python(spec, environ)` refuses where no Python has what the executor imports.
    """

    def prepare(self, launch: Launch) -> Program | None:
        """What is to be started, or None when nothing is. `BadInput` or `NotFound` when it cannot be."""
        ...

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        """What lies in the run's folder, as the lab is to record it. Asked again after a crash: the disk is all it has.

        Whatever the run wrote there, an answer comes: a run that cannot be read has failed, with the reason in words.
        """
        ...


_DOOR: Door[Executor] = Door(GROUP, "executor", BUILT_IN, ("prepare", "read"))
find, names, problems = _DOOR.find, _DOOR.names, _DOOR.problems


def require(foreseen: Foreseen) -> None:
    """Refuse what the executor of a SPEC says cannot run. `BadInput` too where there is no such executor."""
    look = getattr(find(foreseen.spec.executor), "require", None)
    if look is not None:
        _safely(foreseen.spec.executor, "look at it", partial(look, foreseen))


def require_python(spec: Spec, environ: Mapping[str, str]) -> None:
    """Refuse where no Python has what the executor of a SPEC imports. `environ` is what a run of it sees."""
    look = getattr(find(spec.executor), "require_python", None)
    if look is not None:
        _safely(spec.executor, "look for a Python", partial(look, spec, environ))


def read(name: str, path: str, manifest: Manifest, how: Exit) -> Ended:
    """What an executor reads in a run's folder. `BadInput` for one that cannot be used, whatever a plug-in raises.

    For whoever settles runs of dead holders: a stranger's fault there must not keep the lab from going on.
    """
    return _safely(name, "read it", partial(find(name).read, path, manifest, how), where=path)


def _safely(name: str, what: str, act: Callable[[], T], *, where: str = "") -> T:
    try:
        return act()
    except (LabError, OSError):
        raise
    except Exception as error:
        raise BadInput(f"the executor {name} cannot {what}: {type(error).__name__}: {error}", where=where) from error
