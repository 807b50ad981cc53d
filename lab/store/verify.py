"""Proof that what is canonical is what was written: every digest, every link of the chain, every bundle present."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.errors import Corrupt
from lab.store import archives, bundles, contents, experiments, ledger, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.seal import Seal
    from lab.store.root import Root


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is not as it was sealed. `kind` is a stable word for scripts."""

    kind: str
    where: str
    what: str
    fix: str = "restore it from a backup; the rest of the lab goes on meanwhile"


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was looked at and what was wrong. `torn` lines are crashes that the next writer noted: no damage."""

    records: int
    runs: int
    files: int
    size: int
    torn: int
    unsealed: int
    damage: tuple[Damage, ...]
    archived: int = 0  # runs whose seals lie in the companion of an archive
    notes: tuple[str, ...] = ()  # what a reader should know, and is no damage


class _Chain(msgspec.Struct, kw_only=True):
    """The ledger, as far as the bundles are checked against it."""

    digests: dict[int, str] = {}
    sealed: dict[tuple[str, str], str] = {}
    created: dict[str, str] = {}  # experiment -> digest of its SPEC when it was made
    superseded: set[tuple[str, str]] = set()
    archives: dict[tuple[str, str], tuple[str, str]] = {}  # (experiment, archive) -> digests of it and its companion
    asks: dict[tuple[str, str], str] = {}  # (experiment, question to a model) -> digest of what came of it
    torn: int = 0


def verify(root: Root, only: tuple[str, ...] = (), *, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Hash every sealed file again and follow the ledger from its first line."""
    chain = _Chain()
    damage = list(_ledger(root, chain))
    names = experiments.names(root)
    chosen = [name for name in names if not only or name in only]
    runs = count = size = unsealed = archived = 0
    notes: list[str] = []
    for number, experiment in enumerate(chosen):
        if not reading.is_file(root.layout.spec(experiment)):
            where = f"experiments/{experiment}/{layout.SPEC}"
            damage.append(Damage(kind="spec-missing", where=where, what="the experiment has no SPEC.yaml"))
        try:
            present = bundles.names(root, experiment)
        except OSError as error:
            damage.append(Damage(kind="unreadable", where=f"experiments/{experiment}/runs", what=str(error.strerror)))
            continue
        for run_id in present:
            made, problems = _bundle(root, experiment, run_id, chain)
            damage.extend(problems)
            if made is None:
                unsealed += not problems
                continue
            runs += 1
            count += len(made.files)
            size += sum(kept.size for kept in made.files.values())
        covered, problems = _archives(root, experiment, chain, notes)
        damage.extend(problems)
        archived += len(covered.difference(present))
        damage.extend(_gone(experiment, covered.union(present), chain))
        damage.extend(_asks(root, experiment, chain))
        if progress is not None:
            progress(number + 1, len(chosen))
    if not only:
        damage.extend(_gone_experiments(set(names), chain))
        damage.extend(_index(root, chain))
    return Verified(
        records=len(chain.digests), runs=runs, files=count, size=size, torn=chain.torn, unsealed=unsealed,
        damage=tuple(damage), archived=archived, notes=tuple(notes),
    )  # fmt: skip


def _ledger(root: Root, chain: _Chain) -> Iterator[Damage]:
    where = "registry/events.jsonl"
    if reading.size_of(root.layout.events) < 0:
        yield Damage(kind="ledger-missing", where=where, what="the ledger is gone")
        return
    audit = ledger.Audit()
    for entry in ledger.entries(root):
        problem = audit.feed(entry)
        if problem:
            yield Damage(kind="ledger-chain", where=where, what=problem)
        if entry.line is None:
            continue
        chain.digests[entry.line.seq] = entry.sha256
        told = entry.line.event
        if told.type == event.RUN_SEALED:
            chain.sealed[told.experiment, told.run_id] = told.seal
        elif told.type == event.RUN_SUPERSEDED:
            chain.superseded.add((told.experiment, told.run_id))
        elif told.type == event.RUNS_ARCHIVED:
            chain.archives[told.experiment, told.name] = (told.seal, str(told.facts.get("companion", "")))
        elif told.type == event.MODEL_ANSWERED:
            chain.asks[told.experiment, told.name] = str(told.facts.get("sha256", ""))
        elif told.type == event.EXPERIMENT_CREATED:
            chain.created[told.experiment] = told.spec
        elif told.type == event.LEDGER_CUT:
            yield Damage(kind="ledger-cut", where=where, what=f"{told.reason} (noticed {told.ts})")
    problem = audit.finish()
    if problem:
        yield Damage(kind="ledger-torn", where=where, what=problem, fix="labctl recover ends the torn line")
    chain.torn = audit.torn


