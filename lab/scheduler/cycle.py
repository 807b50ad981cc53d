"""One run, from its claim to its release. What happens in between (the executor) is the caller's.

claim -> bundle -> (the run) -> RESULT.md, metrics.json, manifest -> seal -> ledger -> fold -> pages -> release
A kill between any two of these costs at most the run in flight, and even that is kept (`reclaim`).
"""

from __future__ import annotations

import os
from collections.abc import Mapping  # msgspec resolves annotations
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, chunk, ids, layout
from lab.core.chunk import Order
from lab.core.claim import DEFAULT_TTL_S, Owner
from lab.core.decided import Handed
from lab.core.errors import BadInput, Busy, LabError, NotFound, Superseded
from lab.core.event import Event  # msgspec resolves annotations
from lab.core.launch import IN_PROCESS
from lab.core.manifest import Manifest
from lab.core.origin import REVIEWED, UNREVIEWED, Origin
from lab.core.record import page, parse
from lab.core.run import FAILED
from lab.core.spec import Spec
from lab.core.spec_tuning import is_chain
from lab.core.version import __version__
from lab.scheduler import closing, decisions, places, reclaim, refresh, rows
from lab.scheduler.loop import scripts
from lab.store import bundles, contents, experiments, leases, ledger, reading, revision
from lab.store.leases import Lease
from lab.store.renewal import Renewal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.ended import Ended
    from lab.core.seal import Seal
    from lab.core.subject import Subject
    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.root import Root

SEAL_GRACE_S = 120.0
_OF_CHUNKS = {
    REVIEWED: "by the model that reviewed the chunk before",
    UNREVIEWED: "as they were, for want of a review of the chunk before",
}


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A run under way: the right to it, what it set out to do, and where it writes."""

    lease: Lease
    manifest: Manifest
    spec: Spec
    path: str
    params: Mapping[str, object] | None = None
    handed: Handed | None = None
    order: Order | None = None  # of a remote training


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is to do, where it is not the SPEC that says so."""

    params: Mapping[str, object] | None = None
    origin: Origin | None = None
    tier: str = ""  # where it is not the one that the experiment is in
    seed: int | None = None  # where it is not the SPEC's
    plan: str = ""
    proposal: str = ""
    package: str = ""
    worker: str = ""
    handed: Handed | None = None  # of a code loop: the change is there already
    order: Order | None = None  # of a remote training, without the name of its run
    why: str = ""  # said of the order, where there is more to say than its numbers
    events: tuple[Event, ...] = ()  # to be in the ledger before the run is: what was promised of it


def begin(
    root: Root, experiment: str, *, owner: Owner, params: Mapping[str, object] | None = None, plan: str = ""
) -> Running:
    """Claim the experiment and open the run's bundle. `Busy` when all its slots are taken by somebody alive."""
    experiments.require(root, experiment)
    reclaim.make_way(root, experiment)
    with root.section(experiment):
        view, loaded = observe(root, experiment)
        lease = claim(root, view, usable(loaded), owner=owner)
        return opened(root, lease, view, usable(loaded), loaded.sha256, Errand(params=params, plan=plan))


def observe(root: Root, experiment: str) -> tuple[View, Loaded]:
    """What an experiment is now. Inside its section, where the answer stays true until the section ends."""
    view, loaded = refresh.current(root, experiment)
    return decisions.notice_edit(root, experiment, view, loaded), loaded


def usable(loaded: Loaded) -> Spec:
    """The SPEC as it was read, or what is wrong with it."""
    if loaded.spec is None or loaded.problem is not None:
        raise loaded.problem or BadInput("the SPEC cannot be used")
    return loaded.spec


def claim(  # noqa: PLR0913  # the terms of the claim
    root: Root,
    view: View,
    spec: Spec,
    *,
    owner: Owner,
    ttl_s: float = 0.0,
    tier: str = "",
    slots: int = 0,
    engine: str = "",
    known: Sequence[tuple[int, str]] | None = None,
) -> Lease:
    """Take the next generation. Inside the section in which the view was looked at: a pause comes before or after.

    `slots` is how many runs may be under way, where a person said so; otherwise it is the SPEC's. Two chunks of one
    training would go on from the same state, whatever a person says. `known`: its claims, where they were looked at in
    this section already.
    """
    here = spec.for_tier(tier or view.tier)
    roles, moment = here.worker_roles, root.world.now()
    return leases.take(
        root,
        view.experiment,
        owner=owner,
        name_run=lambda generation: ids.new_run_id(moment, roles[(generation - 1) % len(roles)]),
        after=view.generation,
        slots=1 if is_chain(spec) else slots or here.max_parallel,
        # A run that ends on time must still be able to seal, even if nobody renews its lease meanwhile.
        ttl_s=ttl_s or max(here.time_budget_s + here.kill_grace_s + SEAL_GRACE_S, DEFAULT_TTL_S),
        engine=engine,
        known=known,
    )


