"""Look for what is not as it should be, and mend what can be mended without touching anything that may be alive.

`look` only reads. `repair` settles dead claims. `recover` goes further, on a person's word: it adopts seals that
the ledger does not know, ends torn lines, and moves aside what cannot be read. Nothing is deleted: `scratch/aside`
keeps it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import chunk, event, layout, package
from lab.core.claim import DEFAULT_TTL_S
from lab.core.errors import Corrupt, LabError
from lab.core.subject import Finding
from lab.projections import index
from lab.scheduler import reclaim, refresh, seen
from lab.scheduler.dispatch import mend
from lab.scheduler.reclaim import Settled
from lab.scheduler.refresh import Refreshed
from lab.store import bundles, contents, experiments, leases, ledger, leftovers, machine, reading, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.store.leases import Survey
    from lab.store.root import Root

LOW_DISK_GB = 5.0
_GB = 1e9
_OURS = (layout.EXIT, layout.PARAMS, chunk.ORDER)  # what labctl itself writes into the folder of a worker's run
_UNHEARD_S = 3600.0  # a schedule comes every few minutes, and a body renews its claim every 20 s


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What the watchdog saw."""

    free_gb: float
    alerts: tuple[Finding, ...]
    live: tuple[str, ...]  # experiments that somebody is working on: left alone


class Recovered(msgspec.Struct, frozen=True, kw_only=True):
    """What recovery did, in words, and what the pages are now."""

    done: tuple[str, ...]
    left: tuple[str, ...]
    under_way: int  # runs that somebody is at: no leftovers
    refreshed: Refreshed


def free_gb(root: Root) -> float:
    """Free space of the disk that the lab lies on."""
    room = os.statvfs(root.layout.root)
    return round(room.f_bavail * room.f_frsize / _GB, 1)


def look(root: Root) -> Report:
    """Everything that wants attention, without touching anything."""
    alerts: list[Finding] = []
    live: list[str] = []
    room = free_gb(root)
    if room < LOW_DISK_GB:
        what = f"only {room} GB are free"
        alerts.append(Finding(what=what, where=".", fix="free some space before runs start to fail"))
    for name in experiments.names(root):
        claims = leases.survey(root, name)
        if claims.held:
            live.append(name)
        alerts.extend(_claims(name, claims))
        alerts.extend(unheard(root, name, claims))
        alerts.extend(seen.on_pages(root, name))
        alerts.extend(seen.gone(root, name, claims))
    for name in experiments.strangers(root):
        what = "this is not an experiment"
        alerts.append(Finding(what=what, where=f"experiments/{name}", fix="move it elsewhere; labctl leaves it alone"))
    if ledger.torn_tail(root):
        what = "the ledger's last line was cut off by a crash"
        alerts.append(Finding(what=what, where="registry/events.jsonl", fix="labctl recover ends the line"))
    told = index.parse(reading.read(root.layout.index) or b"")
    if told is None or seen.is_behind(root, told.ledger.end):
        what = "the pages are behind the ledger"
        alerts.append(Finding(what=what, where="LAB-INDEX.json", fix="labctl refresh"))
    return Report(free_gb=room, alerts=tuple(alerts), live=tuple(live))


def repair(root: Root) -> list[Settled]:
    """Settle every dead claim. What may be alive is not touched, and one experiment's trouble stops no other."""
    done = [Settled(experiment=said.experiment, run_id=said.run_id, what=said.what) for said in mend.mend(root)]
    for name in _claimed(root):
        try:
            done.extend(reclaim.reclaim(root, name))
        except LabError as error:
            done.append(Settled(experiment=name, run_id="", what=f"not settled: {error.what}"))
        except OSError as error:
            if not _is_its_own(root, error):
                raise
            done.append(Settled(experiment=name, run_id="", what=f"not settled: {refusals.refused(error).what}"))
    return done


