"""Settle what dead holders left behind, before anybody goes on.

A claim that is lost is moved to `.superseded` first: from then on its holder cannot seal. Then its run is settled and
the claim forgotten. Each step may be the last one before a crash; the next caller goes on from the place it finds.
Digesting a bundle takes as long as it is large, and happens outside the section: the live runs beside it must seal.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import event, job, layout
from lab.core.claim import ADOPT, FORGET, SEAL, WAIT, Claim, Owner, Remains, judge_remains
from lab.core.errors import Busy, Corrupt, NotFound
from lab.core.manifest import RUNNING, Manifest
from lab.core.run import CANCELLED, CRASH, FAILED, TIMEOUT
from lab.core.seal import Seal, SealedFile
from lab.scheduler import claim_taken, closing, refresh
from lab.store import bundles, contents, jobs, leases, ledger, ledgers, machine, packages, reading, standing
from lab.store.sections import hold

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from lab.core.claim import Lost
    from lab.core.subject import Subject
    from lab.store.root import Root

WATCHDOG = "watchdog"
_DAMAGED_MANIFEST = "manifest.damaged"
_PATIENCE_LOOKS, _LOOK_EVERY_S = 20, 0.1
# What an engine says of a job whose processes are gone, and what the run then is. Of the other ends nothing is known.
_SURELY_OVER = {
    job.DONE: CRASH, job.FAILED: CRASH, job.MEMORY: FAILED, job.TIME: TIMEOUT, job.CANCELLED: CANCELLED,
}  # fmt: skip


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What was done about one run that its holder did not finish."""

    experiment: str
    run_id: str
    what: str


