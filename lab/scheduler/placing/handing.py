"""Handing a claimed run to an engine: what is written down, what the engine is given, and what its answer means.

Claim, bundle and `.job` are written in one section; then, outside of it and under the flock `placing`: submit it held,
write its number down, let it go.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import job as words
from lab.core import layout
from lab.core.errors import Busy, LabError, Superseded, Unavailable
from lab.core.job import ASKED, Job, Sight
from lab.core.view import OPEN_PHASES
from lab.engines import door
from lab.engines.door import Ground, NotNow, Placement, Refused
from lab.scheduler import cycle, refresh
from lab.scheduler.loop import longest, scripts
from lab.scheduler.placing import in_flight, taking
from lab.scheduler.step import HELD, PROBLEM, QUEUED, SETTLED, Step
from lab.store import identity, jobs, leases, program, silences, strays
from lab.store.sections import hold

if TYPE_CHECKING:
    from lab.core.job import Wants
    from lab.core.spec import Spec
    from lab.engines.door import Engine
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

_WAIT_S = 30.0
# Variables that a body goes by, besides those that its SPEC names. No secrets: an engine keeps these in files.
_HANDED_ON = (
    "LAB_EXECUTOR_COMMAND", "HERMES_LAB_EXECUTOR_COMMAND", "LAB_TRAINING_CACHE", "LABCTL_CONFINEMENT", "VIRTUAL_ENV",
    "CONDA_PREFIX",
)  # fmt: skip


def require(root: Root, wants: Wants, executor_class: str) -> None:
    """Refuse what could not be handed over, before anything is claimed. `Busy` when the class has enough under way."""
    ready(root, wants)
    if wants.max_in_flight and in_flight.is_full(root, wants.engine, executor_class, most=wants.max_in_flight):
        what = f"{wants.max_in_flight} jobs of the class {executor_class} are with {wants.engine}"
        raise Busy(f"{what}, which is as many as engines.yaml allows", fix="labctl status shows them")


def ready(root: Root, wants: Wants) -> None:
    """Refuse an engine that is not here at all: a run that is claimed for it would wait for ever."""
    engine, ground = engine_of(root, wants.engine, wants.address)
    look = getattr(engine, "ready", None)
    if look is not None:
        look(ground)


def sets_itself(wants: Wants) -> bool:
    """Whether the variables that a SPEC names are the body's to find: they may be set on its node, and only there."""
    return bool(wants.setup) or not getattr(door.find(wants.engine), "hands_on", False)


def noted(root: Root, running: Running, wants: Wants) -> Job:
    """Write down what is to be asked of the engine. Inside the section of the claim."""
    claim = running.lease.claim
    made = Job(
        experiment=claim.experiment,
        generation=claim.generation,
        run_id=claim.run_id,
        engine=wants.engine,
        name=words.name(identity.of(root), claim.experiment, claim.generation),
        asked_at=root.now(),
        uid=os.geteuid(),
        spec=running.spec,
        wants=wants,
    )
    jobs.begun(root, made)
    return made


def hand_over(root: Root, job: Job) -> Step:
    """Submit a job that was just noted, and let it go. Outside the section.

    An engine that does not answer, or will not have it now, leaves it for a later look, and so does whoever holds the
    jobs of the experiment. An engine that refuses it pauses the experiment, and the run is marked and not counted. The
    step says which.
    """
    try:
        with hold(root.layout.placing(job.experiment), wait_s=_WAIT_S):
            now = phase(root, job.experiment)
            if now not in OPEN_PHASES:
                return stopped(root, job, now, None)
            engine, ground = engine_of(root, job.engine, job.wants.address)
            return submitted(root, job, engine, ground)
    except Superseded:
        raise
    except Busy as busy:  # it is claimed: who counts runs must count it
        return still_waiting(job, busy.what, fix=busy.fix)


def phase(root: Root, experiment: str) -> str:
    """How an experiment is now: it may have been stopped since the run was claimed."""
    with root.section(experiment):
        return refresh.current(root, experiment)[0].phase