def opened(root: Root, lease: Lease, view: View, spec: Spec, spec_sha256: str, errand: Errand) -> Running:
    """The bundle of a claimed run. When it cannot be made, the claim is given up for somebody else to settle.

    Inside the section of the claim: who is stopped in between and loses the lease must not begin after all.
    """
    tier = errand.tier or view.tier
    here = scripts.renamed(spec.for_tier(tier))
    if errand.seed is not None:
        here = msgspec.structs.replace(here, seed=errand.seed)
    where = places.workspace(root, here, view)
    commit = revision.of(where) if where else ""
    manifest = _manifest(root, lease, here, tier, spec_sha256, errand, commit)
    exchange = _asked(root, view.experiment, errand.origin)
    order = None if errand.order is None else msgspec.structs.replace(errand.order, run_id=manifest.run_id)
    plan = _plan(manifest, here, errand.plan, order, with_exchange=bool(exchange))
    texts = {layout.PLAN: plan, **exchange, **given(errand.params, order)}
    try:
        for told in errand.events:
            ledger.append(root, told)
        if order is not None and order.number:
            from lab.scheduler.chaining import decided  # noqa: PLC0415  # for trainings alone

            ledger.append(root, decided.told(view, order, lease.claim, ts=root.now(), why=errand.why))
        path = bundles.open_bundle(root, manifest, texts)
    except FileExistsError:
        lease.abandon(root)
        what = f"another run of {view.experiment} began in the same microsecond"
        raise Busy(what, fix="try again") from None
    except (OSError, LabError):
        lease.abandon(root)
        raise
    return Running(
        lease=lease, manifest=manifest, spec=here, path=path, params=errand.params, handed=errand.handed, order=order
    )  # fmt: skip


def given(params: Mapping[str, object] | None, order: Order | None) -> dict[str, bytes]:
    """The files by which a run is told what it is to do, by name."""
    told = {} if params is None else {layout.PARAMS: canonical.page(dict(params))}
    return told if order is None else {**told, chunk.ORDER: page(order)}


def reattached(root: Root, experiment: str, run_id: str, spec: Spec) -> Running:
    """A run that another process began, for this one to bring to its end. `spec` is the SPEC that it was begun under.

    `Superseded` when its lease was lost meanwhile.
    """
    path = root.layout.run(experiment, run_id)
    manifest = bundles.load_manifest(path)
    if manifest is None:
        raise NotFound(f"there is no run {run_id}", where=path, fix=f"labctl list {experiment} shows the runs")
    lease = leases.held(root, experiment, manifest.generation)
    written = reading.read(f"{path}/{layout.PARAMS}")
    params = rows.parameters(written, f"{path}/{layout.PARAMS}")
    here = scripts.renamed(spec.for_tier(manifest.fidelity_tier))
    if manifest.seed is not None:
        here = msgspec.structs.replace(here, seed=manifest.seed)
    ordered = reading.read(f"{path}/{chunk.ORDER}")
    order = None if ordered is None else parse(Order, ordered, f"{path}/{chunk.ORDER}")
    return Running(lease=lease, manifest=manifest, spec=here, path=path, params=params, order=order)


def finish(root: Root, running: Running, ended: Ended) -> Seal:
    """Close, seal, record, fold and release. `Superseded` when the lease was lost: the bundle is kept, not counted.

    When the disk refuses a step, the run is given up for somebody else to settle, and the error goes on to the caller.
    """
    made, subject = sealed(root, running, ended)
    with suppress(OSError):  # the run is sealed, which is what was asked; `status` counts it in without these pages
        refresh.lab_pages(root, (subject,))
    return made


def sealed(root: Root, running: Running, ended: Ended) -> tuple[Seal, Subject]:
    """`finish`, but for the lab's own two pages: who ends many runs writes those once."""
    closed = closing.told(root, running.manifest, ended)
    try:
        if gone := bundles.made_anew(root, running.manifest):
            ended = taken_away(ended, gone)
            closed = closing.told(root, running.manifest, ended)
        return _sealed(root, running, closed, ended)
    except Superseded:
        raise
    except Busy as busy:
        running.lease.abandon(root)
        raise _kept(closed, busy) from busy
    except (OSError, LabError):
        running.lease.abandon(root)
        raise


def _kept(closed: Manifest, busy: Busy) -> Busy:
    """That a run has ended and nothing of it is lost, for whoever is told that somebody was in the way of its seal."""
    value = "" if closed.value is None else f" ({closed.metric or 'value'}: {closed.value!r})"
    ended = f"{closed.run_id} ended as {closed.status}{value}"
    what = f"{ended}; it and what it reported are kept, and the next turn seals it: {busy.what}"
    return Busy(what, where=busy.where, fix=f"labctl watchdog --repair seals it too, once that is over; {busy.fix}")


def taken_away(ended: Ended, why: str) -> Ended:
    """The end of a run whose bundle is gone. It has failed: a program that does so would run for ever else."""
    return msgspec.structs.replace(ended, outcome=FAILED, value=None, verdict="", reason=why, note="", result="")


