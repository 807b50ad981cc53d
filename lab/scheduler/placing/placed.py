"""What the files say of runs that an engine has. Asks no engine, and writes nothing."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.claim import Claim
from lab.core.errors import Corrupt
from lab.core.job import ASKED, HELD, RUNNING, Job, Seen, Start
from lab.store import bundles, jobs, leases, reading

if TYPE_CHECKING:
    from collections.abc import Collection

    from lab.core.job import Report, Sight
    from lab.store.root import Root

WAITS, ENDED = "queued", "ended"
_SECONDS = len("2026-11-21T09:30:00")


class State(msgspec.Struct, frozen=True, kw_only=True):
    """A run that an engine has, as it is told to people. `state` is queued, running or ended, as its files say."""

    # `cli.placed` reads the same without records, for `status`; a test holds the two together.
    experiment: str
    run_id: str
    generation: int
    engine: str
    number: str = ""  # empty until the engine has answered
    state: str = WAITS
    where: str = ""  # the node
    why: str = ""  # in the engine's words: what it waits for
    since: str = ""
    executor_class: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """One claimed run by its files."""

    claim: Claim
    job: Job | None
    started: Start | None
    has_bundle: bool
    sealed: bool
    cancel_asked: str | None
    heard_s: float
    was_suspended: bool = False
    ours: bool = True  # whether its job was asked for by this lab, and not by one of which this is a copy

    def seen(self, reports: tuple[Report, ...], now_s: float) -> Seen:
        """The same with an engine's word, as `core.job` judges it."""
        return Seen(
            job=self.job,
            has_bundle=self.has_bundle,
            sealed=self.sealed,
            started=self.started,
            cancel_asked=self.cancel_asked,
            silent_s=max(0.0, now_s - self.heard_s),
            ttl_s=self.claim.ttl_s,
            reports=reports,
            was_suspended=self.was_suspended,
            ours=self.ours,
            hidden=self.job is not None and self.job.uid not in (-1, os.geteuid()) and os.geteuid() != 0,
        )


def held(root: Root, only: Collection[str] = ()) -> list[Claim]:
    """The claims that are an engine's, in the order of their experiments. Empty `only`: of the whole lab."""
    names = sorted(only) if only else leases.unsettled(root)
    found = (each.seen.claim for name in names for each in leases.survey(root, name).held)
    return [claim for claim in found if claim.engine]


def look(root: Root, claim: Claim, prefix: str) -> Found | None:
    """What lies there for a claim; None when it is not held any more. `prefix`: how names of our jobs begin."""
    experiment, generation = claim.experiment, claim.generation
    path = root.layout.run(experiment, claim.run_id)
    started = _started(root, claim)
    heard_s, was_suspended = jobs.heard(root, experiment, generation, started=started is not None)
    asked = reading.read(root.layout.claim(experiment, generation, layout.CANCEL_SUFFIX))
    known = job(root, claim)
    found = Found(
        claim=claim,
        job=known,
        started=started,
        has_bundle=bool(claim.run_id) and reading.is_folder(path),
        sealed=_is_sealed(path, claim),
        cancel_asked=None if asked is None else asked.decode(errors="replace").strip(),
        heard_s=heard_s,
        was_suspended=was_suspended,
        ours=known is None or known.name.startswith(prefix),
    )
    # Last: what was given back meanwhile has lost its files too, and would look like one that never began.
    return found if os.path.lexists(root.layout.claim(experiment, generation)) else None


def job(root: Root, claim: Claim) -> Job | None:
    """The job of a claim; None where it is not there, or a power cut left it empty. `Corrupt` for a newer labctl's."""
    try:
        return jobs.load(root, claim.experiment, claim.generation)
    except Corrupt as error:
        if error.newer:
            raise
        return None


def states(root: Root, experiment: str) -> tuple[State, ...]:
    """Its runs that an engine has, by generation: from files alone, however the engine is."""
    return tuple(state(root, claim) for claim in held(root, (experiment,)))


def of(root: Root, experiment: str, run_id: str) -> State | None:
    """What is known of one run; None when no engine has it."""
    # Of that one only its files are read: a thousand of them may be out beside it.
    return next((state(root, claim) for claim in held(root, (experiment,)) if claim.run_id == run_id), None)


def state(root: Root, claim: Claim) -> State:
    """What the files beside a claim say of its run."""
    here, started = job(root, claim), _started(root, claim)
    sight = jobs.sight(root, claim.experiment, claim.generation)
    number = (started.number if started is not None else "") or (here.number if here is not None else "")
    asked_at = here.asked_at if here is not None else ""
    return State(
        experiment=claim.experiment,
        run_id=claim.run_id,
        generation=claim.generation,
        engine=claim.engine,
        number=number,
        state=ENDED if here is not None and here.ended else RUNNING if started is not None else WAITS,
        where=(sight.where if sight is not None else "") or (started.host if started is not None else ""),
        why=_why(here, started, sight, f"{claim.engine} has not taken it yet"),
        since=(started.at if started is not None else "") or asked_at or claim.claimed_at,
        executor_class=here.spec.executor_class if here is not None else "",
    )


def line(at: State) -> str:
    """Where it is, since when, and what it waits for."""
    since = f" since {at.since[:_SECONDS]}Z" if at.since else ""
    return f"{at.state} at {holder(at)}{since}" + (f": {at.why}" if at.why else "")


def holder(at: State) -> str:
    """The engine, what it calls the job, and the place that it gave it."""
    number = f" (job {at.number})" if at.number else ""
    return f"{at.engine}{number}" + (f" on {at.where}" if at.where else "")


def waits(root: Root, at: State) -> bool:
    """Whether its body has not come yet, so that the run has written nothing."""
    return not os.path.lexists(root.layout.claim(at.experiment, at.generation, layout.STARTED_SUFFIX))


def _why(here: Job | None, started: Start | None, sight: Sight | None, untaken: str) -> str:
    """What it waits for, or what ended it. What was seen before the body began is not said of it afterwards."""
    seen, why = (sight.state, sight.why) if sight is not None else ("", "")
    if here is not None and here.ended:
        return here.why
    if started is not None:
        return why if seen == RUNNING else ""
    if seen == ASKED:
        return why
    if here is None or not here.number:
        return why or untaken
    # Where the engine starts it and its body has not come yet, it runs for the engine and for nobody else.
    return {RUNNING: "it is being started", HELD: "it is held"}.get(seen) or why


def _started(root: Root, claim: Claim) -> Start | None:
    try:
        return jobs.started(root, claim.experiment, claim.generation)
    except Corrupt as error:
        if error.newer:
            raise
        return Start(run_id=claim.run_id, host="", pid=0)  # a power cut emptied it: somebody was let in all the same


def _is_sealed(path: str, claim: Claim) -> bool:
    """Whether its seal is there, and is this claim's. A run may have written anything under that name."""
    if not reading.is_file(f"{path}/{layout.SEAL}"):
        return False
    try:
        found = bundles.load_seal(path)
    except Corrupt:
        return False
    return found is not None and (found[0].run.experiment, found[0].generation) == (claim.experiment, claim.generation)