def submitted(root: Root, job: Job, engine: Engine, ground: Ground, before: Sight | None = None) -> Step:
    """Submit, write the number down, let it go. The caller holds `placing`, and knows that the engine has it not.

    `before` is what the last look said of it, if there was one.
    """
    experiment, generation = job.experiment, job.generation
    current = jobs.load(root, experiment, generation)
    if current is None or not _is_held(root, job):  # taken, or broken by a person, meanwhile
        what = f"the claim of {job.run_id} was taken before it was submitted"
        raise Superseded(what, fix=f"see: labctl lease show {experiment}")
    if current.number:  # somebody found it and was quicker
        return _queued(current, current.number)
    try:
        where = engine.where(ground)
        if current.where not in ("", where):
            return elsewhere(current, where)
        if current.where != where:  # first: who looks from another cluster must not take it for one that nobody has
            current = msgspec.structs.replace(current, where=where)
            jobs.write(root, current, durable=False)
    except Unavailable as error:
        return _later(root, job, error, before, lists=False)
    try:
        number = engine.submit(_placement(root, job), ground)
    except (Unavailable, NotNow) as error:
        strays.suspect(root, job.engine, job.wants.address)  # it may have it all the same, or be about to
        return _later(root, job, error, before)
    except Refused as refusal:
        return _turned_down(root, job, engine, refusal)
    # Whatever had this number when the engine was last asked, is not what has just been given it.
    return let_go(root, current, engine, msgspec.structs.replace(ground, names={}), number, before)


def let_go(  # a job, whose it is, and what is known of it
    root: Root, job: Job, engine: Engine, ground: Ground, number: str, before: Sight | None = None
) -> Step:
    """Write its number down, then let it start."""
    if job.number != number:
        job = msgspec.structs.replace(job, number=number)
        jobs.write(root, job)
    try:
        engine.release(number, ground)
    except (Unavailable, NotNow) as error:
        return _later(root, job, error, before)
    except Refused as refusal:  # of an engine that can hold nothing back, and is asked only now
        return _turned_down(root, job, engine, refusal)
    silences.ended(root, job.engine, job.wants.address, lists=True)
    if before is not None and before.state == ASKED:
        jobs.forget_sight(root, job.experiment, job.generation)
    return _queued(job, number)


def _later(root: Root, job: Job, error: Unavailable | NotNow, before: Sight | None, *, lists: bool = True) -> Step:
    """It waits here. Said once, and kept beside the claim for who looks; tried again by and by.

    `lists`: its engine may answer who asks for all jobs.
    """
    said = " ".join(error.what.split())
    if isinstance(error, NotNow):
        what, closed = f"{job.engine} does not take it now: {said}", f"{job.engine} {job.spec.executor_class}"
    else:
        what, closed = f"{job.engine} does not answer: {said}", job.engine
        if before is None:
            silences.begin(root, job.engine, job.wants.address, what, lists=lists)
    return _waits(root, job, what, before, fix=error.fix, closed=closed)


def _waits(root: Root, job: Job, what: str, before: Sight | None, *, fix: str, closed: str) -> Step:
    """Keep why its engine has not taken it. A problem where that is news."""
    is_known = before is not None and (before.state, before.why) == (ASKED, what)
    tries = before.tries if before is not None and before.state == ASKED else 0
    sight = Sight(state=ASKED, why=what, at=root.now(), tries=tries + 1)
    jobs.saw(root, job.experiment, job.generation, sight)
    return still_waiting(job, what, fix=fix, closed=closed, kind=HELD if is_known else PROBLEM)


def stopped(root: Root, job: Job, now: str, before: Sight | None) -> Step:
    """It waits here until a person lets its experiment go on, and is submitted then. `now` is its phase."""
    what = f"{job.experiment} is {now}"
    fix = f"labctl resume {job.experiment}; or give the run up: labctl cancel {job.experiment}"
    if before is None or (before.state, before.why) != (ASKED, what):
        jobs.saw(root, job.experiment, job.generation, Sight(state=ASKED, why=what, at=root.now()))
    return _waiting(job, f"{what}; the run waits until it goes on", fix=fix)


