"""Take another labctl lab over: a copy of this one that was worked on apart, or any other.

It is proved first, and only read. Its ledger is kept beside ours and named by the lines that ours gains, so that what
its seals are tied to can be proved here. A run comes over byte for byte, and stands after all that had happened here.
What was decided there is not decided here: of an experiment that both have, this lab's SPEC and phase stand. Killed
anywhere, the same again finishes it.
"""

from __future__ import annotations

import errno
import os
import shlex
import stat
from contextlib import nullcontext
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.errors import BadInput, Corrupt
from lab.core.pursuit import LENT
from lab.core.view import View  # msgspec resolves annotations
from lab.scheduler import recorded, refresh, subjects
from lab.store import archives, bundles, contents, experiments, ledger, ledgers, leftovers, reading, standing, verify
from lab.store.files import Files
from lab.store.ledger import Entry  # msgspec resolves annotations
from lab.store.ledgers import Kept  # msgspec resolves annotations
from lab.store.root import Root
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.core.seal import Seal


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """What came over, or would. `known` runs were here already."""

    source: str
    experiments: tuple[str, ...] = ()
    runs: int = 0
    known: int = 0
    notes: tuple[str, ...] = ()


class _There(msgspec.Struct, frozen=True, kw_only=True):
    """The other lab, as it was proved."""

    root: Root
    source: str
    data: bytes  # of its ledger
    entries: list[Entry]
    kept: Kept
    unsealed: int


class _Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What is to come over of one experiment. `born` is what it was there, of one that is not here."""

    experiment: str
    runs: list[str]
    highest: int  # the highest generation that it ever had there
    differs: bool
    born: View | None


class _Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to come over, and what is known here."""

    errands: list[_Errand]
    known: int
    told: set[tuple[str, str]]  # (experiment, kept ledger), of which a line of ours tells already


class _ReadOnly(Files):
    """No writer: the lab of somebody else stays as it is."""

    def step(self, name: str, path: str) -> None:
        """Refuse each step."""
        raise OSError(errno.EROFS, f"another lab is only read, and {name} would change it", path)


def import_lab(
    root: Root, place: str, *, actor: str, dry_run: bool = False, progress: Callable[[int, int], None] | None = None
) -> Taken:
    """Bring over all that is new here."""
    if os.path.samefile(place, root.layout.root):
        raise BadInput(
            "this is the lab itself", where=place, fix="name the other one: labctl import-root /the/other/lab"
        )
    there = _proved(root, place)
    with nullcontext() if dry_run else hold(root.layout.importing):
        plan = _plan(root, there)
        notes = list(_notes(there, plan))
        if plan.errands and not dry_run:
            name = _keep(root, there)
            notes.append(f"its ledger is kept: registry/ledgers/{name}.jsonl")
            for number, errand in enumerate(plan.errands):
                _take_over(root, there, errand, name, actor=actor, is_told=(errand.experiment, name) in plan.told)
                if progress is not None:
                    progress(number + 1, len(plan.errands))
        if not dry_run:  # also where nothing is new: an import that was killed may have come as far as the pages
            refresh.lab_pages(root)
    return Taken(
        source=there.source,
        experiments=tuple(errand.experiment for errand in plan.errands),
        runs=sum(len(errand.runs) for errand in plan.errands),
        known=plan.known,
        notes=tuple(notes),
    )


def _proved(root: Root, place: str) -> _There:
    """Read its ledger, then prove the whole of it. Work may go on there: what comes later is for another time."""
    source = Root(place, root.world, files=_ReadOnly())
    data = reading.read(source.layout.events) or b""
    data = data[: data.rfind(b"\n") + 1]
    entries = list(ledger.split(data, 0, source.layout.events))
    if any(entry.newer for entry in entries):
        fix = "upgrade labctl: pip install --upgrade labctl"
        raise Corrupt("a newer labctl writes that lab, and this one cannot prove it", where=place, fix=fix)
    found = verify.verify(source)
    if found.damage:
        first, typed = found.damage[0], f"labctl --data-root {shlex.quote(place)}"
        more = f", and {len(found.damage) - 1} more" if len(found.damage) > 1 else ""
        what = f"that lab is not as it was sealed, so nothing was taken over: {first.where}: {first.what}{more}"
        fix = f"{typed} verify names all of it; {typed} recover mends what a crash left; then again"
        raise Corrupt(what, where=place, fix=fix)
    return _There(
        root=source,
        source=canonical.plain(place),
        data=data,
        entries=entries,
        kept=ledgers.read(data, source.layout.events),
        unsealed=found.unsealed,
    )


