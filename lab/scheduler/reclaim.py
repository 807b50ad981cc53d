"""Settle what dead holders left behind, before anybody goes on.

A claim that is lost is moved to `.superseded` first: from then on its holder cannot seal. Then its run is settled and
the claim forgotten. Each step may be the last one before a crash; the next caller goes on from the place it finds.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, layout
from lab.core.errors import Corrupt, NotFound
from lab.core.manifest import RUNNING, Manifest
from lab.core.run import CRASH
from lab.scheduler import refresh
from lab.store import bundles, leases, ledger, machine, reading

if TYPE_CHECKING:
    from lab.core.claim import Lost, Owner
    from lab.core.seal import Seal
    from lab.core.subject import Subject
    from lab.store.leases import Unsettled
    from lab.store.root import Root

WATCHDOG = "watchdog"


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about one run that its holder did not finish."""

    experiment: str
    run_id: str
    what: str


def reclaim(root: Root, experiment: str) -> list[Settled]:
    """Take over every lost claim of an experiment and settle its run. Touches nothing that may be alive."""
    seen = leases.survey(root, experiment)
    if not seen.lost and not seen.unsettled:
        return []
    done: list[Settled] = []
    subject: Subject | None = None
    with root.section(experiment):
        for lost in leases.survey(root, experiment).lost:  # looked at again: somebody may have been quicker
            _take_over(root, lost)
        for item in leases.survey(root, experiment).unsettled:
            done.append(Settled(experiment=experiment, run_id=item.claim.run_id, what=_settle(root, item)))
            leases.settle(root, item)
        if os.path.isdir(root.layout.experiment(experiment)):
            subject = refresh.catch_up(root, experiment)
    if subject is not None:
        refresh.lab_pages(root, (subject,))
    return done


def broken(root: Root, experiment: str, generation: int, *, actor: str) -> list[Settled]:
    """Take one claim away on a person's word. Its holder, if it lives after all, cannot seal any more."""
    with root.section(experiment):
        if not leases.supersede(root, experiment, generation):
            fix = f"labctl lease show {experiment} lists the claims"
            raise NotFound(f"{experiment} has no claim of generation {generation}", fix=fix)
        told = event.Event(
            type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=experiment, generation=generation,
            reason="broken by a person", actor=actor,
        )  # fmt: skip
        ledger.append(root, told)
    return reclaim(root, experiment)


def _take_over(root: Root, lost: Lost) -> None:
    claim = lost.seen.claim
    if leases.supersede(root, claim.experiment, claim.generation):
        told = event.Event(
            type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=claim.experiment, run_id=claim.run_id,
            generation=claim.generation, reason=lost.proof, actor=WATCHDOG,
        )  # fmt: skip
        ledger.append(root, told)


def _settle(root: Root, item: Unsettled) -> str:
    """Bring one run to an end whose holder cannot. Returns what was done, for people."""
    claim = item.claim
    path = root.layout.run(claim.experiment, claim.run_id)
    if not claim.run_id or not os.path.isdir(path):
        return "it had not begun; nothing was lost"
    try:
        found = bundles.load_seal(path)
    except Corrupt:
        return "its seal cannot be read; left for labctl verify"
    if found is not None:
        return adopt(root, *found)
    if reading.is_file(f"{path}/{layout.SUPERSEDED}"):
        bundles.supersede(root, claim.experiment, claim.run_id, claim.generation, "its holder had lost its lease")
        return "its bundle was marked superseded"
    who = f"{claim.owner.name} on {claim.owner.host} (pid {claim.owner.pid})"
    if item.abandoned:
        why = f"{who} gave up before the run had ended: the disk refused it"
        return seal_left(root, path, claim.experiment, claim.run_id, claim.generation, claim.owner, why=why)
    if machine.alive(claim.owner) is False:
        why = f"{who} died before the run had ended"
        return seal_left(root, path, claim.experiment, claim.run_id, claim.generation, claim.owner, why=why)
    reason = "its holder did not renew the lease, and may still be writing"
    bundles.supersede(root, claim.experiment, claim.run_id, claim.generation, reason)
    return "its holder was silent; the bundle is kept, marked superseded, and not counted"


def adopt(root: Root, made: Seal, data: bytes) -> str:
    """Write the ledger line of a seal whose maker died before it could."""
    run = made.run
    if ledger.tells(root, event.RUN_SEALED, run.experiment, run.run_id):
        return "it was sealed and recorded"
    bundles.record(root, made, data, durability="full", reason="its maker died between the seal and this line")
    return "it was sealed; its ledger line was written"


def seal_left(root: Root, path: str, experiment: str, run_id: str, generation: int, owner: Owner, *, why: str) -> str:
    """Seal a bundle to which nobody writes any more, with whatever it holds.

    A run that had been closed keeps the outcome it was closed with: its work was done, only the seal was missing.
    """
    manifest = _manifest(root, path, experiment, run_id, generation, owner)
    if manifest.status == RUNNING:
        manifest = msgspec.structs.replace(manifest, status=CRASH, value=None, completed_at=root.now(), reason=why)
    result = f"# {run_id}\n\nOutcome: {manifest.status}\nWhy: {manifest.reason or 'sealed after its owner died'}\n"
    metrics: dict[str, object] = {"metric": manifest.metric, "value": manifest.value}
    bundles.close(root, manifest, result=result, metrics=metrics)
    stock = bundles.take_stock(root, experiment, run_id)
    bundles.publish(root, manifest.run(), generation, sealed_by=WATCHDOG, contents=stock)
    return f"its owner is gone; sealed as {manifest.status}"


def _manifest(root: Root, path: str, experiment: str, run_id: str, generation: int, owner: Owner) -> Manifest:
    """The bundle's manifest, or one from what the claim knows when the run has spoilt it (which is kept beside)."""
    blank = Manifest(
        run_id=run_id, experiment=experiment, generation=generation, iteration=generation, owner=owner,
        role=run_id.split("-", 4)[-1],
    )  # fmt: skip
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt:
        manifest = None
    if manifest is None and os.path.lexists(f"{path}/{layout.MANIFEST}"):
        root.files.move(f"{path}/{layout.MANIFEST}", f"{path}/manifest.damaged")
    if manifest is None or (manifest.run_id, manifest.experiment) != (run_id, experiment):
        return blank
    return manifest
