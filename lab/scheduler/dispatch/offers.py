"""Handing out runs as packages: queue, claim, renew, complete. What comes back is taken in by `dispatch_ingest`.

A package in ready/ is an offer and holds nothing. Whoever claims one judges the experiment, takes its lease and moves
the package in one section, so that a crash in between is seen for what it is by the next one in that section
(`dispatch_mend`): there is no moment at which a package could look half claimed and belong to somebody alive.
"""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout, package, policy
from lab.core.claim import Owner
from lab.core.errors import BadInput, Busy, Exhausted, LabError, Superseded
from lab.core.package import COMPLETE, READY, REFUSED, RUN, RUNNING, Place, Taken
from lab.core.policy import Proceed, Wait
from lab.core.record import page
from lab.core.spec_fields import PRIORITIES
from lab.core.view import View
from lab.scheduler import cycle, decisions, due, moves, reclaim, refresh, sequels
from lab.scheduler.chaining.order import ordered
from lab.scheduler.control import approved
from lab.scheduler.dispatch.inputs import advised, chosen, code_of, inputs, spec_of, stale
from lab.scheduler.places import workspace
from lab.scheduler.search import sought
from lab.store import leases, ledger, packages, reading, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from lab.core.manifest import Manifest
    from lab.core.package import Offer
    from lab.core.policy import Move
    from lab.core.spec import Spec
    from lab.scheduler.moves import Change
    from lab.store.experiments import Loaded
    from lab.store.root import Root

MAX_RUNS = 3
# A worker that nobody watches: it thinks before it runs anything, and carries its result home afterwards.
HANDOVER_S = 900.0
QUEUED, CLAIMED, DONE, INGESTED, SET_ASIDE, PASSED, PROBLEM = (
    "queued", "claimed", "completed", "ingested", "refused", "passed", "problem",
)  # fmt: skip


