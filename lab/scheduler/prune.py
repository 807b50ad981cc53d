"""Move whole old bundles into an archive, and bring them back.

The order of writes is the promise: the archive is written, read back and on the disk; then its companion; then the
ledger's line; and only then are the bundles taken away. Before the line, nothing has happened that the next prune does
not undo or go on with; after it, a bundle that is still there is one copy too many, and the next prune takes it.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from datetime import timedelta
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.errors import BadInput, Corrupt, NotFound, Unavailable
from lab.core.record import parse
from lab.core.seal import Seal
from lab.core.view import RECENT_RUNS
from lab.core.world import stamp
from lab.projections import pursued
from lab.scheduler import recorded, refresh
from lab.scheduler.results import choosing, table
from lab.store import archive_file, archives, bundles, contents, experiments, ledger, ledgers, reading, verify
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.view import View
    from lab.store.archives import Kept
    from lab.store.root import Root

_AT_ONCE = 1_000  # bundles that are taken out of sight in one section
_STAMP = slice(4, 26)  # RUN-[20261121-093000-000000]-scout


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What may go: runs older than `older_s`, and never the newest `keep` of an experiment."""

    keep: int = RECENT_RUNS
    older_s: float = 0.0


class Pruned(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with one experiment, or would be. `left` says which old runs stay, and why."""

    experiment: str
    runs: tuple[str, ...] = ()
    archive: str = ""
    sha256: str = ""
    size: int = 0
    left: tuple[str, ...] = ()


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """The bundles that were brought back; those that were there already are not among them."""

    experiment: str
    archive: str
    runs: tuple[str, ...]


class _Old(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A bundle that may be archived. Not its seal: of a hundred thousand runs they are 700 MB."""

    run_id: str
    seq: int  # of its anchor
    sealed_at: str
    seal_sha256: str
    size: int


class _Made(msgspec.Struct, frozen=True, kw_only=True):
    """An archive as the ledger tells of it."""

    head: archives.Head
    companion: str  # its SHA-256
    first: str
    last: str


def plan(root: Root, experiment: str, wish: Wish) -> Pruned:
    """What `prune` would do. No more is written than any look writes: pages that were behind the ledger."""
    old, left = _judged(root, experiment, wish)
    size = sum(item.size for item in old)
    return Pruned(experiment=experiment, runs=tuple(item.run_id for item in old), size=size, left=left)


def prune(root: Root, experiment: str, wish: Wish) -> Pruned:
    """Archive what may go. Hashing and copying happen outside the section: live runs must be able to seal."""
    experiments.require(root, experiment)
    with hold(root.layout.pruning(experiment)):
        _settle(root, experiment)
        old, left = _judged(root, experiment, wish)
        if not old:
            return Pruned(experiment=experiment, left=left)
        again = _archived_before(root, experiment, old)
        fresh = [item for item in old if item.run_id not in again]
        made = _archive(root, experiment, fresh) if fresh else None
        drafts = _take_away(root, experiment, old, made)
        archives.discard(root, drafts)
    refresh.lab_pages(root)
    gone = tuple(i.run_id for i in old if not reading.is_folder(root.layout.run(experiment, i.run_id)))
    if made is None:
        return Pruned(experiment=experiment, runs=gone, left=left)
    head = made.head
    return Pruned(experiment=experiment, runs=gone, archive=head.archive, sha256=head.sha256, size=head.size, left=left)


def _judged(root: Root, experiment: str, wish: Wish) -> tuple[list[_Old], tuple[str, ...]]:
    """The runs that may go, oldest first, and why others that are as old stay."""
    with root.section(experiment):
        view, _ = refresh.current(root, experiment)
    protected = _recommended(root, experiment, view) | _protected(view)
    before = stamp(root.world.now() - timedelta(seconds=wish.older_s))
    seals = recorded.of(experiment, ledger.mentioning(root, 0, experiment)).seals
    left = []
    found = [each for run_id in bundles.names(root, experiment) if (each := _old(root, experiment, run_id))]
    places = ledgers.places(root, experiment)
    found.sort(key=lambda item: (places.get(item.run_id, item.seq), item.run_id))
    old = []
    for item in found[: max(0, len(found) - max(wish.keep, RECENT_RUNS))]:
        if item.sealed_at >= before:
            continue
        why = protected.get(item.run_id) or _unfit(root, experiment, item, seals)
        if why:
            left.append(f"{item.run_id}: {why}")
        else:
            old.append(item)
    return old, tuple(left)


def _protected(view: View) -> dict[str, str]:
    """Runs that the pages quote."""
    kept = {run.run_id: "it is among the last runs" for run in view.recent}
    return kept | {run.run_id: f"it is the best of tier {tier}" for tier, run in view.bests.items()}


def _recommended(root: Root, experiment: str, view: View) -> dict[str, str]:
    """Runs that `labctl best` names: of a noisy metric not those with the best number, and somebody is to take them."""
    if not view.bests:
        return {}
    found = table.read(root, experiment)
    if pursued.is_project(found.spec):
        return {}
    chosen = (choosing.choose(root, found, tier) for tier in view.bests)
    return {each.line.run_id: f"labctl best recommends it, of tier {each.tier}" for each in chosen}


def _old(root: Root, experiment: str, run_id: str) -> _Old | None:
    """A sealed bundle. One that is under way, superseded or damaged is none, and stays where it is."""
    found = _sealed(root, experiment, run_id)
    if found is None:
        return None
    made, data = found
    size = sum(kept.size for kept in made.files.values())
    return _Old(
        run_id=run_id, seq=made.anchor.seq, sealed_at=made.sealed_at, seal_sha256=canonical.digest(data), size=size
    )


def _sealed(root: Root, experiment: str, run_id: str) -> tuple[Seal, bytes] | None:
    try:
        return bundles.load_seal(root.layout.run(experiment, run_id))
    except (Corrupt, OSError):
        return None


def _seal_of(root: Root, experiment: str, item: _Old) -> tuple[Seal, bytes] | None:
    """Its seal once more, if it is still the same."""
    found = _sealed(root, experiment, item.run_id)
    return found if found is not None and canonical.digest(found[1]) == item.seal_sha256 else None


def _unfit(root: Root, experiment: str, item: _Old, seals: dict[str, str]) -> str:
    """Why a bundle cannot be archived. What does not verify is evidence, and stays as it lies."""
    if seals.get(item.run_id) != item.seal_sha256:
        return "the ledger does not know its seal: labctl recover"
    found = _seal_of(root, experiment, item)
    if found is None:
        return "its seal has just been changed"
    path = root.layout.run(experiment, item.run_id)
    try:
        changed = next(verify.changed(path, item.run_id, found[0]), None)
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    return f"it is not as it was sealed: {changed.where}: {changed.what}" if changed else ""


# -- archiving ------------------------------------------------------------------------------------------------------


def _settle(root: Root, experiment: str) -> None:
    """Go on from where a killed prune stopped: an archive that the ledger does not tell of.

    While all of its bundles are there it is a draft, and spent. Once one is not, its line was lost after the fact (the
    ledger was cut): the companion is all that is left, and the line is written again.
    """
    archives.discard(root, archives.drafts(root, experiment))
    lines = _lines(root, experiment)
    for archive in archives.names(root, experiment):
        if archive in lines:
            continue
        try:
            head = archives.head(root, experiment, archive)
            kept = [item.run_id for item, _ in archives.runs(root, experiment, archive)]
        except Corrupt:
            continue  # `verify` names it
        if all(reading.is_folder(root.layout.run(experiment, run_id)) for run_id in kept):
            root.files.discard(root.layout.companion(experiment, archive))
            root.files.discard(root.layout.archive(archive))
        else:
            told, _ = archives.digest(root.layout.companion(experiment, archive)) or ("", 0)
            made = _Made(head=head, companion=told, first=kept[0], last=kept[-1])
            with root.section(experiment):
                ledger.append(root, _line(root, experiment, made, "its line was lost"))
                refresh.catch_up(root, experiment)


def _lines(root: Root, experiment: str) -> dict[str, event.Event]:
    """The ledger's line of each archive of an experiment."""
    told = (entry.line.event for entry in ledger.mentioning(root, 0, experiment) if entry.line is not None)
    return {line.name: line for line in told if (line.type, line.experiment) == (event.RUNS_ARCHIVED, experiment)}


def _archived_before(root: Root, experiment: str, old: Sequence[_Old]) -> set[str]:
    """Runs that a whole archive has already: a prune was killed while it took them away, or somebody restored them."""
    wanted = {item.run_id: item.seal_sha256 for item in old}
    lines = _lines(root, experiment)
    found: set[str] = set()
    for archive in archives.names(root, experiment):
        if archive not in lines:
            continue
        with suppress(Corrupt):
            told = {kept.run_id: kept.seal_sha256 for kept, _ in archives.runs(root, experiment, archive)}
            again = {run_id for run_id, seal in told.items() if wanted.get(run_id) == seal}
            there = archives.digest(root.layout.archive(archive)) if again else None
            if there is not None and there[0] == lines[archive].seal:
                found |= again
    return found


def _archive(root: Root, experiment: str, old: Sequence[_Old]) -> _Made:
    """Write the tar file, read it back, and write its companion."""
    name = _new_name(root, experiment, old)
    path = root.layout.archive(name)
    archive_file.write(root, experiment, [item.run_id for item in old], path)
    _compare(root, experiment, path, old)
    sha256, size = archives.digest(path) or ("", 0)
    head = archives.Head(archive=name, sha256=sha256, size=size, runs=len(old))
    running = hashlib.sha256()

    def kept() -> Iterator[Kept]:
        for item in old:
            found = _seal_of(root, experiment, item)
            if found is None:
                raise _differs(path, f"{item.run_id}/{layout.SEAL}")
            yield archives.keep(root.layout.run(experiment, item.run_id), *found)

    def lines() -> Iterator[bytes]:
        for line in archives.companion(head, kept()):
            running.update(line)
            yield line

    root.files.create(root.layout.companion(experiment, name), lines(), durable=True)
    return _Made(head=head, companion=running.hexdigest(), first=old[0].run_id, last=old[-1].run_id)


def _new_name(root: Root, experiment: str, old: Sequence[_Old]) -> str:
    stem = f"runs-{experiment}-{old[0].run_id[_STAMP]}-{old[-1].run_id[_STAMP]}"
    lines = _lines(root, experiment)
    number = 1
    while True:
        name = f"{stem}{'' if number == 1 else f'-{number}'}.tar"
        if name not in lines and not os.path.lexists(root.layout.companion(experiment, name)):
            root.files.discard(root.layout.archive(name))  # a killed prune came no further than this
            return name
        number += 1


def _compare(root: Root, experiment: str, path: str, old: Sequence[_Old]) -> None:
    """Hold what the disk gives back of an archive against the seals, one bundle after another."""
    waiting = {item.run_id: item for item in old}
    for run_id, files in groupby(archive_file.listed(path), key=itemgetter(0)):
        item = waiting.pop(run_id, None)
        found = None if item is None else _seal_of(root, experiment, item)
        if item is None or found is None:
            raise _differs(path, run_id)
        wanted = {name: kept.sha256 for name, kept in found[0].files.items()} | {layout.SEAL: item.seal_sha256}
        there = {name: kept.sha256 for _, name, kept in files}
        for name, sha256 in wanted.items():
            if there.get(name) != sha256:
                raise _differs(path, f"{run_id}/{name}")
    if waiting:
        raise _differs(path, f"{next(iter(waiting))}/{layout.SEAL}")


def _differs(path: str, missing: str) -> Unavailable:
    what = f"the archive does not give back {missing} as it was sealed; no bundle was removed"
    return Unavailable(what, where=path, fix="look at the disk, remove this archive, then prune again")


def _line(root: Root, experiment: str, made: _Made, why: str) -> event.Event:
    head = made.head
    return event.Event(
        type=event.RUNS_ARCHIVED, ts=root.now(), experiment=experiment, name=head.archive, seal=head.sha256,
        reason=why or f"{head.runs} runs to backups/{head.archive}",
        facts={
            "count": head.runs, "first": made.first, "last": made.last, "bytes": head.size,
            "companion": made.companion,
        },
    )  # fmt: skip


def _take_away(root: Root, experiment: str, old: Sequence[_Old], made: _Made | None) -> list[str]:
    """The ledger's line, the pages, and then the bundles out of sight. What became a best meanwhile stays.

    Some at a time: who wants to seal a run meanwhile does not wait for all of them.
    """
    with root.section(experiment):
        if made is not None:
            ledger.append(root, _line(root, experiment, made, ""))
        refresh.catch_up(root, experiment)
    drafts: list[str] = []
    for some in (old[first : first + _AT_ONCE] for first in range(0, len(old), _AT_ONCE)):
        with root.section(experiment):
            protected = _protected(refresh.current(root, experiment)[0])
            drafts += archives.remove_bundles(root, experiment, [i.run_id for i in some if i.run_id not in protected])
    return drafts


# -- and back -------------------------------------------------------------------------------------------------------


def restore(root: Root, given: str) -> Restored:
    """Bring the bundles of an archive back. `given` is its name, or a path to it elsewhere."""
    name = os.path.basename(given)
    path = given if "/" in given else root.layout.archive(name)
    told = next((line for line in _archive_lines(root) if line.name == name), None)
    if told is None:
        fix = "labctl show RUN names the archive of a run; they lie in backups/"
        raise NotFound(f"the ledger does not tell of an archive {name}", fix=fix)
    found = archives.digest(path)
    if found is None:
        raise NotFound(
            f"the archive {name} is not there", where=path, fix=f"labctl prune --restore /where/it/is/{name}"
        )
    if found[0] != told.seal:
        what = "this archive is not the one that the ledger recorded; nothing was taken from it"
        raise Corrupt(what, where=path, fix=f"find the one with this SHA-256: {told.seal}")
    experiment = told.experiment
    with hold(root.layout.pruning(experiment)):
        sealed = {kept.run_id: kept.seal for kept, _ in archives.runs(root, experiment, name)}  # a third of a Seal
        wanted = frozenset(run_id for run_id in sealed if not os.path.lexists(root.layout.run(experiment, run_id)))
        for run_id, draft in archive_file.unpack(root, path, experiment, wanted):
            _publish(root, experiment, run_id, draft, parse(Seal, sealed[run_id].encode(), path))
        if root.files.durable and wanted:
            root.files.sync_folder(root.layout.runs(experiment))
    return Restored(experiment=experiment, archive=name, runs=tuple(sorted(wanted)))


def _archive_lines(root: Root) -> list[event.Event]:
    lines = (entry.line.event for entry in ledger.entries(root) if entry.line is not None)
    return [line for line in lines if line.type == event.RUNS_ARCHIVED]


def _publish(root: Root, experiment: str, run_id: str, draft: str, made: Seal) -> None:
    """Give a restored bundle its name, once each of its files is as it was sealed, read-only, and on the disk."""
    changed = next(verify.changed(draft, run_id, made), None)
    if changed is not None:
        raise Corrupt(f"{changed.where}: {changed.what}", where=draft, fix="labctl verify; nothing was brought back")
    for item in contents.walk(draft):
        if not item.is_folder:
            root.files.settle(f"{draft}/{item.name}", os.fstat, durable=root.files.durable)
        elif root.files.durable:
            root.files.sync_folder(f"{draft}/{item.name}")
    if root.files.durable:
        root.files.sync_folder(draft)
    root.files.move(draft, root.layout.run(experiment, run_id))


def chosen(root: Root, only: Sequence[str]) -> list[str]:
    """The experiments to prune: those that were named, or all."""
    return [experiments.require(root, name) for name in only] or experiments.names(root)


def checked(keep: int | None, older_s: float | None) -> Wish:
    """A wish that says something: without one, a slip of the finger would archive nearly everything."""
    if keep is None and older_s is None:
        raise BadInput("say what may go", fix="labctl prune --keep 100, or: labctl prune --older-than 30d")
    if keep is not None and keep < RECENT_RUNS:
        raise BadInput(f"--keep {keep} is too few: the pages quote the last {RECENT_RUNS} runs", fix="--keep 100")
    return Wish(keep=keep or RECENT_RUNS, older_s=older_s or 0.0)