def recover(root: Root, *, progress: Callable[[int, int], None] | None = None) -> Recovered:
    """Bring a lab back from anything, and say what was done. A healthy lab stays as it is, byte for byte."""
    for name in layout.FOLDERS:
        root.files.folder(root.layout.place(name))
    refresh.note_cut(root)
    done = [f"{item.experiment}/{item.run_id or '-'}: {item.what}" for item in repair(root)]
    left: list[str] = []
    done.extend(_end_torn_line(root))
    for name in _claimed(root):
        _damaged_claims(root, name, done, left)
    known = _known(root)
    under_way = 0
    for name in experiments.names(root):
        try:
            under_way += _experiment(root, name, known, done, left)
        except LabError as error:
            left.append(f"{name}: {error.what}")
        except OSError as error:
            if not _is_its_own(root, error):
                raise
            left.append(f"{name}: {refusals.refused(error).what}")
    done.extend(_drafts(root))
    pages = refresh.everything(root, progress=progress)
    return Recovered(done=tuple(done), left=tuple(left), under_way=under_way, refreshed=pages)


def _is_its_own(root: Root, error: OSError) -> bool:
    """Whether a refusal is this experiment's own trouble; one that may not be locked at all is everybody's."""
    return reading.is_local(error) and not str(error.filename or "").startswith(root.layout.place("registry"))


def _experiment(root: Root, name: str, known: _Known, done: list[str], left: list[str]) -> int:
    """What the ledger does not know of one experiment. Returns how many of its runs somebody is at."""
    if name not in known.created:
        with root.section(name):
            _announce(root, name, done)
    unknown = [run_id for run_id in bundles.names(root, name) if (name, run_id) not in known.sealed]
    return sum(_bundle(root, name, run_id, done, left) for run_id in unknown)


def _claims(experiment: str, seen: Survey) -> Iterator[Finding]:
    where = f"registry/locks/{experiment}"
    for lost in seen.lost:
        claim = lost.seen.claim
        what = f"{experiment}: the lease of {claim.owner.name} (pid {claim.owner.pid}) is lost: {lost.proof}"
        yield Finding(what=what, where=where, fix="labctl watchdog --repair")
    for item in seen.unsettled:
        what = f"{experiment}: generation {item.claim.generation} lost its holder and its run is not settled yet"
        yield Finding(what=what, where=where, fix="labctl watchdog --repair")
    for bad in seen.damaged:
        what = f"{experiment}: claim {bad.generation:08d}{bad.suffix} cannot be read: {bad.problem}"
        yield Finding(what=what, where=where, fix="upgrade labctl" if bad.newer else "labctl recover")


def unheard(root: Root, experiment: str, seen: Survey) -> Iterator[Finding]:
    """Runs at engines of which nobody has heard for long: their body is silent, and nobody looked after them either."""
    placing = [held.seen.claim for held in seen.held if held.seen.claim.engine]
    if not placing:
        return
    from lab.scheduler.placing import placed  # noqa: PLC0415  # most labs have no engine

    now_s = leases.server_time(root)
    found = [each for claim in placing if (each := placed.look(root, claim, "")) and now_s - each.heard_s > _UNHEARD_S]
    if found:
        hours = (now_s - min(each.heard_s for each in found)) / 3600
        names = ", ".join(sorted({each.claim.engine for each in found}))
        what = f"{experiment}: {len(found)} of its runs at {names} were not looked after, the first for {hours:.0f} h"
        fix = "labctl run-once looks after them, and labctl doctor says whether the engine answers"
        yield Finding(what=what, where=f"registry/locks/{experiment}", fix=fix)


def _claimed(root: Root) -> list[str]:
    try:
        with os.scandir(root.layout.locks) as found:
            return sorted(entry.name for entry in found if entry.is_dir(follow_symlinks=False))
    except FileNotFoundError:
        return []


def _damaged_claims(root: Root, experiment: str, done: list[str], left: list[str]) -> None:
    """A claim that nobody can read. Moved aside only once its holder cannot be alive."""
    for bad in leases.survey(root, experiment).damaged:
        where = f"{experiment}: claim {bad.generation:08d}{bad.suffix}"
        if bad.newer:
            left.append(f"{where}: a newer labctl wrote it; left alone")
        elif _may_live(root, experiment, bad):
            left.append(f"{where}: it is damaged, and its holder may be alive; left alone")
        else:
            with root.section(experiment):
                done.append(_aside(root, root.layout.claim(experiment, bad.generation, bad.suffix)))
                # The number stays used: its holder may live after all, and must not meet somebody with the same one.
                released = root.layout.claim(experiment, bad.generation, layout.RELEASED_SUFFIX)
                root.files.replace(released, b"moved aside\n")