class Said(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that was done with a package, or could not be."""

    kind: str
    dispatch_id: str = ""
    experiment: str = ""
    run_id: str = ""
    tier: str = ""
    role: str = ""
    worker: str = ""
    path: str = ""
    outcome: str = ""
    verdict: str = ""  # of a candidate of a code loop
    value: float | None = None
    what: str = ""
    fix: str = ""


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A package that this worker has: where it lies, which run it is, and what it was judged by."""

    place: Place
    taken: Taken
    path: str
    running: cycle.Running
    view: View

    @property
    def manifest(self) -> Manifest:
        return self.running.manifest

    @property
    def spec(self) -> Spec:
        """With the overrides of its tier."""
        return self.running.spec


def queue(
    root: Root,
    *,
    actor: str,
    max_runs: int = MAX_RUNS,
    classes: Collection[str] = (),
    only: Collection[str] = (),
    now: bool = False,
) -> list[Said]:
    """Offer runs of what is due, in the order in which `run-once` would take it. One offer a free slot."""
    said: list[Said] = []
    changes: list[Change] = []
    due.require_known(root, classes)
    for name in due.due(root, classes=classes, only=only, now=now).names:
        if sum(each.kind == QUEUED for each in said) >= max_runs:
            break
        said += safely(
            name, partial(_offered, root, name, changes, actor=actor, classes=classes, now=now, asked=bool(only))
        )
    told(root, said, changes)
    return said


def told(root: Root, said: Collection[Said], changes: Collection[Change]) -> None:
    """Bring the lab's own pages to the end of the ledger, and tell people what follows for them."""
    moves.tell_people(root, changes)
    if said or changes:
        with suppress(OSError):  # the next verb, or `status`, counts it in
            refresh.lab_pages(root)


def _offered(  # the terms of an offer
    root: Root, name: str, changes: list[Change], *, actor: str, classes: Collection[str], now: bool, asked: bool
) -> Iterator[Said]:
    reclaim.make_way(root, name)
    with root.section(name):
        view, loaded = cycle.observe(root, name)
        spec = cycle.usable(loaded)
        seen = leases.survey(root, name)
        taken = len(seen.held) + len(seen.lost) + len(seen.damaged) + packages.waiting(root).get(name, 0)
        view, move = moved(root, view, spec, changes, under_way=taken, now=now)
        if not isinstance(move, Proceed):
            if asked and isinstance(move, Wait):
                yield Said(kind=PASSED, experiment=name, what=move.reason)
            return
        here = spec.for_tier(view.tier)
        if classes and here.executor_class not in classes:
            return  # its SPEC was edited since the index told of it
        if taken >= here.max_parallel:
            if asked:
                what = f"{taken} of its {here.max_parallel} slots are taken, packages in ready/ included"
                yield Said(kind=PASSED, experiment=name, what=what, fix=f"labctl lease show {name}")
            return
        offer = _offer(root, view, here, loaded, actor)
        line = event.Event(
            type=event.PACKAGE_READY, ts=offer.queued_at, experiment=name, actor=actor, tier=offer.tier,
            spec=offer.spec_sha256, name=offer.dispatch_id,
        )  # fmt: skip
        ledger.append(root, line)
        path = packages.publish(root, offer, inputs(root, offer, refresh.catch_up(root, name)))
    yield Said(kind=QUEUED, dispatch_id=offer.dispatch_id, experiment=name, tier=offer.tier, path=path)


def _offer(root: Root, view: View, here: Spec, loaded: Loaded, actor: str) -> Offer:
    return package.Offer(
        dispatch_id=package.new_id(root.world.now(), view.experiment),
        experiment=view.experiment,
        tier=view.tier,
        executor=here.executor,
        executor_class=here.executor_class,
        priority=here.priority,
        metric=here.metric,
        metric_direction=here.metric_direction,
        time_budget_s=here.time_budget_s,
        spec_sha256=loaded.sha256,
        queued_at=root.now(),
        queued_by=actor,
    )


def moved(root: Root, view: View, spec: Spec, changes: list[Change], *, under_way: int, now: bool) -> tuple[View, Move]:
    """Carry out what the policy decides until it says run, or not now. Inside the section."""

    def judge(view: View, spec: Spec) -> Move:
        if sequels.is_followed(spec):  # each of its runs builds on what lies in this lab
            name = view.experiment
            return Wait(reason=f"the runs of {name} are made here: labctl run-once --experiment {name}")
        searching = sought.searches(root, spec, view)
        return policy.decide(view, spec, root.world.now(), under_way=under_way, at_once=now, searching=searching)

    after, move, subject = moves.settled(root, view, spec, judge, lambda _view, _move: None)
    if subject is not None:
        changes.append((view, subject))
    return after, move


def claim(
    root: Root,
    worker: str,
    *,
    max_runs: int = 1,
    classes: Collection[str] = (),
    only: Collection[str] = (),
    process: Owner | None = None,
    interrupted: Callable[[], str] = str,
) -> tuple[list[Held], list[Said]]:
    """Take offers, the most urgent and then the oldest first. An offer that somebody else was quicker at is theirs."""
    held: list[Held] = []
    said: list[Said] = []
    changes: list[Change] = []
    for each in _in_order(root, classes, only, said):
        if len(held) >= max_runs:
            break
        if not reading.is_folder(root.layout.package(READY, each.name)):
            continue  # somebody has it: no need to queue for the section
        act = partial(_claimed, root, each, worker, process, held, changes)
        said += safely(each.experiment, partial(advised, root, act, interrupted))
    told(root, said, changes)
    return held, said


def _in_order(root: Root, classes: Collection[str], only: Collection[str], said: list[Said]) -> list[Place]:
    fitting: list[tuple[int, str, Place]] = []
    for each in packages.found(root, READY):
        if only and each.experiment not in only:
            continue
        try:
            offer = packages.offer_of(root, READY, each)
        except LabError as error:
            if reading.is_folder(root.layout.package(READY, each.name)):
                said.append(_put_aside(root, each, error))
            continue
        if not classes or offer.executor_class in classes:
            rank = PRIORITIES.index(offer.priority) if offer.priority in PRIORITIES else len(PRIORITIES)
            fitting.append((rank, each.name, each))
    return [each for _, _, each in sorted(fitting, key=lambda item: item[:2])]


def _put_aside(root: Root, each: Place, error: LabError) -> Said:
    try:
        with root.section(each.experiment):  # it may have been claimed, and given back, while we read
            packages.offer_of(root, READY, each)
        return Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what="somebody had it")
    except LabError:
        pass
    try:
        path = packages.refuse(root, READY, each, error.what)
    except FileNotFoundError:
        return Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=each.experiment, what="somebody took it")
    return Said(kind=SET_ASIDE, dispatch_id=each.dispatch_id, experiment=each.experiment, path=path, what=error.what)


