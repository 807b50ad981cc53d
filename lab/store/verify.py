"""Proof that what is canonical is what was written: every digest, every link of the chain, every bundle present."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.errors import Corrupt, NotFound
from lab.store import archives, bundles, contents, experiments, ledger, ledgers, machine, reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.seal import Anchor, Seal
    from lab.store.root import Root


_LEDGER = "registry/events.jsonl"
_LOOKS_AGAIN = 5
_LASTING = frozenset({"spec-missing", "unreadable"})  # no work of others explains these


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
    kept: dict[str, dict[int, str]] = {}  # the ledgers of labs whose runs were taken over -> digests of their records
    audit: ledger.Audit = msgspec.field(default_factory=ledger.Audit)
    end: int = 0  # how far it was read

    def knows(self, anchor: Anchor) -> bool:
        """Whether a ledger has the record that a seal is tied to: ours, or that of the lab it was taken over from."""
        return any(bundles.anchor_known(anchor, digests) for digests in (self.digests, *self.kept.values()))


def verify(root: Root, only: tuple[str, ...] = (), *, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Hash every sealed file again and follow the ledger from its first line.

    Others may work meanwhile. What looks wrong is looked at again, with the lines that came since: a run that was
    sealed after the ledger had been read is no damage, nor is one whose folder was on its way into an archive.
    """
    chain = _Chain()
    damage = list(_ledger(root, chain))
    names = experiments.names(root)
    chosen = [name for name in names if not only or name in only]
    looks = [_Look(experiment=experiment) for experiment in chosen]
    for number, look in enumerate(looks):
        _experiment(root, look, chain)
        if progress is not None:
            progress(number + 1, len(chosen))
    gone = [] if only else list(_gone_experiments(set(names), chain))
    for _ in range(_LOOKS_AGAIN):
        if not any(look.damage for look in looks) or reading.size_of(root.layout.events) <= chain.end:
            break
        damage.extend(_follow(root, chain))
        for look in looks:
            if look.damage:
                _again(root, look, chain)
    damage.extend(each for look in looks for each in look.damage)
    damage.extend(gone)
    if not only:
        damage.extend(_index(root, chain))
    damage.extend(_torn(chain))
    sealed = [made for look in looks for made in look.sealed.values()]
    return Verified(
        records=len(chain.digests), runs=len(sealed), files=sum(count for count, _ in sealed),
        size=sum(size for _, size in sealed), torn=chain.audit.torn, unsealed=sum(look.unsealed for look in looks),
        damage=tuple(damage), archived=sum(look.archived for look in looks),
        notes=tuple(note for look in looks for note in look.notes),
    )  # fmt: skip


class _Look(msgspec.Struct, kw_only=True):
    """What was seen of one experiment."""

    experiment: str
    sealed: dict[str, tuple[int, int]] = {}  # run -> its files, and their size
    unsealed: int = 0
    archived: int = 0
    notes: list[str] = []
    suspects: dict[str, list[Damage]] = {}  # run -> what is wrong with it
    others: list[Damage] = []

    @property
    def damage(self) -> list[Damage]:
        return [*self.others, *(each for found in self.suspects.values() for each in found)]


def _experiment(root: Root, look: _Look, chain: _Chain) -> None:
    experiment = look.experiment
    if not reading.is_file(root.layout.spec(experiment)):
        where = f"experiments/{experiment}/{layout.SPEC}"
        look.others.append(Damage(kind="spec-missing", where=where, what="the experiment has no SPEC.yaml"))
    try:
        present = bundles.names(root, experiment)
    except OSError as error:
        where = f"experiments/{experiment}/runs"
        look.others.append(Damage(kind="unreadable", where=where, what=str(error.strerror)))
        return
    for run_id in present:
        _run(root, look, run_id, chain)
    covered, problems = _archives(root, experiment, chain, look.notes)
    look.others.extend(problems)
    look.archived = len(covered.difference(present))
    for run_id, problem in _gone(experiment, covered.union(present), chain):
        look.suspects.setdefault(run_id, []).append(problem)
    look.others.extend(_asks(root, experiment, chain))


