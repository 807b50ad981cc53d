"""The body of a job: what an engine starts, wherever that is. It is let in once, and brings its run to its end.

Being let in happens in the section, where claims are taken too: who takes a run sees that its body has begun, and a
body sees that its run was taken.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids
from lab.core.errors import Busy, LabError, Superseded
from lab.core.job import FENCED, TOLD, TWICE, Start
from lab.core.launch import LIMIT_SIGNAL
from lab.core.run import CANCELLED, SUCCESS, TIMEOUT
from lab.core.seal import Seal  # msgspec resolves annotations
from lab.engines import door
from lab.scheduler import cycle, moves, places, refresh, work
from lab.scheduler.visit import Request, Visit
from lab.store import bundles, jobs, leases, machine, revision

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.core.ended import Ended
    from lab.core.view import View
    from lab.scheduler.cycle import Running
    from lab.scheduler.step import Step
    from lab.store.root import Root

# What engines call the job in its own surroundings, the innermost first: Ray may run inside a job of Slurm.
_NUMBERS = ("LABCTL_JOB", "RAY_JOB_SUBMISSION_ID", "SLURM_JOB_ID")
_NODE = "SLURMD_NODENAME"
_PATIENCE = 10


class Turned(Exception):
    """This body is not to run: `code` is what it ends with."""

    def __init__(self, code: int, why: str) -> None:
        super().__init__(why)
        self.code = code
        self.why = why


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was sealed, and what went wrong when people were told."""

    made: Seal
    warnings: tuple[str, ...] = ()


def perform(
    root: Root, experiment: str, run_id: str, *, tell: Callable[[Step], None], interrupted: Callable[[], str]
) -> Done:
    """Be the body of a run: begin it, carry it out, seal it. `Turned` where it is not this body's to run, or was lost.

    What the disk refuses is given up for somebody else to settle, and goes on to the caller.
    """
    running, view = _let_in(root, experiment, run_id)
    visit = Visit(
        root, experiment, Request(only=(experiment,)), owner=running.manifest.owner, tell=tell, interrupted=interrupted
    )
    visit.before = view
    try:
        ended = _heeded(root, running, work.carry_out(root, running, view, interrupted=interrupted), interrupted())
        with suppress(OSError):  # the seal finds it out, and says it
            running.lease.renew(root)
        visit.sealed(running, ended)
    except Superseded as lost:
        raise Turned(FENCED, lost.what) from lost
    visit.follow()
    if visit.made is None or visit.subject is None:
        what = "a sealed run without its seal"
        raise LabError(what)
    with suppress(OSError):  # it is sealed, which is what was asked; `status` counts it in without these pages
        refresh.lab_pages(root, (visit.subject,))
    return Done(made=visit.made, warnings=moves.tell_people(root, [(visit.before, visit.subject)]))


def _heeded(root: Root, running: Running, ended: Ended, came: str) -> Ended:
    """How a run ended, a signal considered. `Turned` where it ended by one whose reason only its engine knows.

    Slurm sends TERM to a job that is preempted, that is at its limit, that was cancelled, and whose node goes down; all
    processes of the job get it. What it says of the job afterwards is what the run ended by.
    """
    if not came or ended.outcome == SUCCESS:
        return ended
    if came == LIMIT_SIGNAL:
        return ended if ended.outcome != CANCELLED else msgspec.structs.replace(ended, outcome=TIMEOUT)
    if _tells_why(running.lease.claim.engine) and running.lease.cancel_asked(root) is None:
        raise Turned(TOLD, f"ended by {came}, which nobody of the lab sent: its engine is to say why")
    return ended


def _tells_why(engine: str) -> bool:
    with suppress(LabError):
        return bool(getattr(door.find(engine), "tells_why", False))
    return False


def _let_in(root: Root, experiment: str, run_id: str) -> tuple[Running, View]:
    """Be the one body of the run. A thousand that begin at once wait longer for the section than people would."""
    for _ in range(_PATIENCE):
        try:
            return _begun(root, ids.experiment_id(experiment), ids.run_id(run_id))
        except Superseded:
            raise
        except Busy:
            continue
    return _begun(root, experiment, run_id)


def _begun(root: Root, experiment: str, run_id: str) -> tuple[Running, View]:
    """Say so that it is: beside the claim first, then in its manifest."""
    path = root.layout.run(experiment, run_id)
    with root.section(experiment):
        manifest = bundles.load_manifest(path)
        if manifest is None:
            raise Turned(FENCED, f"there is no run {run_id}")
        try:
            lease = leases.held(root, experiment, manifest.generation)
        except Superseded as lost:
            raise Turned(FENCED, lost.what) from lost
        job = jobs.load(root, experiment, manifest.generation)
        if lease.claim.run_id != run_id or job is None:
            raise Turned(FENCED, f"no engine was asked to run {run_id}")
        if job.ended:  # who takes it died between this word and the takeover, and the next one goes on from there
            raise Turned(FENCED, f"{run_id} was taken from its engine: {job.why}")
        owner = machine.this_process(lease.claim.owner.name)
        started = _start(root.world.environ, run_id, owner.pid, root)
        if not jobs.begin(root, experiment, manifest.generation, started):
            raise Turned(TWICE, f"another body of {run_id} was let in before")
        lease.renew(root)
        view, _ = refresh.current(root, experiment)
        running = cycle.reattached(root, experiment, run_id, job.spec)
        where = places.workspace(root, running.spec, view)
        manifest = msgspec.structs.replace(
            running.manifest, owner=owner, worker=started.host, started_at=root.now(),
            revision=revision.of(where) if where else "",
        )  # fmt: skip
        bundles.begun(root, manifest)
        return msgspec.structs.replace(running, manifest=manifest), view


def _start(environ: Mapping[str, str], run_id: str, pid: int, root: Root) -> Start:
    number = next((environ[name] for name in _NUMBERS if environ.get(name)), "")
    return Start(
        run_id=run_id,
        host=environ.get(_NODE) or machine.host().partition("/")[0],  # as its engine calls it, or it has two names
        pid=pid,
        number=number,
        at=root.now(),
    )


def spent(root: Root, experiment: str, run_id: str) -> None:
    """Remove what a body printed that was too late: its claim is gone, and nobody else would."""
    with suppress(LabError, OSError):
        manifest = bundles.load_manifest(root.layout.run(experiment, run_id))
        if manifest is not None:
            jobs.forget(root, experiment, manifest.generation)