def _claimed(
    root: Root, each: Place, worker: str, process: Owner | None, held: list[Held], changes: list[Change]
) -> Iterator[Said]:
    name = each.experiment
    if not reading.is_folder(root.layout.experiment(name)):
        packages.refuse(root, READY, each, f"this lab has no experiment {name}")
        yield Said(kind=SET_ASIDE, dispatch_id=each.dispatch_id, experiment=name, what=f"there is no experiment {name}")
        return
    reclaim.make_way(root, name)
    with root.section(name):
        if not reading.is_folder(root.layout.package(READY, each.name)):
            return
        offer = packages.offer_of(root, READY, each)
        view, loaded = cycle.observe(root, name)
        spec = cycle.usable(loaded)
        view, move = moved(root, view, spec, changes, under_way=len(leases.survey(root, name).held), now=True)
        why = stale(offer, view, loaded)
        if why:
            packages.spend(root, READY, each)
            yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=name, what=f"withdrawn: {why}")
            return
        if not isinstance(move, Proceed):
            reason = move.reason if isinstance(move, Wait) else ""
            yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=name, what=f"left in ready/: {reason}")
            return
        try:
            taken = _taken(root, each, offer, worker, view, loaded, process)
        except Exhausted as done:
            changes.append(
                (view, decisions.carry_out(root, view, policy.exhausted(view, spec), actor=decisions.POLICY))
            )
            yield Said(kind=PASSED, dispatch_id=each.dispatch_id, experiment=name, what=f"left in ready/: {done.what}")
            return
        held.append(taken)
    yield of(CLAIMED, taken)


def _taken(
    root: Root, each: Place, offer: Offer, worker: str, view: View, loaded: Loaded, process: Owner | None
) -> Held:
    """Lease, rename, bundle, claim.json: in the section, so that whoever finds less than all of it knows of a crash."""
    spec = cycle.usable(loaded)
    # It is no process that holds it: the lease is lost by silence alone, wherever the worker lives.
    owner = Owner(name=f"{package.OWNER_PREFIX}{worker}", host="")
    ruling = approved.next_run(root, view.experiment) if offer.params is None else None
    errand = ordered(root, view, spec, chosen(root, offer, ruling, view, spec))
    followed = decisions.follow(root, view, spec, errand.tier or view.tier)
    view = view if followed is None else followed.view
    here = spec.for_tier(errand.tier or view.tier)
    code = code_of(root, view, spec, errand.tier or view.tier)  # as it is now: a better one may have come
    ttl_s = here.time_budget_s + here.kill_grace_s + cycle.SEAL_GRACE_S + HANDOVER_S
    lease = cycle.claim(root, view, spec, owner=owner, ttl_s=ttl_s, tier=errand.tier)
    line = event.Event(
        type=event.PACKAGE_CLAIMED, ts=root.now(), experiment=view.experiment, actor=worker,
        run_id=lease.claim.run_id, generation=lease.claim.generation, name=each.dispatch_id,
    )  # fmt: skip
    try:
        ledger.append(root, line)
        place = packages.move(root, READY, each, RUNNING, worker=worker)
    except (OSError, LabError):
        lease.release(root)
        raise
    errand = msgspec.structs.replace(errand, package=each.dispatch_id, worker=worker)
    try:
        if ruling is not None:
            approved.spend(root, ruling, lease.claim.run_id)
        running = cycle.opened(root, lease, view, spec, loaded.sha256, errand)
    except (OSError, LabError):
        packages.move(root, RUNNING, place, READY)
        raise
    path = root.layout.package(RUNNING, place.name)
    for name, data in code.files.items():
        root.files.replace(f"{path}/{name}", data)
    root.files.folder(f"{path}/{RUN}")
    root.files.replace(f"{path}/{package.INPUT}/{layout.MANIFEST}", page(running.manifest))
    for name, data in cycle.given(running.params, running.order).items():
        for folder in (RUN, package.INPUT):
            root.files.replace(f"{path}/{folder}/{name}", data)
    taken = Taken(
        dispatch_id=each.dispatch_id, worker=worker, experiment=view.experiment, run_id=lease.claim.run_id,
        generation=lease.claim.generation, lease_id=lease.claim.lease_id, ttl_s=ttl_s, claimed_at=root.now(),
        workspace=workspace(root, here, view), process=process,
        base=code.base, parent=code.parent,
    )  # fmt: skip
    packages.write(root, RUNNING, place, package.CLAIM, taken)
    return Held(place=place, taken=taken, path=path, running=running, view=view)