def _run(root: Root, look: _Look, run_id: str, chain: _Chain) -> None:
    made, problems = _bundle(root, look.experiment, run_id, chain)
    if problems:
        look.suspects[run_id] = problems
    if made is None:
        look.unsealed += not problems
    else:
        look.sealed[run_id] = (len(made.files), sum(kept.size for kept in made.files.values()))


def _again(root: Root, look: _Look, chain: _Chain) -> None:
    """Only what looked wrong, by what the ledger says now."""
    suspects, look.suspects, look.notes = look.suspects, {}, []
    look.others = [each for each in look.others if each.kind in _LASTING]
    covered, problems = _archives(root, look.experiment, chain, look.notes)
    look.others.extend(problems)
    for run_id in suspects:
        if reading.is_folder(root.layout.run(look.experiment, run_id)):
            _run(root, look, run_id, chain)
        elif run_id not in covered:
            look.suspects[run_id] = suspects[run_id]
    look.others.extend(_asks(root, look.experiment, chain))


def _ledger(root: Root, chain: _Chain) -> Iterator[Damage]:
    if reading.size_of(root.layout.events) < 0:
        yield Damage(kind="ledger-missing", where=_LEDGER, what="the ledger is gone")
        return
    yield from _follow(root, chain)


def _follow(root: Root, chain: _Chain) -> Iterator[Damage]:
    """The ledger from where it was read to."""
    for entry in ledger.entries(root, chain.end):
        chain.end = entry.end
        problem = chain.audit.feed(entry)
        if problem:
            yield Damage(kind="ledger-chain", where=_LEDGER, what=problem)
        if entry.line is None:
            continue
        chain.digests[entry.line.seq] = entry.sha256
        told = entry.line.event
        if told.type == event.RUN_SEALED:
            yield from _told_again(chain, told)
            chain.sealed.setdefault((told.experiment, told.run_id), told.seal)
        elif told.type == event.RUN_SUPERSEDED:
            chain.superseded.add((told.experiment, told.run_id))
        elif told.type == event.RUNS_ARCHIVED:
            chain.archives[told.experiment, told.name] = (told.seal, str(told.facts.get("companion", "")))
        elif told.type == event.MODEL_ANSWERED:
            chain.asks[told.experiment, told.name] = str(told.facts.get("sha256", ""))
        elif told.type == event.EXPERIMENT_CREATED:
            chain.created[told.experiment] = told.spec
        elif told.type == event.LEDGER_CUT:
            yield Damage(kind="ledger-cut", where=_LEDGER, what=f"{told.reason} (noticed {told.ts})")
        elif ledgers.named(told):
            yield from _kept(root, chain, ledgers.named(told))


def _told_again(chain: _Chain, told: event.Event) -> Iterator[Damage]:
    """A run is sealed once, and the first line stands. A later one may only say that the very same was taken over."""
    first = chain.sealed.get((told.experiment, told.run_id))
    if first is None or (told.name and told.seal == first):
        return
    more = "" if told.seal == first else ", and with another seal"
    what = f"a second line says that {told.run_id} of {told.experiment} was sealed{more}: a run is sealed once"
    yield Damage(kind="sealed-twice", where=_LEDGER, what=what)


def _kept(root: Root, chain: _Chain, name: str) -> Iterator[Damage]:
    """A ledger that ours names, and those that it names in turn."""
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if name in chain.kept:
            continue
        chain.kept[name] = {}
        where = f"registry/ledgers/{name}.jsonl"
        try:
            found = ledgers.load(root, name)
        except NotFound as gone:
            yield Damage(kind="kept-ledger-missing", where=where, what=gone.what, fix=gone.fix)
        except Corrupt as other:
            yield Damage(kind="kept-ledger-edited", where=where, what=other.what, fix=other.fix)
        else:
            chain.kept[name] = found.digests
            waiting.extend(found.names)


