"""What lies between a run's claim and its seal: its executor, under a budget, with the lease renewed meanwhile."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.claim import RENEW_EVERY_S
from lab.core.ended import Ended
from lab.core.errors import BadInput, LabError, Superseded
from lab.core.launch import CANCELLED, INTERRUPTED, SUPERSEDED, Exit, Launch, Limits, Stop
from lab.core.run import FAILED
from lab.executors import door, environment
from lab.scheduler import boxed, places

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.launch import Program
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.core.world import World
    from lab.scheduler.cycle import Running
    from lab.store.files import Files
    from lab.store.leases import Lease
    from lab.store.root import Root

_MB = 1 << 20
_COMMAND = "command"
# The command of experiments that name none; hermes-lab read the second one.
_DEFAULTS = ("LAB_EXECUTOR_COMMAND", "HERMES_LAB_EXECUTOR_COMMAND")


def require_work(root: Root, spec: Spec, *, with_params: bool = False) -> None:
    """Refuse an experiment that has nothing to run, before a run is claimed for it."""
    door.find(spec.executor)
    environment.require(spec, root.world.environ)
    if (
        spec.executor == _COMMAND
        and not with_command(root.world.environ, spec, with_params=with_params).executor_command
    ):
        raise BadInput(
            f"{spec.id} has no executor_command, so there is nothing to run",
            where=f"experiments/{spec.id}/{layout.SPEC}",
            fix="give it one, such as `executor_command: python3 train.py`",
        )


def carry_out(
    root: Root,
    running: Running,
    view: View,
    *,
    interrupted: Callable[[], str],
    path: str = "",
    more: Mapping[str, str] | None = None,
) -> Ended:
    """Start what the SPEC names, hold it to its budget, and read what it left. A run that cannot start has failed.

    `path` is where the run writes, if not into its bundle; `more` are variables that it is given besides.
    """
    path = path or running.path
    spec = with_command(root.world.environ, running.spec, with_params=running.params is not None)
    executor = door.find(spec.executor)
    try:
        there = places.workspace(root, spec, view)
        measured = is_measured(running.spec, spec)
        how = Exit(run_id=running.manifest.run_id, code=0)
        with boxed.opened(root, running, spec, there, path, measured=measured) as box:
            told = {**box.variables(named(spec, root.world.environ)), **(more or {})}
            program = executor.prepare(launch(root, running, spec, view, path=path, workspace=box.path, more=told))
            if program is not None:
                watch = Watch(root, running.lease, interrupted, _stopper(root, spec, running, path))
                how = supervised(
                    root.files, root.world, box.moved(program), spec, path=path, run_id=how.run_id, watch=watch
                )
        return executor.read(path, running.manifest, how)
    except LabError as refusal:
        reason = refusal.what + (f"; {refusal.fix}" if refusal.fix else "")
        return Ended(outcome=FAILED, reason=reason)
    except OSError:
        raise  # the disk's doing, and the caller's to judge
    except Exception as error:  # noqa: BLE001  # a stranger's code: it is recorded, and stops nothing else
        return Ended(outcome=FAILED, reason=f"the executor {spec.executor} failed: {type(error).__name__}: {error}")


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


def is_measured(own: Spec, spec: Spec) -> bool:
    """Whether `with_command` gave a SPEC its validation_command to run."""
    return not own.executor_command and bool(own.validation_command) and spec.executor_command == own.validation_command


def named(spec: Spec, environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the surroundings that a SPEC asks for."""
    return {name: environ[name] for name in spec.env if name in environ}


def _stopper(root: Root, spec: Spec, running: Running, path: str) -> Callable[[], Stop | None] | None:
    if spec.early_stop == "none":
        return None
    from lab.scheduler import stopping  # noqa: PLC0415  # for searches that stop runs early

    return stopping.stopper(root, spec, running.manifest, path)


def with_command(environ: Mapping[str, str], spec: Spec, *, with_params: bool) -> Spec:
    """The SPEC with a command: its own; for a run with parameters what measures it, as hermes-lab did; the default."""
    if spec.executor_command or spec.executor != _COMMAND:
        return spec
    if with_params and spec.validation_command:
        return msgspec.structs.replace(spec, executor_command=spec.validation_command)
    given = next((environ[name] for name in _DEFAULTS if environ.get(name)), "")
    return msgspec.structs.replace(spec, executor_command=given)


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
        self._renewed_s = time.monotonic()

    def __call__(self) -> Stop | None:
        """Word to end the run, or None."""
        came = self._interrupted()
        if came:
            return Stop(how=INTERRUPTED, why=f"stopped by {came}")
        asked = self._lease.cancel_asked(self._root)
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
            return Stop(how=SUPERSEDED, why=lost.what)
        except OSError:
            return None  # a disk that hiccups is no reason to end a run; the lease outlives its budget
        return None