def _may_live(root: Root, experiment: str, bad: leases.Damaged) -> bool:
    """What the bundle of that generation says of its owner; without one, whether the claim is young."""
    for run_id in bundles.names(root, experiment):
        path = root.layout.run(experiment, run_id)
        if reading.is_file(f"{path}/{layout.SEAL}"):
            continue
        try:
            manifest = bundles.load_manifest(path)
        except Corrupt:
            continue
        if manifest is not None and manifest.generation == bad.generation:
            return machine.alive(manifest.owner) is not False
    seen = os.lstat(root.layout.claim(experiment, bad.generation, bad.suffix))
    return leases.server_time(root) - seen.st_mtime < DEFAULT_TTL_S


def _end_torn_line(root: Root) -> Iterator[str]:
    if not ledger.torn_tail(root):
        return
    told = event.Event(type=event.LEDGER_MENDED, ts=root.now(), actor="recover")
    ledger.append(root, told)
    yield "registry/events.jsonl: the last line was cut off by a crash; it was ended and noted"


class _Known(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger has told, read once: a lab with many bundles is not read through for each of them."""

    created: frozenset[str]
    sealed: frozenset[tuple[str, str]]


def _known(root: Root) -> _Known:
    told = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    created = frozenset(item.experiment for item in told if item.type == event.EXPERIMENT_CREATED)
    sealed = frozenset((item.experiment, item.run_id) for item in told if item.type == event.RUN_SEALED)
    return _Known(created=created, sealed=sealed)


def _announce(root: Root, experiment: str, done: list[str]) -> None:
    """An experiment whose maker died between its folder and its event."""
    loaded = experiments.load(root, experiment)
    if loaded.spec is None:
        return
    told = event.Event(
        type=event.EXPERIMENT_CREATED, ts=root.now(), experiment=experiment, actor="recover",
        tier=loaded.spec.initial_fidelity_tier, spec=loaded.sha256, reason="its maker died before this line",
    )  # fmt: skip
    ledger.append(root, told)
    done.append(f"{experiment}: its creation was recorded")


def _bundle(root: Root, experiment: str, run_id: str, done: list[str], left: list[str]) -> bool:
    """One bundle that the ledger did not know as sealed. Returns whether somebody holds its claim: it is under way."""
    where = f"{experiment}/{run_id}"
    path = root.layout.run(experiment, run_id)
    if reading.is_file(f"{path}/{layout.SUPERSEDED}"):
        return False
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt as error:
        if error.newer or reading.is_file(f"{path}/{layout.SEAL}") or _is_claimed(root, experiment, run_id):
            left.append(f"{where}: {error.what}; labctl verify names the file")
            return False
        manifest = None  # a power cut emptied it, and took its claim along
    if manifest is None:
        done.append(_aside(root, path))
        return False
    if any(each.seen.claim.generation == manifest.generation for each in leases.survey(root, experiment).held):
        return True
    if _spoken_for(root, experiment, manifest.generation):
        left.append(f"{where}: somebody may be working on it; left alone")
        return False
    if ledger.tells(root, event.RUN_SEALED, experiment, run_id):
        return False  # it ended well since the ledger was read
    orphan = reclaim.Orphan(experiment=experiment, run_id=run_id, generation=manifest.generation, owner=manifest.owner)
    with reclaim.settling(root, experiment):
        said = reclaim.settle(root, orphan)
    if said:
        done.append(f"{where}: {said}")
    else:
        left.append(f"{where}: processes that it started still write to it; left alone")
    return False


def _spoken_for(root: Root, experiment: str, generation: int) -> bool:
    """Whether a claim of this generation stands, readable or not."""
    suffixes = (layout.CLAIM_SUFFIX, layout.SUPERSEDED_SUFFIX, layout.ABANDONED_SUFFIX)
    return any(os.path.lexists(root.layout.claim(experiment, generation, suffix)) for suffix in suffixes)


def _is_claimed(root: Root, experiment: str, run_id: str) -> bool:
    """Whether somebody may be at a run whose own manifest does not say of which generation it is."""
    seen = leases.survey(root, experiment)
    claims = [each.seen.claim for each in seen.held] + [each.seen.claim for each in seen.lost]
    claims += [each.claim for each in seen.unsettled]
    if seen.damaged or any(claim.run_id == run_id for claim in claims):
        return True
    return bool(machine.writers(root.layout.run(experiment, run_id)))


def _drafts(root: Root) -> Iterator[str]:
    """Drafts that were never published, once nobody can be writing them any more."""
    now_s = leases.server_time(root)
    for folder, inside, names in os.walk(root.layout.root):
        drafts = [name for name in (*inside, *names) if layout.is_draft(name)]
        if f"/{layout.ARTIFACTS}/" in f"{folder.removeprefix(root.layout.root)}/":  # a program's own, but for these
            drafts = [name for name in drafts if contents.is_own_draft(name)]
        skipped = {os.path.basename(os.path.dirname(root.layout.aside)), *drafts}
        if _is_with_a_worker(root, folder):
            skipped.add(package.RUN)  # the worker's own folder, where it keeps what it likes
            drafts += _ends(folder, package.RUN)
        inside[:] = sorted(name for name in inside if name not in skipped)
        for name in drafts:
            owner = layout.draft_owner(name, machine.HERE_CHARS)
            try:
                old = leftovers.touched_ago_s(f"{folder}/{name}", now_s) > leftovers.OLD_S
            except FileNotFoundError:
                continue  # published while we looked
            if not _is_spent(owner, is_old=old) or _is_sealed(folder, name):
                continue
            with suppress(FileNotFoundError):  # its maker's successor was quicker
                yield _aside(root, f"{folder}/{name}")


def _is_spent(owner: tuple[str, int] | None, *, is_old: bool) -> bool:
    """Whether nobody is at a draft any more. Age is a proof of nothing where its maker can be seen to live."""
    if owner is None:
        return is_old
    return machine.is_gone(*owner) or (is_old and not machine.is_there(*owner))


def _ends(folder: str, run: str) -> list[str]:
    """Drafts in a folder of somebody else of what labctl itself writes there, whatever else it holds."""
    names = [each for each in _listed(f"{folder}/{run}") if layout.is_draft(each)]
    return [f"{run}/{each}" for each in names if each.startswith(tuple(f".{name}." for name in _OURS))]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


def _is_with_a_worker(root: Root, folder: str) -> bool:
    """Whether this lies in a package that somebody took. What is back in ready/ was taken by one who was killed."""
    dispatch = f"{root.layout.place('dispatch')}/"
    within = f"{folder}/"
    return within.startswith(dispatch) and not within.startswith(f"{dispatch}{package.READY}/")


def _is_sealed(folder: str, name: str) -> bool:
    """Whether a bundle's seal names it: then it belongs to the run, whatever it is called."""
    try:
        found = bundles.load_seal(folder) if reading.is_file(f"{folder}/{layout.SEAL}") else None
    except (Corrupt, OSError):
        return True  # nothing is moved out of a bundle that cannot be judged
    return found is not None and name in found[0].files


def _aside(root: Root, path: str) -> str:
    """Move something out of the way. Nothing is ever deleted."""
    stamp = root.now().replace(":", "").replace(".", "")
    name = os.path.basename(path).lstrip(".")
    root.files.folder(root.layout.aside)
    for number in range(1000):
        target = f"{root.layout.aside}/{stamp}-{number}-{name}"
        if not os.path.lexists(target):
            root.files.move(path, target)
            return f"{path.removeprefix(root.layout.root + '/')}: moved to scratch/aside/{os.path.basename(target)}"
    message = f"scratch/aside has a thousand things called {name}"
    raise LabError(message, where=root.layout.aside, fix="clear it out, then run labctl recover again")
