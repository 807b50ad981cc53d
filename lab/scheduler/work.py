"""What lies between a run's claim and its seal: its executor, under a budget, with the lease renewed meanwhile."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.ended import Ended
from lab.core.errors import LabError
from lab.core.launch import Exit, Foreseen
from lab.core.run import FAILED
from lab.executors import door, environment
from lab.scheduler import boxed, closing, cycle, fencing, launching, passing, places
from lab.scheduler.chaining import guard
from lab.scheduler.loop import scripts

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lab.core.launch import Stop
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

_COMMAND = "command"
# The command of experiments that name none; hermes-lab read the second one.
_DEFAULTS = ("LAB_EXECUTOR_COMMAND", "HERMES_LAB_EXECUTOR_COMMAND")


def require_work(
    root: Root, spec: Spec, view: View, params: Collection[str] | None = None, *, away: bool = False
) -> None:
    """Refuse an experiment that has nothing to run, before a run is claimed for it.

    `params` are the names of what its run is given, or will be; None where it is given none. `away`: it runs where an
    engine places it, and what variables there are is seen there.
    """
    spec = scripts.renamed(spec)
    if spec.executor == scripts.REFERENCE:
        workspace = places.workspace(root, spec, view)
        places.require_code(spec, workspace)
        places.require_fence(root.layout.root, spec, workspace)
        from lab.scheduler.loop import branches  # noqa: PLC0415  # git and all: most experiments are no code loops

        branches.of_lab(root, spec, view, workspace)
    elif spec.fenced:
        places.require_fence(root.layout.root, spec, places.workspace(root, spec, view))
    door.find(spec.executor)
    if not away:
        environment.require(spec, root.world.environ)
        guard.require_server(spec)
    guard.require_budget(spec, None if away else root.world.environ)
    told = with_command(root.world.environ, spec, with_params=params is not None)
    door.require(
        Foreseen(
            spec=told, workspace=places.workspace(root, spec, view), folders=places.folders(root, view),
            environ=environment.given(spec, root.world.environ), names=tuple(params or ()),
            data_root=root.layout.root,
        )
    )  # fmt: skip
    from lab.executors import command  # noqa: PLC0415  # by now it is loaded nearly always; a turn that is idle needs none

    if told.executor in command.FILLED:
        command.require_filled(told, params)


def require_ready(root: Root, spec: Spec, view: View, *, proposes: bool) -> None:
    """Refuse a code loop that its workspace, its agent or a lack of what measures would fail. After `require_work`."""
    if not scripts.is_loop(spec):
        return
    from lab.scheduler.loop import ready  # noqa: PLC0415  # as above

    ready.require(root, spec, view, places.workspace(root, spec, view), proposes=proposes)


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
    if running.spec.executor == scripts.REFERENCE:
        return _conducted(root, running, view, interrupted, path)
    spec = with_command(root.world.environ, running.spec, with_params=running.params is not None)
    executor = door.find(spec.executor)
    try:
        there = places.workspace(root, spec, view)
        measured = is_measured(running.spec, spec)
        how = Exit(run_id=running.manifest.run_id, code=0)
        with boxed.opened(root, running, spec, there, path, measured=measured) as box:
            told = {**box.variables(launching.named(spec, root.world.environ)), **(more or {})}
            program = executor.prepare(
                launching.launch(root, running, spec, view, path=path, workspace=box.path, more=told)
            )
            if program is not None:
                lying = launching.digests(program.argv, (box.path, there, *places.folders(root, view)), path)
                watch = launching.Watch(root, running.lease, interrupted, _stopper(root, spec, running, view, path))
                own, spare = (path, *([box.path] if box.is_copy else [])), _spare(root, spec)
                with fencing.held(root.files, spec, box.moved(program), own, spare) as program:
                    how = launching.supervised(
                        root.files, root.world, program, spec, path=path, run_id=how.run_id, watch=watch
                    )
                used = msgspec.structs.replace(how.usage, program=lying)
                how = msgspec.structs.replace(how, usage=used)
        cycle.order_again(root, running, path)
        return _with_place(executor.read(path, running.manifest, how), path, there)
    except LabError as refusal:
        reason = refusal.what + (f"; {refusal.fix}" if refusal.fix else "")
        return _failed(root, running, path, reason)
    except OSError:
        raise  # the disk's doing, and the caller's to judge
    except Exception as error:  # noqa: BLE001  # a stranger's code: it is recorded, and stops nothing else
        return _failed(root, running, path, f"the executor {spec.executor} failed: {type(error).__name__}: {error}")


def _with_place(ended: Ended, path: str, workspace: str) -> Ended:
    """The same of a run that missed a file which lies in its workspace: it works in its own folder, not there."""
    if ended.outcome != FAILED or not workspace or "No such file or directory" not in ended.reason:
        return ended
    for quoted in ended.reason.split("'")[1::2]:
        name = quoted.removeprefix(f"{path}/")
        if name and not name.startswith("/") and os.path.exists(f"{workspace}/{name}"):
            more = f"; a run works in its own folder: {name} lies in its workspace, which is $LAB_WORKSPACE_ROOT"
            return msgspec.structs.replace(ended, reason=ended.reason + more)
    return ended


def _spare(root: Root, spec: Spec) -> str:
    """A place for the temporary files of a fenced run; those of the dead go first."""
    folder = root.layout.place(fencing.SPARE)
    if spec.fenced:
        passing.sweep(root, folder)
    return passing.fresh(folder)


def _failed(root: Root, running: Running, path: str, reason: str) -> Ended:
    """The end of a run that was refused; with what its chunk saved and used by then, for that is there and paid."""
    ended = Ended(outcome=FAILED, reason=reason)
    if running.order is None:
        return ended
    cycle.order_again(root, running, path)
    kept = closing.used(path, running.manifest)
    return msgspec.structs.replace(ended, cost=kept.cost, chunk=kept.trained or None)


def _conducted(root: Root, running: Running, view: View, interrupted: Callable[[], str], path: str) -> Ended:
    from lab.scheduler.loop import conduct  # noqa: PLC0415  # most experiments are no code loops

    try:
        return conduct.carry_out(root, running, view, interrupted=interrupted, path=path)
    except LabError as refusal:
        reason = refusal.what + (f"; {refusal.fix}" if refusal.fix else "")
        return Ended(outcome=FAILED, reason=reason)


def is_measured(own: Spec, spec: Spec) -> bool:
    """Whether `with_command` gave a SPEC its validation_command to run."""
    return not own.executor_command and bool(own.validation_command) and spec.executor_command == own.validation_command


def _stopper(root: Root, spec: Spec, running: Running, view: View, path: str) -> Callable[[], Stop | None] | None:
    if spec.early_stop == "none":
        return None
    from lab.scheduler import stopping  # noqa: PLC0415  # for searches that stop runs early

    return stopping.stopper(root, spec, running, view, path)


def with_command(environ: Mapping[str, str], spec: Spec, *, with_params: bool) -> Spec:
    """The SPEC with a command: its own; for a run with parameters what measures it, as hermes-lab did; the default."""
    if spec.executor_command or spec.executor != _COMMAND:
        return spec
    if with_params and spec.validation_command:
        return msgspec.structs.replace(spec, executor_command=spec.validation_command)
    given = next((environ[name] for name in _DEFAULTS if environ.get(name)), "")
    return msgspec.structs.replace(spec, executor_command=given)
