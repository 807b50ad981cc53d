"""Take a data root over: its experiments become ours, its finished runs sealed bundles marked as imported.

Safe to repeat and to interrupt: each run is published whole, and what is here already is skipped. That is
for hermes-lab; a lab of labctl is taken over as it is (`import_lab`).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, layout
from lab.core.manifest import Manifest
from lab.core.record import page
from lab.scheduler import import_lab, refresh
from lab.store import archives, bundles, contents, hermes, ledger, leftovers, machine, reading
from lab.store.root import is_ours

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.store.hermes import OldExperiment, OldRun
    from lab.store.root import Root

IMPORTER = "import-root"


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came over, and what did not and why."""

    source: str
    experiments: tuple[str, ...]
    runs: int
    false_values: int
    skipped: tuple[str, ...] = ()
    known: int = 0  # runs that were here already, of another labctl lab
    notes: tuple[str, ...] = ()


def import_root(
    root: Root,
    path: str,
    *,
    actor: str,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Read an old data root in. It is only read."""
    place = os.path.abspath(os.path.expanduser(path))
    if is_ours(place):
        taken = import_lab.import_lab(root, place, actor=actor, dry_run=dry_run, progress=progress)
        return Imported(
            source=taken.source, experiments=taken.experiments, runs=taken.runs, false_values=0, known=taken.known,
            notes=taken.notes,
        )  # fmt: skip
    found = hermes.experiments(place)
    source = canonical.plain(place)
    names: list[str] = []
    skipped: list[str] = []
    runs = false_values = 0
    for number, old in enumerate(found):
        if isinstance(old, str):
            skipped.append(old)
            continue
        old_runs = hermes.runs(old)
        skipped.extend(run for run in old_runs if isinstance(run, str))
        finished = [run for run in old_runs if not isinstance(run, str)]
        problem = _taken(root, old, source)
        if problem:
            skipped.append(problem)
            continue
        if not dry_run:
            finished = _experiment(root, old, finished, source=source, actor=actor)
        names.append(old.id)
        runs += len(finished)
        false_values += sum(run.false_value for run in finished)
        if progress is not None:
            progress(number + 1, len(found))
    if not dry_run:
        ledger.append(root, event.Event(type=event.ROOT_IMPORTED, ts=root.now(), actor=actor, name=source))
        refresh.lab_pages(root)
    return Imported(
        source=source, experiments=tuple(names), runs=runs, false_values=false_values, skipped=tuple(skipped)
    )


def _taken(root: Root, old: OldExperiment, source: str) -> str:
    """Why an experiment cannot come over: its id belongs to something else here."""
    if not os.path.isdir(root.layout.experiment(old.id)):
        return ""
    for entry in ledger.entries(root):
        told = entry.line.event if entry.line else None
        if told and told.type == event.EXPERIMENT_CREATED and told.experiment == old.id:
            return "" if told.name == source else f"experiments/{old.id}: there is an experiment of this id here"
    return ""


def _experiment(root: Root, old: OldExperiment, finished: list[OldRun], *, source: str, actor: str) -> list[OldRun]:
    """Bring one experiment over. Returns the runs that are new here."""
    place = root.layout.experiment(old.id)
    with root.section(old.id):
        before = refresh.catch_up(root, old.id).view if os.path.isdir(place) else None
        if before is None:
            root.files.create_folder(place, {layout.SPEC: old.spec})
        if before is None or not before.created_at:
            told = event.Event(
                type=event.EXPERIMENT_CREATED, ts=root.now(), experiment=old.id, actor=actor, tier=old.tier,
                spec=canonical.digest(old.spec), name=source, facts={"created_at": old.created_at},
            )  # fmt: skip
            ledger.append(root, told)
        root.files.folder(root.layout.runs(old.id))
        missing = [run for run in finished if not _sealed(root, old.id, run.run_id)]
        leftovers.clear_of(root.files, root.layout.runs(old.id), {run.run_id for run in missing})
        for number, run in enumerate(missing, start=before.runs + 1 if before else 1):
            _run(root, old, run, number, source)
        if old.phase and not (before and any(known.type == event.PHASE_CHANGED for known in before.decisions)):
            reason = old.reason or "it was so in hermes-lab"
            told = event.Event(
                type=event.PHASE_CHANGED, ts=root.now(), experiment=old.id, phase=old.phase, reason=reason, actor=actor
            )
            ledger.append(root, told)
        refresh.catch_up(root, old.id)
    return missing


def _sealed(root: Root, experiment: str, run_id: str) -> bool:
    """Whether a run came over before; it may lie in an archive by now."""
    bundle = f"{root.layout.run(experiment, run_id)}/{layout.SEAL}"
    return reading.is_file(bundle) or archives.find(root, experiment, run_id) is not None


def _run(root: Root, old: OldExperiment, run: OldRun, number: int, source: str) -> None:
    """One bundle: copied beside, published whole, sealed."""
    place = root.layout.run(old.id, run.run_id)
    draft = root.files.draft_beside(place)
    reason = run.reason
    if run.false_value:
        reason = f"{reason or 'no metric was measured'}; the value that hermes-lab gave it was dropped"
    manifest = Manifest(
        run_id=run.run_id,
        experiment=old.id,
        status=run.outcome,
        iteration=number,
        role=run.role,
        fidelity_tier=run.tier,
        executor_class=run.executor_class,
        metric=run.metric,
        metric_direction=run.direction,
        owner=machine.this_process(IMPORTER),
        started_at=run.started_at,
        completed_at=run.ended_at,
        value=run.value,
        reason=reason,
    )
    if not os.path.isdir(place):  # it is there when a crash came between the move and the seal
        for path, name in hermes.contents(run):
            root.files.copy(path, f"{draft}/{name}")
        root.files.replace(f"{draft}/{layout.MANIFEST}", page(manifest))
        root.files.move(draft, place)
    if reading.size_of(f"{place}/{layout.RESULT}") < 0:
        root.files.create(f"{place}/{layout.RESULT}", f"# {run.run_id}\n\nOutcome: {run.outcome}\n".encode())
    stock = contents.take_stock(root, old.id, run.run_id)
    bundles.publish(root, manifest.run(), number, sealed_by=IMPORTER, contents=stock, imported_from=source)