class Orphan(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose holder cannot finish it, as its claim or its manifest tells of it."""

    experiment: str
    run_id: str
    generation: int
    owner: Owner
    abandoned: bool = False
    engine: str = ""
    ended: str = ""  # the word for how it was taken from its engine: core/job.py
    why: str = ""

    @property
    def gone(self) -> bool:
        """Whether nobody will go on with it: its owner gave up, is proven dead, or its engine ended all of it."""
        return self.abandoned or self.ended in _SURELY_OVER or machine.alive(self.owner) is False

    @property
    def who(self) -> str:
        if self.engine:
            return f"its body at {self.engine}"
        return f"{self.owner.name or 'its owner'} on {self.owner.host} (pid {self.owner.pid})"


class _Ready(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done, and, for a bundle that is to be sealed, what will be sealed."""

    verdict: str
    manifest: Manifest | None = None
    stock: dict[str, SealedFile] = {}


def reclaim(root: Root, experiment: str, beat: contents.Beat = contents.nothing) -> list[Settled]:
    """Take over every lost claim of an experiment and settle its run. Touches nothing that may be alive."""
    seen = leases.survey(root, experiment)
    if not seen.lost and not seen.unsettled:
        return []
    with root.section(experiment):
        for lost in leases.survey(root, experiment).lost:  # looked at again: somebody may have been quicker
            if not packages.speaks_for(root, lost.seen.claim):  # it is done, and waits to be ingested
                _take_over(root, lost)
    done: list[Settled] = []
    with settling(root, experiment):
        for item in leases.survey(root, experiment).unsettled:
            orphan = _of_claim(root, item.claim, abandoned=item.abandoned)
            what = settle(root, orphan, beat)
            if what:
                with root.section(experiment):
                    if _is_untold(root, orphan):
                        jobs.keep_printed(root, experiment, orphan.generation)
                    leases.settle(root, item)
                done.append(Settled(experiment=experiment, run_id=orphan.run_id, what=what))
    subject: Subject | None = None
    if reading.is_folder(root.layout.experiment(experiment)):
        with root.section(experiment):
            subject = refresh.catch_up(root, experiment)
    if subject is not None:
        refresh.lab_pages(root, (subject,))
    return done


def make_way(root: Root, experiment: str, beat: contents.Beat = contents.nothing) -> list[Settled]:
    """Settle what is lost before a new run, and refuse to begin one beside processes that could not be ended."""
    if standing.all_are_with_engines(root, experiment):
        return []
    seen = leases.survey(root, experiment)
    if not seen.lost and not seen.unsettled:
        return []
    done = reclaim(root, experiment, beat)
    refuse_while_writing(root, experiment)
    return done


def refuse_while_writing(root: Root, experiment: str) -> None:
    """`Busy` while processes of a lost run still work in its bundle: no second run beside them."""
    for item in leases.survey(root, experiment).unsettled:
        pids = machine.writers(root.layout.run(experiment, item.claim.run_id)) if item.claim.run_id else []
        if pids:
            shown = ", ".join(map(str, pids[:5]))
            what = f"processes of the lost run {item.claim.run_id} still write to it (pid {shown})"
            raise Busy(what, fix=f"end them: kill {shown.replace(',', '')}; then: labctl watchdog --repair")


def broken(root: Root, experiment: str, generation: int, *, actor: str, reason: str = "") -> list[Settled]:
    """Take one claim away on somebody's word: without a `reason`, a person's, who has seen it, so it is no loss.

    Its holder, if it lives after all, cannot seal any more.
    """
    with root.section(experiment):
        told = event.Event(
            type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=experiment, generation=generation,
            reason=reason or "broken by a person", actor=actor, facts={} if reason else {"person": True},
        )  # fmt: skip
        if not claim_taken.take(root, told):
            fix = f"labctl lease show {experiment} lists the claims"
            raise NotFound(f"{experiment} has no claim of generation {generation}", fix=fix)
    return reclaim(root, experiment)


def settling(root: Root, experiment: str) -> AbstractContextManager[None]:
    """Be the only one who settles this experiment's runs. Beside the section, which live runs need to seal.

    Two at it would undo each other: the second would take the first one's seal for something that the run had written.
    """
    return hold(root.layout.settling(experiment))


def settle(root: Root, orphan: Orphan, beat: contents.Beat = contents.nothing) -> str:
    """Bring one run to an end. The caller is `settling`. Returns what was done; empty when it has to wait."""
    path = root.layout.run(orphan.experiment, orphan.run_id)
    if orphan.run_id and (reading.is_folder(path) or bundles.not_a_folder_aside(root, path)):
        root.files.unlock(path)
        if orphan.gone:
            _end_leftovers(path)
    ready = _prepare(root, orphan, beat)
    with root.section(orphan.experiment):
        return _finish(root, orphan, ready)


def _end_leftovers(path: str) -> None:
    """End what a dead holder's run left running here.

    Its supervisor, if there is one, gets a moment to do it itself: it also writes down how the run ended.
    """
    from lab.executors import leftovers  # noqa: PLC0415  # only where a holder died

    for _ in range(_PATIENCE_LOOKS):
        if not machine.writers(path):
            break
        time.sleep(_LOOK_EVERY_S)
    leftovers.end(path)


def _prepare(root: Root, orphan: Orphan, beat: contents.Beat) -> _Ready:
    """Judge what was left, and close and digest what is to be sealed. Outside the section: it may take long."""
    verdict = judge_remains(_remains(root, orphan, beat))
    if verdict != SEAL:
        return _Ready(verdict=verdict)
    path = root.layout.run(orphan.experiment, orphan.run_id)
    bundles.set_seal_aside(root, path)
    manifest = closing.believed(path, _manifest(root, path, orphan))
    said = _by_engine(root, orphan) if orphan.ended in (job.TIME, job.MEMORY, job.CANCELLED) else None
    ended = closing.left_behind(path, manifest, said) if manifest.status == RUNNING else None
    if ended is not None:
        manifest = closing.told(root, manifest, ended)
        closing.close(root, manifest, ended)
    else:
        manifest = _brought_to_an_end(root, orphan, manifest)
    # A body that an engine could not reach, and that comes back, holds its files open.
    stock = contents.take_stock(root, orphan.experiment, orphan.run_id, apart=bool(orphan.engine), beat=beat)
    return _Ready(verdict=SEAL, manifest=manifest, stock=stock)


def _brought_to_an_end(root: Root, orphan: Orphan, manifest: Manifest) -> Manifest:
    """Close a run of which nobody knows how it ended, or whose end is in its manifest already."""
    if manifest.status == RUNNING:
        by_engine = bool(orphan.ended) and not orphan.abandoned
        outcome, reason = _by_engine(root, orphan) if by_engine else (CRASH, manifest.reason or _died(orphan))
        began_s = _began_s(root, orphan)
        manifest = msgspec.structs.replace(
            closing.used(root.layout.run(orphan.experiment, orphan.run_id), manifest),
            status=outcome,
            value=None,
            completed_at=root.now(),
            reason=reason,
            wall_s=_lived_s(root, orphan, began_s),
            # One that was cancelled in the queue of its engine is no iteration: nothing of it ever ran.
            started_at="" if outcome == CANCELLED and began_s is None else manifest.started_at,
        )
    result = (
        f"# {orphan.run_id}\n\nOutcome: {manifest.status}\nWhy: {manifest.reason or 'sealed after its owner died'}\n"
    )
    metrics: dict[str, object] = {"metric": manifest.metric, "value": manifest.value}
    bundles.close(root, manifest, result=result, metrics=metrics)
    return manifest


def _began_s(root: Root, orphan: Orphan) -> float | None:
    """When it began, by the clock of the file server; None for one that never did, or of which that is not known."""
    begun = f"{root.layout.run(orphan.experiment, orphan.run_id)}/{layout.MANIFEST}"
    if orphan.engine:
        begun = root.layout.claim(orphan.experiment, orphan.generation, layout.STARTED_SUFFIX)
    return _stamped_s(begun)


def _lived_s(root: Root, orphan: Orphan, began_s: float | None) -> float:
    """How long it ran for sure: until its claim was renewed for the last time. It may have been 20 s more."""
    taken = (layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX)
    found = (_stamped_s(root.layout.claim(orphan.experiment, orphan.generation, suffix)) for suffix in taken)
    last_s = max((each for each in found if each is not None), default=0.0)
    return 0.0 if began_s is None else round(max(last_s - began_s, 0.0), 6)


def _stamped_s(path: str) -> float | None:
    try:
        return os.stat(path).st_mtime
    except FileNotFoundError:
        return None


def _died(orphan: Orphan) -> str:
    if orphan.abandoned:
        return f"{orphan.who} gave up before the run had ended: the disk refused it"
    return f"{orphan.who} died before the run had ended"


def _by_engine(root: Root, orphan: Orphan) -> tuple[str, str]:
    """How a run ended whose job its engine ended, and where the words of a body are that could not tell the lab.

    The words themselves are not sealed: what `setup` printed may be a secret, and no log of the lab would show it.
    """
    return _SURELY_OVER.get(orphan.ended, CRASH), f"{orphan.why}{_where_printed(root, orphan)}"


def _where_printed(root: Root, orphan: Orphan) -> str:
    printed = reading.size_of(jobs.output(root, orphan.experiment, orphan.generation)) > 0
    kept = f"registry/locks/{orphan.experiment}/{orphan.generation:08d}{layout.PRINTED_SUFFIX}"
    return f"; what it printed is in {kept}" if printed and orphan.ended not in ("", job.CANCELLED) else ""


def _is_untold(root: Root, orphan: Orphan) -> bool:
    """Whether no body told how the run ended, so that what its job printed may say it."""
    if not orphan.ended or orphan.ended == job.CANCELLED:
        return False
    try:
        found = bundles.load_seal(root.layout.run(orphan.experiment, orphan.run_id))
    except Corrupt:
        return True
    return found is None or found[0].sealed_by == WATCHDOG


def _finish(root: Root, orphan: Orphan, ready: _Ready) -> str:
    path = root.layout.run(orphan.experiment, orphan.run_id)
    if ready.verdict == FORGET:
        return "it had not begun; nothing was lost"
    if ready.verdict == WAIT:
        return ""
    if ready.verdict == ADOPT:
        found = bundles.load_seal(path)
        return adopt(root, *found) if found is not None else ""
    if ready.verdict == SEAL and ready.manifest is not None:
        bundles.publish(root, ready.manifest.run(), orphan.generation, sealed_by=WATCHDOG, contents=ready.stock)
        how = "its owner gave up" if orphan.abandoned else orphan.why if orphan.ended else "its owner is gone"
        return f"{how}; sealed as {ready.manifest.status}"
    bundles.set_seal_aside(root, path)
    reason, how = "its holder did not renew the lease, and may still be writing", "its holder was silent"
    if orphan.engine:
        how = orphan.why or f"its claim was taken from {orphan.engine}"
        reason = how if _began_s(root, orphan) is None else f"{how}, and its processes may live on"
        reason += _where_printed(root, orphan)
    bundles.supersede(root, orphan.experiment, orphan.run_id, orphan.generation, reason)
    return f"{how}; the bundle is kept, marked superseded, and not counted"


def adopt(root: Root, made: Seal, data: bytes) -> str:
    """Write the ledger line of a seal whose maker died before it could."""
    run = made.run
    if ledger.tells(root, event.RUN_SEALED, run.experiment, run.run_id):
        return "it was sealed and recorded"
    why, other = "its maker died between the seal and this line", ledgers.telling(root, run, data)
    bundles.record(root, made, data, durability="full", reason=why, kept_ledger=other)
    return "it was sealed; its ledger line was written"


def _take_over(root: Root, lost: Lost) -> None:
    claim = lost.seen.claim
    told = event.Event(
        type=event.LEASE_TAKEN_OVER, ts=root.now(), experiment=claim.experiment, run_id=claim.run_id,
        generation=claim.generation, reason=lost.proof, actor=WATCHDOG,
    )  # fmt: skip
    claim_taken.take(root, told)


def _of_claim(root: Root, claim: Claim, *, abandoned: bool) -> Orphan:
    told = _job(root, claim) if claim.engine else None
    if told is not None and not told.ended and not abandoned:  # a person took it: its job still waits
        from lab.store import strays  # noqa: PLC0415  # only where an engine had it

        strays.suspect(root, claim.engine, told.wants.address)
    return Orphan(
        experiment=claim.experiment,
        run_id=claim.run_id,
        generation=claim.generation,
        owner=claim.owner,
        abandoned=abandoned,
        engine=claim.engine,
        ended=told.ended if told is not None else "",
        why=told.why if told is not None else "",
    )


def _job(root: Root, claim: Claim) -> job.Job | None:
    try:
        return jobs.load(root, claim.experiment, claim.generation)
    except Corrupt:  # then nothing is known of its end
        return None


def _remains(root: Root, orphan: Orphan, beat: contents.Beat) -> Remains:
    path = root.layout.run(orphan.experiment, orphan.run_id)
    own = bool(orphan.run_id) and reading.is_folder(path) and _is_own(root, path, orphan)
    return Remains(
        own=own,
        sealed=own and _is_sealed(path, orphan, beat),
        marked=own and reading.is_file(f"{path}/{layout.SUPERSEDED}"),
        gone=orphan.gone,
        writing=own and bool(machine.writers(path)),
    )


def _is_own(root: Root, path: str, orphan: Orphan) -> bool:
    """Whether the bundle is this generation's. One whose manifest cannot be read is, if nobody else speaks for it."""
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt:
        manifest = None
    if manifest is not None:
        return manifest.generation == orphan.generation
    held = leases.survey(root, orphan.experiment).held
    return all(other.seen.claim.run_id != orphan.run_id for other in held)


def _is_sealed(path: str, orphan: Orphan, beat: contents.Beat) -> bool:
    try:
        found = bundles.load_seal(path)
    except Corrupt:
        return False
    if found is None or (found[0].run.experiment, found[0].generation) != (orphan.experiment, orphan.generation):
        return False
    from lab.store import verify  # noqa: PLC0415  # only where a holder died

    changed = next(verify.changed(path, orphan.run_id, found[0], beat), None)
    return changed is None


def _manifest(root: Root, path: str, orphan: Orphan) -> Manifest:
    """The bundle's manifest, or one from what the claim knows when the run has spoilt it (which is kept beside)."""
    blank = Manifest(
        run_id=orphan.run_id, experiment=orphan.experiment, generation=orphan.generation,
        iteration=orphan.generation, owner=orphan.owner, role=orphan.run_id.split("-", 4)[-1],
    )  # fmt: skip
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt:
        manifest = None
    if manifest is None and os.path.lexists(f"{path}/{layout.MANIFEST}"):
        root.files.move(f"{path}/{layout.MANIFEST}", f"{path}/{_DAMAGED_MANIFEST}")
    if manifest is None or (manifest.run_id, manifest.experiment) != (orphan.run_id, orphan.experiment):
        return blank
    return manifest