def _bundle(root: Root, experiment: str, run_id: str, chain: _Chain) -> tuple[Seal | None, list[Damage]]:
    where = f"experiments/{experiment}/runs/{run_id}"
    path = root.layout.run(experiment, run_id)
    recorded = chain.sealed.get((experiment, run_id))
    try:
        found = bundles.load_seal(path)
    except (Corrupt, OSError) as error:
        what = str(error).split("\n", maxsplit=1)[0]
        return None, [Damage(kind="seal-unreadable", where=f"{where}/{layout.SEAL}", what=what)]
    if found is None:
        if recorded is None:
            return None, []
        return None, [Damage(kind="seal-missing", where=where, what="the ledger says it was sealed; it has no seal")]
    made, data = found
    damage = list(changed(path, where, made))
    if recorded is None:
        what = "the ledger does not know this seal: its last write was cut off, or it came from another lab"
        damage.append(Damage(kind="unrecorded", where=where, what=what, fix="labctl recover writes its ledger line"))
    elif recorded != canonical.digest(data):
        what = "the seal is not the one that the ledger recorded"
        damage.append(Damage(kind="seal-edited", where=f"{where}/{layout.SEAL}", what=what))
    if not bundles.anchor_known(made.anchor, chain.digests):
        what = f"the seal is tied to ledger record {made.anchor.seq}, which is not there or is another one"
        damage.append(Damage(kind="ledger-cut", where=where, what=what))
    return made, damage


def changed(path: str, where: str, made: Seal) -> Iterator[Damage]:
    """What of a bundle's files is not as it was sealed."""
    for name, kept in made.files.items():
        try:
            found = contents.look(f"{path}/{contents.name_on_disk(name)}")
        except OSError as error:
            yield Damage(kind="file-unreadable", where=f"{where}/{name}", what=str(error.strerror))
            continue
        if found is None:
            yield Damage(kind="file-missing", where=f"{where}/{name}", what="a sealed file is gone")
        elif found != kept:
            how = f"{found.size} bytes instead of {kept.size}" if found.size != kept.size else "another content"
            yield Damage(kind="file-edited", where=f"{where}/{name}", what=f"a sealed file was changed: {how}")
    for name in contents.stray(path, made):
        what = "this file was added after the seal"
        yield Damage(kind="file-added", where=f"{where}/{name}", what=what, fix="move it out of the bundle")