def still_waiting(job: Job, what: str, *, fix: str = "", closed: str = "", kind: str = HELD) -> Step:
    """The step that says so."""
    return _waiting(job, f"{what}; the run waits, and is submitted by a later turn", fix=fix, closed=closed, kind=kind)


def _waiting(job: Job, what: str, *, fix: str, closed: str = "", kind: str = HELD) -> Step:
    return Step(
        kind=kind, experiment=job.experiment, run_id=job.run_id, engine=job.engine, closed=closed, fix=fix, what=what
    )


def _turned_down(root: Root, job: Job, engine: Engine, refusal: Refused) -> Step:
    """The experiment waits for a person; the run that was claimed never began."""
    said = " ".join(refusal.what.split())
    claim = leases.load(root, job.experiment, job.generation, layout.CLAIM_SUFFIX)
    if claim is not None:
        taking.take(root, claim, (), forgets_after_s=engine.forgets_after_s, refused=f"{job.engine} refuses it: {said}")
        taking.settle(root, job.experiment)
    # After it: who dies in between is told again. A run whose experiment is paused would wait for a person.
    changed = taking.pause(root, job.experiment, job.engine, said)
    fix = refusal.fix or "correct what its class asks for in engines.yaml"
    return Step(
        kind=PROBLEM if changed else SETTLED,
        experiment=job.experiment,
        run_id=job.run_id,
        what=f"{job.engine} refuses its job: {said}",
        fix=f"{fix}; then: labctl resume {job.experiment}",
    )


def _placement(root: Root, job: Job) -> Placement:
    given = {name: root.world.environ[name] for name in (*_HANDED_ON, *job.spec.env) if name in root.world.environ}
    for secret in job.spec.secrets:
        given.pop(secret, None)
    if job.wants.python:
        start: tuple[str, ...] = (job.wants.python, "-P", "-c", "from lab.cli.main import entry; entry()")
    else:
        start = tuple(program.words())
    return Placement(
        name=job.name,
        argv=(*start, "exec", job.experiment, job.run_id, "--data-root", root.layout.root),
        cwd="/",
        root=root.layout.root,
        output=jobs.output(root, job.experiment, job.generation),
        budget_s=_budget_s(job.spec),
        environ=given,
        wants=job.wants,
    )


def _budget_s(spec: Spec) -> float:
    """Within which a body ends by itself."""
    steps = longest.steps_of(spec) if scripts.is_loop(spec) else 1
    return steps * (spec.time_budget_s + spec.kill_grace_s) + cycle.SEAL_GRACE_S


def _is_held(root: Root, job: Job) -> bool:
    return leases.load(root, job.experiment, job.generation, layout.CLAIM_SUFFIX) is not None


def _queued(job: Job, number: str) -> Step:
    return Step(
        kind=QUEUED, experiment=job.experiment, run_id=job.run_id, engine=job.engine, number=number,
        what=f"at {job.engine} (job {number})",
    )  # fmt: skip


def elsewhere(job: Job, here: str) -> Step:
    """Its job is at another engine of that kind, which is asked from there. Nothing is known of it here."""
    what = f"its job is at {job.engine} {job.where}, and here is {here or 'another'}: it is looked after from there"
    fix = f"run labctl where {job.where} is; or give the run up: labctl lease break {job.experiment}"
    return Step(kind=HELD, experiment=job.experiment, run_id=job.run_id, engine=job.engine, what=what, fix=fix)


def silent(root: Root, engine: str, address: str, experiment: str, error: LabError) -> Step:
    """An engine that does not answer: what it has stays as it is. A problem where people have not been told yet."""
    what = f"{engine} does not answer: {error.what}"
    kind = PROBLEM if silences.begin(root, engine, address, what) else HELD
    return Step(kind=kind, experiment=experiment, engine=engine, what=what, fix=error.fix, closed=engine)


def engine_of(root: Root, name: str, address: str) -> tuple[Engine, Ground]:
    known = identity.found(root)
    ground = Ground(
        environ=dict(root.world.environ),
        folder=root.layout.engine(name),
        files=root.files,
        address=address,
        lab=words.prefix(known) if known else "",
    )
    return door.find(name), ground
