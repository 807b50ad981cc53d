"""One run, from its claim to its release. What happens in between (the executor) is the caller's.

claim -> bundle -> (the run) -> RESULT.md, metrics.json, manifest -> seal -> ledger -> fold -> pages -> release
A kill between any two of these costs at most the run in flight, and even that is kept (`reclaim`).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab import __version__
from lab.core import canonical, ids, layout
from lab.core.claim import DEFAULT_TTL_S, Owner
from lab.core.errors import BadInput, Busy, LabError, Superseded
from lab.core.manifest import Manifest
from lab.core.run import SUCCESS
from lab.core.spec import Spec
from lab.scheduler import decisions, reclaim, refresh
from lab.store import bundles, contents, experiments, leases
from lab.store.leases import Lease

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.ended import Ended
    from lab.core.seal import Seal
    from lab.core.subject import Subject
    from lab.store.root import Root

SEAL_GRACE_S = 120.0


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """A run under way: the right to it, what it set out to do, and where it writes."""

    lease: Lease
    manifest: Manifest
    spec: Spec
    path: str


def begin(
    root: Root, experiment: str, *, owner: Owner, params: Mapping[str, object] | None = None, plan: str = ""
) -> Running:
    """Claim the experiment and open the run's bundle. `Busy` when all its slots are taken by somebody alive."""
    experiments.require(root, experiment)
    reclaim.reclaim(root, experiment)
    reclaim.refuse_while_writing(root, experiment)
    with root.section(experiment):
        view, loaded = refresh.current(root, experiment)
        view = decisions.notice_edit(root, experiment, view, loaded)
    if loaded.spec is None:
        raise loaded.problem or BadInput(f"the SPEC of {experiment} cannot be used")
    spec = loaded.spec.for_tier(view.tier)
    roles = spec.worker_roles
    moment = root.world.now()
    lease = leases.take(
        root,
        experiment,
        owner=owner,
        name_run=lambda generation: ids.new_run_id(moment, roles[(generation - 1) % len(roles)]),
        after=view.generation,
        slots=spec.max_parallel,
        # A run that ends on time must still be able to seal, even if nobody renews its lease meanwhile.
        ttl_s=max(spec.time_budget_s + SEAL_GRACE_S, DEFAULT_TTL_S),
    )
    manifest = _manifest(root, lease, spec, view.tier, loaded.sha256)
    texts = {layout.PLAN: _plan(manifest, spec, plan)}
    if params is not None:
        texts[layout.PARAMS] = canonical.page(dict(params))
    try:
        path = bundles.open_bundle(root, manifest, texts)
    except FileExistsError:
        lease.abandon(root)
        raise Busy(f"another run of {experiment} began in the same microsecond", fix="try again") from None
    except (OSError, LabError):
        lease.abandon(root)
        raise
    return Running(lease=lease, manifest=manifest, spec=spec, path=path)


def finish(root: Root, running: Running, ended: Ended) -> Seal:
    """Close, seal, record, fold and release. `Superseded` when the lease was lost: the bundle is kept, not counted.

    When the disk refuses a step, the run is given up for somebody else to settle, and the error goes on to the caller.
    """
    closed = _closed(root, running.manifest, ended)
    try:
        made, subject = _sealed(root, running, closed, ended)
    except Superseded:
        raise
    except (OSError, LabError):
        running.lease.abandon(root)
        raise
    with suppress(OSError):  # the run is sealed, which is what was asked; `status` counts it in without these pages
        refresh.lab_pages(root, (subject,))
    return made


def _closed(root: Root, manifest: Manifest, ended: Ended) -> Manifest:
    """The manifest's last version, or `BadInput` for an end that no seal could tell; nothing is written then."""
    try:
        canonical.encode(ended.metrics)
        return _ended(root, manifest, ended)
    except ValueError as error:
        raise BadInput(f"a run cannot end so: {error}", where=manifest.run_id) from error


def _ended(root: Root, manifest: Manifest, ended: Ended) -> Manifest:
    return msgspec.structs.replace(
        manifest,
        status=ended.outcome,
        value=ended.value if ended.outcome == SUCCESS else None,
        verdict=ended.verdict,
        reason=canonical.plain(ended.reason),
        note=canonical.plain(ended.note),
        completed_at=root.now(),
        wall_s=ended.wall_s,
        cost=ended.cost,
        signals=ended.signals,
        usage=ended.usage,
    )


def _sealed(root: Root, running: Running, manifest: Manifest, ended: Ended) -> tuple[Seal, Subject]:
    durability = running.spec.durability
    root.files.unlock(running.path)  # the run may have locked its own bundle
    bundles.close(
        root, manifest, result=canonical.plain(ended.result) or result_text(manifest), metrics=_metrics(manifest, ended)
    )
    stock = contents.take_stock(root, manifest.experiment, manifest.run_id, durability=durability)
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


def result_text(manifest: Manifest) -> str:
    """The RESULT.md of a run that wrote none."""
    lines = [f"# {manifest.run_id}", "", f"Outcome: {manifest.status}"]
    if manifest.value is not None:
        lines.append(f"{manifest.metric or 'value'}: {manifest.value!r}")
    if manifest.reason:
        lines.append(f"Why: {manifest.reason}")
    if manifest.note:
        lines += ["", manifest.note]
    return "\n".join(lines) + "\n"


def _manifest(root: Root, lease: Lease, spec: Spec, tier: str, spec_sha256: str) -> Manifest:
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
    )


def _plan(manifest: Manifest, spec: Spec, plan: str) -> bytes:
    text = plan or (
        f"# Plan of {manifest.run_id}\n\n- goal: {spec.goal or '(none given)'}\n- metric: {spec.metric or 'value'}, "
        f"{spec.metric_direction}\n- role: {manifest.role}\n- tier: {manifest.fidelity_tier}\n"
        f"- budget: {manifest.time_budget_s:g}s\n"
    )
    return text.encode()


def _metrics(manifest: Manifest, ended: Ended) -> dict[str, object]:
    base: dict[str, object] = {"metric": manifest.metric, "value": manifest.value, "iteration": manifest.iteration}
    return {**ended.metrics, **base}