def renew(root: Root, dispatch_id: str, worker: str) -> str | None:
    """Say that a worker lives. Why somebody asked for its run to be ended, or None. `Superseded` when it was lost."""
    each = mine(root, dispatch_id, worker)
    taken = packages.running_of(root, each)
    lease = leases.held(root, each.experiment, taken.generation)
    lease.renew(root)
    return lease.cancel_asked(root)


def mine(root: Root, dispatch_id: str, worker: str) -> Place:
    """The running package of this worker, or why it is not. An empty name speaks for whoever claimed it."""
    wanted = package.dispatch_id(dispatch_id).dispatch_id
    stage, each = packages.require(root, wanted)
    if stage == READY:
        raise BadInput(f"{wanted} was not claimed by anybody", fix="labctl dispatch-claim")
    if stage == REFUSED:
        why = reading.read_head(f"{root.layout.package(REFUSED, each.name)}/{package.WHY}", 2_000) or b""
        reason = why.decode(errors="replace").removeprefix("# Refused").strip()
        fix = "what it left is kept there; its run is not counted twice"
        raise Superseded(f"{wanted} was refused: {reason}", where=root.layout.package(REFUSED, each.name), fix=fix)
    if worker and each.worker != worker:
        fix = f"--worker {each.worker} is whoever claimed it; let that one go on, or wait until its lease has run down"
        raise BadInput(f"{wanted} was claimed by {each.worker}, not by {worker}", fix=fix)
    if stage == COMPLETE:
        raise BadInput(f"{wanted} is complete already", fix=f"labctl dispatch-ingest {wanted}")
    return each


def resumed(root: Root, each: Place) -> Held:
    """A package that this worker claimed before, to go on with. `Superseded` when its lease was lost meanwhile."""
    taken = packages.running_of(root, each)
    with root.section(each.experiment):
        view, loaded = cycle.observe(root, each.experiment)
    spec = spec_of(root, RUNNING, each, loaded)
    running = cycle.reattached(root, each.experiment, taken.run_id, spec)
    path = root.layout.package(RUNNING, each.name)
    root.files.folder(f"{path}/{RUN}")
    return Held(place=each, taken=taken, path=path, running=running, view=view)


def safely(experiment: str, act: Callable[[], Iterator[Said]]) -> list[Said]:
    """One experiment's trouble is told and stops no other; a disk that refuses everybody is not its trouble."""
    said: list[Said] = []
    try:
        said.extend(act())
    except Busy as busy:
        said.append(Said(kind=PASSED, experiment=experiment, what=busy.what, fix=busy.fix))
    except LabError as error:
        said.append(Said(kind=PROBLEM, experiment=experiment, what=error.told, fix=error.fix))
    except OSError as error:
        if not reading.is_local(error) and not isinstance(error, FileExistsError):
            raise
        refusal = refusals.refused(error)
        said.append(Said(kind=PROBLEM, experiment=experiment, what=refusal.what, fix=refusal.fix))
    return said


def of(kind: str, held: Held) -> Said:
    manifest = held.manifest
    return Said(
        kind=kind, dispatch_id=held.place.dispatch_id, experiment=held.place.experiment, run_id=manifest.run_id,
        tier=manifest.fidelity_tier, role=manifest.role, worker=held.place.worker, path=held.path,
    )  # fmt: skip
