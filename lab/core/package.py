"""A dispatch package: a run handed to a worker as a folder. The place is the state, the records only say what it is.

`dispatch/ready/<id>` is an offer: it holds no lease, so it cannot expire and nothing can be lost with it.
`dispatch/running/<id>@<worker>` was taken; `claim.json` says for which run, and is written last.
`dispatch/complete/<id>@<worker>` waits for its ingest. `dispatch/refused/` holds what could not be taken in.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import ids
from lab.core.claim import Owner
from lab.core.errors import BadInput
from lab.core.record import Record

if TYPE_CHECKING:
    from datetime import datetime

READY, RUNNING, COMPLETE, REFUSED = "ready", "running", "complete", "refused"
OFFER, CLAIM, DONE = "dispatch.json", "claim.json", "done.json"
INPUT, RUN = "input", "run"
WHY = "REFUSED.md"
OWNER_PREFIX = "dispatch:"
_PREFIX = "DISPATCH-"
_ID = re.compile(r"DISPATCH-[0-9]{8}-[0-9]{6}-[0-9]{6}-(.+)", re.DOTALL)


class Offer(Record, frozen=True, kw_only=True):
    """`dispatch.json`: what is to be run, and under which SPEC. Never changed once it is published."""

    dispatch_id: str
    experiment: str
    tier: str = "default"
    executor: str = ""
    executor_class: str = "default"
    priority: str = "normal"
    metric: str = ""
    metric_direction: str = "maximize"
    time_budget_s: float = 0.0
    spec_sha256: str = ""
    params: dict[str, object] | None = None
    queued_at: str = ""
    queued_by: str = ""


class Taken(Record, frozen=True, kw_only=True):
    """`claim.json`: which run the package became. Without it a package in running/ was never handed out."""

    dispatch_id: str
    worker: str
    experiment: str
    run_id: str
    generation: int
    lease_id: str
    ttl_s: float
    claimed_at: str
    workspace: str = ""  # absolute, on the machine of the lab
    program: str = ""  # where this experiment's own programs are looked for
    process: Owner | None = None  # the process that does the work, where one command claims and works
    base: str = ""  # of a code loop: the commit that a change begins at
    parent: str = ""  # the run of that commit


class Done(Record, frozen=True, kw_only=True):
    """`done.json`: how it ended, as the worker says. The value is read from what lies in run/, never from here."""

    dispatch_id: str
    worker: str
    outcome: str
    completed_at: str
    reason: str = ""
    verdict: str = ""
    note: str = ""


class Begun(Record, frozen=True, kw_only=True):
    """`begun.json`, in a worker's inbox: its run was begun. Found again without an end, its worker was killed."""

    worker: str
    begun_at: str


class Answered(Record, frozen=True, kw_only=True):
    """`done/<id>.json`, in a folder that tars travel through: a package that was answered, there or here."""

    dispatch_id: str
    outcome: str
    reason: str = ""
    at: str = ""
    by: str = ""
    sha256: str = ""  # of the tar that brought the answer, where the lab is


class Away(Record, frozen=True, kw_only=True):
    """`away/<id>.json`, where the lab is: a package that was packed for a worker elsewhere."""

    dispatch_id: str
    experiment: str
    run_id: str
    worker: str
    bytes: int
    packed_at: str


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """A package's folder name, taken apart."""

    dispatch_id: str
    experiment: str
    worker: str = ""

    @property
    def name(self) -> str:
        return f"{self.dispatch_id}@{self.worker}" if self.worker else self.dispatch_id


def new_id(now: datetime, experiment: str) -> str:
    """The id of a package that is queued at `now`. Ids sort by time."""
    stamp = ids.new_run_id(now, "x").removeprefix("RUN-").removesuffix("-x")
    return f"{_PREFIX}{stamp}-{experiment}"


def place(name: str) -> Place | None:
    """What a folder of dispatch/ is called after; None for a stranger."""
    dispatch_id, _, worker = name.partition("@")
    found = _ID.fullmatch(dispatch_id)
    if found is None or ("@" in name and not worker):
        return None
    try:
        experiment = ids.experiment_id(found[1])
        return Place(dispatch_id=dispatch_id, experiment=experiment, worker=ids.worker(worker) if worker else "")
    except BadInput:
        return None


def dispatch_id(value: str) -> Place:
    """The package that a person names, by its id or by its folder."""
    found = place(value)
    if found is None:
        fix = "it looks like DISPATCH-20261121-093000-000000-lr-sweep; labctl dispatch-ready prints it"
        raise BadInput(f"{value[:80]!r} is not the id of a package", fix=fix)
    return found