# -- what is new ------------------------------------------------------------------------------------------------------


def _plan(root: Root, there: _There) -> _Plan:
    """What is to come over. Refuses, before anything is written, what could only come over in part."""
    told = [entry.line.event for entry in ledger.entries(root) if entry.line is not None]
    sealed = {(each.experiment, each.run_id): each.seal for each in told if each.type == event.RUN_SEALED}
    created = {each.experiment for each in told if each.type == event.EXPERIMENT_CREATED}
    missing: dict[str, list[str]] = {}
    others: list[str] = []
    for (experiment, run_id), seal in there.kept.seals.items():
        here = sealed.get((experiment, run_id)) or _lies_here(root, experiment, run_id)
        if here not in ("", seal):
            others.append(f"experiments/{experiment}/runs/{run_id}")
        elif (experiment, run_id) not in sealed:
            missing.setdefault(experiment, []).append(run_id)
    if others:
        what = f"{others[0]} is another run here than there ({len(others)} such); nothing was taken over"
        fix = "labctl show RUN in both tells them apart; a lab can hold only one of them"
        raise BadInput(what, where=there.source, fix=fix)
    for experiment, runs in missing.items():
        _require_bundles(there, experiment, runs)
    errands = []
    for experiment in experiments.names(there.root):
        runs = missing.get(experiment, [])
        is_new = experiment not in created and _spec_is_free(root, there, experiment)
        if runs or is_new:
            errands.append(_errand(root, there, experiment, runs, is_new=is_new))
    return _Plan(
        errands=errands,
        known=len(there.kept.seals) - sum(len(errand.runs) for errand in errands),
        told={(each.experiment, name) for each in told if (name := ledgers.named(each))},
    )


def _lies_here(root: Root, experiment: str, run_id: str) -> str:
    """The digest of the seal of a bundle that our ledger does not know; empty where there is no bundle.

    One that was coming over when its import was killed has the seal that it had there.
    """
    path = root.layout.run(experiment, run_id)
    if not os.path.lexists(path):
        return ""
    return canonical.digest(reading.read(f"{path}/{layout.SEAL}") or b"")


def _require_bundles(there: _There, experiment: str, runs: list[str]) -> None:
    for run_id in runs:
        if not reading.is_folder(there.root.layout.run(experiment, run_id)):
            found = archives.find(there.root, experiment, run_id)
            what = f"{run_id} of {experiment} is in an archive there; nothing was taken over"
            archive = found[0] if found else "ARCHIVE"
            fix = f"labctl --data-root {shlex.quote(there.source)} prune --restore {archive}, then again"
            raise BadInput(what, where=there.source, fix=fix)


def _spec_is_free(root: Root, there: _There, experiment: str) -> bool:
    """Whether an experiment without a line of its making can be made here; it was begun with its SPEC."""
    here = reading.read(root.layout.spec(experiment))
    return here is None or here == reading.read(there.root.layout.spec(experiment))


def _errand(root: Root, there: _There, experiment: str, runs: list[str], *, is_new: bool) -> _Errand:
    mine = [entry for entry in there.entries if entry.line and entry.line.event.experiment == experiment]
    born = None
    if is_new:
        loaded = experiments.load(there.root, experiment)
        born = subjects.past(there.root, experiment, recorded.of(experiment, mine), loaded)[0].view
    claimed = [generation for generation, _ in standing.found(there.root, experiment)]
    return _Errand(
        experiment=experiment,
        runs=runs,
        highest=max((*claimed, *(entry.line.event.generation for entry in mine if entry.line)), default=0),
        differs=reading.read(root.layout.spec(experiment))
        not in (None, reading.read(there.root.layout.spec(experiment))),
        born=born,
    )


def _notes(there: _There, plan: _Plan) -> Iterator[str]:
    for errand in plan.errands:
        if errand.differs:
            yield f"experiments/{errand.experiment}: its SPEC.yaml is another one there; this lab's stands"
    if there.unsealed:
        yield f"{there.unsealed} runs there have no seal, and stay there"


# -- taking it over ---------------------------------------------------------------------------------------------------


def _keep(root: Root, there: _There) -> str:
    """Keep its ledger, and those that it keeps itself."""
    waiting, done = list(there.kept.names), set[str]()
    while waiting:
        name = waiting.pop()
        if name not in done:
            done.add(name)
            waiting.extend(ledgers.load(there.root, name).names)
            ledgers.keep(root, reading.read(there.root.layout.kept_ledger(name)) or b"")
    return ledgers.keep(root, there.data)


