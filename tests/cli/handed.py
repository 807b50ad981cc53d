"""A run in the hands of an engine, as the crank leaves it: claim, bundle, job, and what was seen of it since."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids, job, layout
from lab.core.claim import Owner
from lab.core.job import Job, Sight, Start
from lab.scheduler import cycle
from lab.scheduler.cycle import Errand
from lab.store import jobs, leases

if TYPE_CHECKING:
    from lab.scheduler.cycle import Running
    from lab.store.root import Root


def handed(root: Root, name: str, engine: str = "slurm", *, number: str = "", params: object = None) -> Running:
    """One more run of an experiment, claimed for an engine; handed over, where it has a number there."""
    moment = root.world.now()
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        lease = leases.take(
            root, name, owner=Owner(name=f"engine:{engine}", host=""), slots=1000, after=view.generation,
            name_run=lambda _: ids.new_run_id(moment, "scout"), engine=engine,
        )  # fmt: skip
        errand = Errand(params=params if isinstance(params, dict) else None)
        running = cycle.opened(root, lease, view, cycle.usable(loaded), loaded.sha256, errand)
        told = Job(
            experiment=name, generation=lease.claim.generation, run_id=lease.claim.run_id, engine=engine,
            name=job.name(root.layout.root, name, lease.claim.generation), asked_at=root.now(), spec=running.spec,
        )  # fmt: skip
        jobs.begun(root, told)
    if number:
        jobs.write(root, msgspec.structs.replace(told, number=number))
    return running


def seen(root: Root, running: Running, state: str, where: str = "", why: str = "") -> None:
    """What a look at the engine found."""
    claim = running.lease.claim
    jobs.saw(root, claim.experiment, claim.generation, Sight(state=state, where=where, why=why, at=root.now()))


def started(root: Root, running: Running, host: str = "n1") -> None:
    """Its body was let in there."""
    claim = running.lease.claim
    begun = Start(run_id=claim.run_id, host=host, pid=1, at=root.now())
    assert jobs.begin(root, claim.experiment, claim.generation, begun)


def printed(root: Root, running: Running, text: str) -> None:
    claim = running.lease.claim
    with open(jobs.output(root, claim.experiment, claim.generation), "w", encoding="utf-8") as file:
        file.write(text)


def age(root: Root, running: Running, suffix: str, seconds: float) -> None:
    """Make a file beside its claim look as old as that."""
    path = root.layout.claim(running.lease.claim.experiment, running.lease.claim.generation, suffix)
    old = os.stat(path).st_mtime - seconds
    os.utime(path, (old, old))


SEEN, CLAIM, JOB = layout.SEEN_SUFFIX, layout.CLAIM_SUFFIX, layout.JOB_SUFFIX