def _sealed(root: Root, running: Running, manifest: Manifest, ended: Ended) -> tuple[Seal, Subject]:
    durability = running.spec.durability
    _put_right(root, running)
    closing.close(root, manifest, ended)
    beat = Renewal(root, running.lease)
    stock = contents.take_stock(root, manifest.experiment, manifest.run_id, durability=durability, beat=beat)
    with root.section(manifest.experiment):
        try:
            running.lease.check()
        except Superseded as lost:
            bundles.supersede(root, manifest.experiment, manifest.run_id, manifest.generation, lost.what)
            raise
        running.lease.mend(root)
        made = bundles.publish(
            root,
            manifest.run(),
            manifest.generation,
            sealed_by=manifest.owner.name,
            durability=durability,
            contents=stock,
        )
        subject = refresh.catch_up(root, manifest.experiment)
        running.lease.release(root)
    return made, subject


def _put_right(root: Root, running: Running) -> None:
    """Undo what a run did to the lab's own files in its bundle: what is sealed is what was asked of it."""
    root.files.unlock(running.path)  # the run may have locked its own bundle
    bundles.set_seal_aside(root, running.path)
    if running.manifest.executor == IN_PROCESS:
        bundles.set_own_metrics_aside(root, running.path)
    if running.params is not None:
        root.files.replace(f"{running.path}/{layout.PARAMS}", canonical.page(dict(running.params)))
    order_again(root, running, running.path)
    if not os.path.islink(f"{running.path}/{layout.MODEL}"):
        for name, data in _asked(root, running.manifest.experiment, running.manifest.origin).items():
            root.files.replace(f"{running.path}/{name}", data)


def order_again(root: Root, running: Running, path: str) -> None:
    """What a chunk was told to do, as it was told: by it its run is judged, whatever the run made of the file."""
    if running.order is None:
        return
    place, told = f"{path}/{chunk.ORDER}", page(running.order)
    if os.path.islink(place) or reading.read(place) != told:
        root.files.replace(place, told)


def _asked(root: Root, experiment: str, origin: Origin | None) -> dict[str, bytes]:
    """What was asked of a model before a run, and what it said, for the bundle of the run."""
    if origin is None or not origin.ask:
        return {}
    from lab.scheduler.search.asking import asks  # noqa: PLC0415  # most runs come of no question to a model

    return asks.bundled(root, experiment, origin.ask)


def _manifest(  # what is known of a run before it begins
    root: Root, lease: Lease, spec: Spec, tier: str, spec_sha256: str, errand: Errand, commit: str
) -> Manifest:
    claim = lease.claim
    return Manifest(
        run_id=claim.run_id,
        experiment=claim.experiment,
        iteration=claim.generation,
        role=claim.run_id.split("-", 4)[-1],
        fidelity_tier=tier,
        executor=spec.executor,
        executor_class=spec.executor_class,
        lease_id=claim.lease_id,
        generation=claim.generation,
        metric=spec.metric,
        metric_direction=spec.metric_direction,
        time_budget_s=spec.time_budget_s,
        spec_sha256=spec_sha256,
        owner=claim.owner,
        labctl_version=__version__,
        started_at=root.now(),
        durability=spec.durability,
        proposal=errand.proposal,
        package=errand.package,
        worker=errand.worker,
        origin=errand.origin,
        seed=spec.seed,
        revision=commit,
    )


def _plan(manifest: Manifest, spec: Spec, plan: str, order: Order | None, *, with_exchange: bool) -> bytes:
    text = plan or (
        f"# Plan of {manifest.run_id}\n\n- goal: {spec.goal or '(none given)'}\n- metric: {spec.metric or 'value'}, "
        f"{spec.metric_direction}\n- role: {manifest.role}\n- tier: {manifest.fidelity_tier}\n"
        f"- budget: {manifest.time_budget_s:g}s\n"
    )
    if order is not None:
        from lab.scheduler.chaining import decided  # noqa: PLC0415  # for trainings alone

        text += f"- training: {decided.extent(order)}\n"
    if manifest.origin is not None:
        text += _choice(manifest.origin, with_exchange=with_exchange)
    return text.encode()


def _choice(origin: Origin, *, with_exchange: bool) -> str:
    """Who chose the parameters, and on what grounds."""
    who = "/".join(word for word in (origin.strategy, origin.arm) if word) or origin.kind
    if origin.kind in _OF_CHUNKS:
        lines = [f"- parameters: {_OF_CHUNKS[origin.kind]}, {origin.place}"]
    else:
        lines = [f"- parameters: by {who}, {origin.place} of the search with seed {origin.seed}"]
    if origin.kind:
        lines.append(f"- kind: {origin.kind}")
    if origin.parents:
        lines.append(f"- made from: {', '.join(origin.parents)}")
    if origin.note:
        lines.append(f"- note: {origin.note}")
    if origin.ask:
        where = "which lies in llm/" if with_exchange else "whose file is gone or damaged: labctl verify"
        lines.append(f"- asked: {origin.ask}, {where}")
    if origin.expected is not None:
        lines.append(f"- expected: {origin.expected!r}, from {origin.base!r}")
    return "".join(f"{line}\n" for line in lines)