def _take_over(root: Root, there: _There, errand: _Errand, name: str, *, actor: str, is_told: bool) -> None:
    experiment, born = errand.experiment, errand.born
    with root.section(experiment):
        if born is not None:
            _make(root, there, born, actor)
        root.files.folder(root.layout.runs(experiment))
        if not is_told:
            more = "; its SPEC.yaml is another one there, and this lab's stands" if errand.differs else ""
            told = event.Event(
                type=event.ROOT_IMPORTED, ts=root.now(), experiment=experiment, actor=actor, name=there.source,
                seal=name, generation=errand.highest, reason=f"{len(errand.runs)} runs of that lab{more}",
            )  # fmt: skip
            ledger.append(root, told)
    leftovers.clear_of(root.files, root.layout.runs(experiment), set(errand.runs))  # of an import that was killed
    for run_id in errand.runs:
        _run(root, there, experiment, run_id, name)
    with root.section(experiment):
        refresh.catch_up(root, experiment)


def _make(root: Root, there: _There, born: View, actor: str) -> None:
    """An experiment that is not here: as it was there, in the phase and the tier that it had come to."""
    experiment = born.experiment
    place = root.layout.experiment(experiment)
    spec = reading.read(there.root.layout.spec(experiment)) or b""
    if not os.path.isdir(place):
        root.files.create_folder(place, {layout.SPEC: spec})
        if root.files.durable:
            root.files.sync_file(root.layout.spec(experiment))
            root.files.sync_folder(place)
            root.files.sync_folder(root.layout.experiments)
    told = event.Event(
        type=event.EXPERIMENT_CREATED, ts=root.now(), experiment=experiment, actor=actor, phase=born.phase,
        tier=born.tier, reason=born.phase_reason, spec=canonical.digest(spec), name=born.created_from,
        facts={"created_at": born.created_at, "created_in": born.created_in, LENT: born.lent},
    )  # fmt: skip
    ledger.append(root, told)


def _run(root: Root, there: _There, experiment: str, run_id: str, name: str) -> None:
    """One bundle: copied beside, proved, published whole, and told of."""
    source, place = there.root.layout.run(experiment, run_id), root.layout.run(experiment, run_id)
    found = bundles.load_seal(source)
    if found is None or canonical.digest(found[1]) != there.kept.seals[experiment, run_id]:
        raise _changed(there, f"experiments/{experiment}/runs/{run_id}/{layout.SEAL}")
    made, data = found
    draft = root.files.draft_beside(place)
    is_there = reading.is_folder(place)  # it is when a crash came between the move and the line
    if not is_there:
        _copy(root, there, made, source, draft)
    with root.section(experiment):
        if not is_there:
            root.files.move(draft, place)
            if root.files.durable:
                root.files.sync_folder(root.layout.runs(experiment))
        why = f"taken over from {there.source}"
        bundles.record(root, made, data, durability="full", reason=why, kept_ledger=name)


def _copy(root: Root, there: _There, made: Seal, source: str, draft: str) -> None:
    for name, kept in ((contents.name_on_disk(name), kept) for name, kept in made.files.items()):
        if kept.link:
            root.files.folder(os.path.dirname(f"{draft}/{name}"))
            root.files.link_to(f"{draft}/{name}", os.readlink(f"{source}/{name}"))
        else:
            root.files.copy(f"{source}/{name}", f"{draft}/{name}", mode=_mode(f"{source}/{name}"))
    root.files.copy(f"{source}/{layout.SEAL}", f"{draft}/{layout.SEAL}", mode=0o444)
    changed = next(verify.changed(draft, f"experiments/{made.run.experiment}/runs/{made.run.run_id}", made), None)
    if changed is not None:
        raise _changed(there, changed.where)
    for item in contents.walk(draft):
        if not item.is_folder:
            root.files.settle(f"{draft}/{item.name}", os.fstat, durable=root.files.durable)
        elif root.files.durable:
            root.files.sync_folder(f"{draft}/{item.name}")
    if root.files.durable:
        root.files.sync_folder(draft)


def _mode(path: str) -> int:
    return stat.S_IMODE(os.lstat(path).st_mode)


def _changed(there: _There, where: str) -> Corrupt:
    typed = f"labctl --data-root {shlex.quote(there.source)}"
    return Corrupt(f"{where} changed while that lab was read", where=there.source, fix=f"{typed} verify, then again")
