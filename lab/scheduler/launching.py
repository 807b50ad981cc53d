"""A launch and its supervision: what a run's program is told, inside which limits, and with the lease renewed.

One program or several: who conducts a run of many steps starts each of them so.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import canonical, layout
from lab.core.claim import RENEW_EVERY_S
from lab.core.errors import BadInput, Superseded
from lab.core.launch import CANCELLED, INTERRUPTED, LIMIT, LIMIT_SIGNAL, SUPERSEDED, Launch, Limits, Stop
from lab.executors import environment
from lab.scheduler import places
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.core.launch import Exit, Program
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.core.world import World
    from lab.scheduler.cycle import Running
    from lab.store.files import Files
    from lab.store.leases import Lease
    from lab.store.root import Root

_MB = 1 << 20
_PROGRAM_BYTES, _MOST_PROGRAMS = 4 << 20, 8
_AGAIN_S = 2.0  # after a disk that refused a renewal
_LOOK_SHARE, _LOOK_AT_LEAST_EVERY_S = 0.05, 2.0  # for a word to end it: of the time that a run is under way


def digests(argv: Sequence[str], folders: Sequence[str], own: str) -> dict[str, str]:
    """The files that a command names, with their digests: by them a later run can tell that it is of other code.

    By their names below the first of `folders` that has them. Not what lies in the run's `own` folder, or is large.
    """
    found: dict[str, str] = {}
    for word in argv:
        folder = next((each for each in folders if each and word.startswith(f"{each}/")), "")
        if not folder or word.startswith(f"{own}/") or len(found) == _MOST_PROGRAMS:
            continue
        name = word.removeprefix(f"{folder}/")
        if name not in found and (digest := _digest(word)):
            found[name] = digest
    return found


def changed(program: Mapping[str, str], folders: Sequence[str]) -> list[str]:
    """Those of the files that a run's command named that are not the same now, or not there."""
    return [
        name
        for name, digest in program.items()
        if digest != next((now for folder in folders if folder and (now := _digest(f"{folder}/{name}"))), "")
    ]


def _digest(path: str) -> str:
    """Empty for what is no file, or a large one. A word of a command may be the name of anything."""
    with suppress(OSError):
        if reading.size_of(path) <= _PROGRAM_BYTES and (data := reading.read(path)) is not None:
            return canonical.digest(data)
    return ""


def supervised(
    files: Files,
    world: World,
    program: Program,
    spec: Spec,
    *,
    path: str,
    run_id: str,
    watch: Callable[[], Stop | None],
) -> Exit:
    """Run a program to its end, inside the limits of its SPEC, writing into `path`."""
    from lab.executors import supervisor  # noqa: PLC0415  # ctypes and all: not for a run that starts nothing

    limits = Limits(
        budget_s=spec.time_budget_s,
        grace_s=spec.kill_grace_s,
        memory_mb=spec.memory_limit_mb,
        cpu=spec.cpu_limit,
        output_bytes=int(spec.output_limit_mb * _MB),
    )
    how = world.environ.get("LABCTL_CONFINEMENT", "auto")
    return supervisor.supervise(files, program, limits, path=path, run_id=run_id, watch=watch, confinement=how)


def launch(  # what a run is made of
    root: Root, running: Running, spec: Spec, view: View, *, path: str, workspace: str, more: Mapping[str, str]
) -> Launch:
    """Everything that an executor may know of a run. `workspace` is the folder of the code, or of a copy of it."""
    own = places.folders(root, view)
    within = environment.Places(
        data_root=root.layout.root,
        path=path,
        workspace=workspace,
        folder=own[0],
        package=os.path.dirname(path) if running.manifest.package else "",
    )
    if workspace and not os.path.isdir(workspace):
        fix = "correct workspace_root; a relative one is meant from where the SPEC lay when the experiment was made"
        raise BadInput("the workspace is not there", where=workspace, fix=fix)
    child, secrets = environment.build(
        environ=root.world.environ,
        spec=spec,
        manifest=running.manifest,
        places=within,
        params=running.params,
        best=view.bests.get(running.manifest.fidelity_tier),
        more=more,
    )
    return Launch(
        spec=spec,
        manifest=running.manifest,
        path=path,
        params=running.params,
        workspace=workspace,
        folders=own,
        environ=child,
        secrets=secrets,
    )


def named(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the surroundings that a SPEC asks for."""
    return {name: environ[name] for name in spec.env if name in environ}


class Watch:
    """What the supervisor asks a few times a second: go on? Keeps the lease alive on the way."""

    def __init__(
        self,
        root: Root,
        lease: Lease,
        interrupted: Callable[[], str],
        hopeless: Callable[[], Stop | None] | None = None,
    ) -> None:
        self._root = root
        self._lease = lease
        self._interrupted = interrupted
        self._hopeless = hopeless
        self._began_s = self._renewed_s = self._looked_s = time.monotonic()

    def __call__(self) -> Stop | None:
        """Word to end the run, or None."""
        came = self._interrupted()
        if came == LIMIT_SIGNAL:
            return Stop(how=LIMIT, why="the time limit that its engine gives it came before it had ended")
        if came:
            return Stop(how=INTERRUPTED, why=f"stopped by {came}")
        asked = self._lease.cancel_asked(self._root) if self._may_look() else None
        if asked is not None:
            return Stop(how=CANCELLED, why=asked)
        word = self._hopeless() if self._hopeless is not None else None
        if word is not None:
            return word
        if time.monotonic() - self._renewed_s < RENEW_EVERY_S:
            return None
        self._renewed_s = time.monotonic()
        try:
            self._lease.renew(self._root)
        except Superseded as lost:
            claim = self._lease.claim
            sealed = f"{self._root.layout.run(claim.experiment, claim.run_id)}/{layout.SEAL}"
            return Stop(how=SUPERSEDED, why=lost.what, at_once=reading.size_of(sealed) >= 0)
        except OSError:  # a disk that hiccups is no reason to end a run; the lease outlives its budget
            self._renewed_s += _AGAIN_S - RENEW_EVERY_S  # and once it is back, whether the run was taken is asked soon
            return None
        return None

    def _may_look(self) -> bool:
        """Whether to look if somebody left word: seldom in a run that is long under way.

        On a shared disk each look is a message to its server, and there may be a thousand runs.
        """
        now_s = time.monotonic()
        if now_s - self._looked_s < min((now_s - self._began_s) * _LOOK_SHARE, _LOOK_AT_LEAST_EVERY_S):
            return False
        self._looked_s = now_s
        return True