def _archives(root: Root, experiment: str, chain: _Chain, notes: list[str]) -> tuple[set[str], list[Damage]]:
    """The runs that companions prove, and what is wrong with these or with their archives."""
    damage: list[Damage] = []
    covered: set[str] = set()
    recorded = {archive: digests for (owner, archive), digests in chain.archives.items() if owner == experiment}
    present = archives.names(root, experiment)
    for archive in sorted({*recorded, *present}):
        where = f"experiments/{experiment}/archived/{archive}.jsonl"
        if archive not in present:
            damage.append(
                Damage(kind="companion-missing", where=where, what="the ledger tells of this file; it is gone")
            )
            continue
        if archive not in recorded:
            notes.append(f"{where}: the ledger does not tell of it yet; the next labctl prune {experiment} settles it")
        elif recorded[archive][1] != canonical.digest(reading.read(root.layout.companion(experiment, archive)) or b""):
            what = "the companion of an archive is not the one that the ledger recorded"
            damage.append(Damage(kind="companion-edited", where=where, what=what))
        away = False
        try:
            for kept, made in archives.runs(root, experiment, archive):
                away = away or not reading.is_folder(root.layout.run(experiment, kept.run_id))
                if chain.sealed.get((experiment, kept.run_id)) != kept.seal_sha256:
                    what = f"the seal of {kept.run_id} is not the one that the ledger recorded"
                    damage.append(Damage(kind="seal-edited", where=where, what=what))
                elif not bundles.anchor_known(made.anchor, chain.digests):
                    what = f"the seal of {kept.run_id} is tied to ledger record {made.anchor.seq}, which is another one"
                    damage.append(Damage(kind="ledger-cut", where=where, what=what))
                else:
                    covered.add(kept.run_id)
        except Corrupt as error:
            damage.append(Damage(kind="companion-unreadable", where=where, what=error.what))
        # What was restored whole needs its archive no more.
        damage.extend(_archive(root, archive, recorded.get(archive, ("", ""))[0], notes if away else []))
    return covered, damage


def _archive(root: Root, archive: str, recorded: str, notes: list[str]) -> Iterator[Damage]:
    """The tar file itself. Moved to another disk it is no damage: what the pages need lies in the companion."""
    found = archives.digest(root.layout.archive(archive))
    if found is None and recorded:
        notes.append(f"backups/{archive} is not here; whoever has it can check it with sha256sum: {recorded}")
    elif found is not None and recorded not in ("", found[0]):
        what = "this archive of old runs is not the one that the ledger recorded"
        yield Damage(kind="archive-edited", where=f"backups/{archive}", what=what)


def _gone(experiment: str, present: set[str], chain: _Chain) -> Iterator[Damage]:
    for owner, run_id in (*chain.sealed, *chain.superseded):
        if owner == experiment and run_id not in present:
            where = f"experiments/{experiment}/runs/{run_id}"
            yield Damage(kind="bundle-missing", where=where, what="the ledger tells of this bundle; it is gone")


def _asks(root: Root, experiment: str, chain: _Chain) -> Iterator[Damage]:
    """What models were asked and answered: a search goes by it, and a bundle tells only of its own."""
    for (owner, ask), recorded in chain.asks.items():
        if owner != experiment or not recorded:
            continue
        where = f"experiments/{experiment}/asks/{ask}.json"
        data = reading.read(root.layout.ask(experiment, ask))
        if data is None:
            yield Damage(
                kind="ask-missing", where=where, what="the ledger tells of this question to a model; it is gone"
            )
        elif canonical.digest(data) != recorded:
            yield Damage(kind="ask-edited", where=where, what="it is not what the ledger recorded")


def _gone_experiments(present: set[str], chain: _Chain) -> Iterator[Damage]:
    for name in sorted(set(chain.created) - present):
        what = "the ledger says that it was made; it is gone"
        yield Damage(kind="experiment-missing", where=f"experiments/{name}", what=what)
    for owner, run_id in chain.sealed:
        if owner not in present:
            where = f"experiments/{owner}/runs/{run_id}"
            yield Damage(kind="bundle-missing", where=where, what="its whole experiment is gone")


def _index(root: Root, chain: _Chain) -> Iterator[Damage]:
    """A ledger that was cut at its end leaves no broken link, but the pages remember how far it went."""
    try:
        told = msgspec.json.decode(reading.read(root.layout.index) or b"{}", type=_Index).ledger
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return  # a derived page; `refresh` mends it
    if told.seq and chain.digests.get(told.seq) != told.sha256:
        what = f"LAB-INDEX.json has seen record {told.seq}, which is not there or is another one: the ledger was cut"
        yield Damage(kind="ledger-cut", where="registry/events.jsonl", what=what)


class _Place(msgspec.Struct):
    seq: int = 0
    sha256: str = ""


class _Index(msgspec.Struct):
    ledger: _Place = msgspec.field(default_factory=_Place)