def _torn(chain: _Chain) -> Iterator[Damage]:
    problem = chain.audit.finish()
    if problem:
        yield Damage(kind="ledger-torn", where=_LEDGER, what=problem, fix="labctl recover ends the torn line")


def _bundle(root: Root, experiment: str, run_id: str, chain: _Chain) -> tuple[Seal | None, list[Damage]]:
    where = f"experiments/{experiment}/runs/{run_id}"
    path = root.layout.run(experiment, run_id)
    recorded = chain.sealed.get((experiment, run_id))
    if recorded is None and bundles.is_superseded(path):
        return None, []
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
    if recorded is None and not _is_being_sealed(root, experiment, made):
        what = "the ledger does not know this seal: its last write was cut off, or it came from another lab"
        damage.append(Damage(kind="unrecorded", where=where, what=what, fix="labctl recover writes its ledger line"))
    elif recorded is not None and recorded != canonical.digest(data):
        what = "the seal is not the one that the ledger recorded"
        damage.append(Damage(kind="seal-edited", where=f"{where}/{layout.SEAL}", what=what))
    if not chain.knows(made.anchor):
        what = f"the seal is tied to ledger record {made.anchor.seq}, which is not there or is another one"
        damage.append(Damage(kind="ledger-cut", where=where, what=what))
    return made, damage


def _is_being_sealed(root: Root, experiment: str, made: Seal) -> bool:
    """Whether its maker lives and holds its claim: then the line of the ledger is what it writes next."""
    try:
        manifest = bundles.load_manifest(root.layout.run(experiment, made.run.run_id))
    except Corrupt:
        return False
    claimed = os.path.lexists(root.layout.claim(experiment, made.generation))
    return claimed and manifest is not None and machine.alive(manifest.owner) is True


def changed(path: str, where: str, made: Seal, beat: contents.Beat = contents.nothing) -> Iterator[Damage]:
    """What of a bundle's files is not as it was sealed."""
    for name, kept in made.files.items():
        try:
            found = contents.look(f"{path}/{contents.name_on_disk(name)}", beat)
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
            settled_by = f"labctl prune --experiment {experiment} --keep N --yes"
            notes.append(f"{where}: the ledger does not tell of it yet; the next {settled_by} settles it")
        elif recorded[archive][1] != (archives.digest(root.layout.companion(experiment, archive)) or ("",))[0]:
            what = "the companion of an archive is not the one that the ledger recorded"
            damage.append(Damage(kind="companion-edited", where=where, what=what))
        away = False
        try:
            for kept, made in archives.runs(root, experiment, archive):
                away = away or not reading.is_folder(root.layout.run(experiment, kept.run_id))
                if chain.sealed.get((experiment, kept.run_id)) != kept.seal_sha256:
                    what = f"the seal of {kept.run_id} is not the one that the ledger recorded"
                    damage.append(Damage(kind="seal-edited", where=where, what=what))
                elif not chain.knows(made.anchor):
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


def _gone(experiment: str, present: set[str], chain: _Chain) -> Iterator[tuple[str, Damage]]:
    for owner, run_id in (*chain.sealed, *chain.superseded):
        if owner == experiment and run_id not in present:
            where = f"experiments/{experiment}/runs/{run_id}"
            yield run_id, Damage(kind="bundle-missing", where=where, what="the ledger tells of this bundle; it is gone")


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
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return  # a derived page; `refresh` mends it
    yield from _follow(root, chain)  # what it has seen was written before it
    if told.seq and chain.digests.get(told.seq) != told.sha256:
        what = f"LAB-INDEX.json has seen record {told.seq}, which is not there or is another one: the ledger was cut"
        yield Damage(kind="ledger-cut", where="registry/events.jsonl", what=what)


class _Place(msgspec.Struct):
    seq: int = 0
    sha256: str = ""


class _Index(msgspec.Struct):
    ledger: _Place = msgspec.field(default_factory=_Place)
