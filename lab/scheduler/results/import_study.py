"""The trials of an Optuna study as sealed runs of an experiment, marked as imported.

Safe to repeat and to interrupt: each run is published whole and sealed, and a trial that is here already is passed
over, in whatever file the study lies by then.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, canonical, ids, layout
from lab.core.curve import Curve, Thinned
from lab.core.errors import BadInput, Corrupt, Unavailable
from lab.core.manifest import Manifest
from lab.core.origin import IMPORTED, Origin
from lab.core.run import CANCELLED, FAILED, MINIMIZE, STOPPED_EARLY, SUCCESS
from lab.core.view import ARCHIVED
from lab.projections import text
from lab.scheduler import closing, cycle, reclaim, refresh
from lab.scheduler.results import table
from lab.scheduler.search import spaces
from lab.scheduler.search.book import Book
from lab.store import bundles, contents, experiments, machine

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from lab.core.space import Space
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.scheduler.results.optuna_study import Study, Trial
    from lab.store.root import Root

IMPORTER, ROLE, STRATEGY = "import", "optuna", "optuna"
_AT_ONCE = 25  # runs in one section: whoever wants to seal meanwhile waits no longer than for these
_SHOWN_ATTRIBUTES = 50
_SOURCE_CHARS = 1000


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came over, and what did not and why."""

    experiment: str
    study: str
    source: str
    tier: str
    runs: int = 0
    successes: int = 0
    known: int = 0  # trials that were here already
    unfinished: int = 0
    outside: int = 0  # trials that are no points of the experiment's space
    warnings: tuple[str, ...] = ()


def import_study(  # what, from where, into what
    root: Root,
    experiment: str,
    given: str,
    *,
    wanted: str = "",
    tier: str = "",
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Imported:
    """Read a study in. It is only read. `BadInput` when its direction is not that of the experiment's metric."""
    experiments.require(root, experiment)
    study = _read(given, wanted)
    with root.section(experiment):
        view, loaded = cycle.observe(root, experiment)
    spec = cycle.usable(loaded)
    tier = _tier(spec, view, study, tier)
    here = spec.for_tier(tier)
    if view.phase == ARCHIVED:
        raise BadInput(f"{experiment} is archived", fix=f"labctl archive {experiment} --restore")
    if study.minimize != (here.metric_direction == MINIMIZE):
        theirs = "minimizes" if study.minimize else "maximizes"
        what = (
            f"the study {text.line(study.name)} {theirs}; tier {tier} of {experiment} wants to {here.metric_direction}"
        )
        raise BadInput(what, where=study.source, fix="import it into an experiment with the same metric_direction")
    intake = _Intake(root, here, tier, study)
    finished = [trial for trial in study.trials if trial.state != "open"]
    with root.section(experiment):
        fresh = intake.fresh(finished)
    warnings = _warnings(spec, view, study, fresh)
    if not dry_run:
        fresh = intake.take(finished, len(fresh), progress)
        refresh.lab_pages(root)
    there = spaces.find(root, spec, view)
    return Imported(
        experiment=experiment,
        study=study.name,
        source=study.source,
        tier=tier,
        runs=len(fresh),
        successes=sum(_ended(trial)[0] == SUCCESS for trial in fresh),
        known=len(finished) - len(fresh),
        unfinished=len(study.trials) - len(finished),
        outside=_outside(there.space, fresh) if there else 0,
        warnings=warnings,
    )


def _read(given: str, wanted: str) -> Study:
    try:
        from lab.scheduler.results import optuna_study  # noqa: PLC0415  # optuna: 0.4 s, and an extra
    except ImportError as missing:
        raise Unavailable("reading an Optuna study needs optuna", fix="pip install 'labctl[search]'") from missing
    return optuna_study.read(given, wanted)


def _tier(spec: Spec, view: View, study: Study, wanted: str) -> str:
    """The tier asked for, else the one that the study was exported from, else the one that the experiment is in."""
    if wanted:
        spec.for_tier(wanted)
        return wanted
    exported = study.attributes.get("labctl.tier")
    return exported if isinstance(exported, str) and exported in spec.fidelity_tiers else view.tier


def _warnings(spec: Spec, view: View, study: Study, fresh: Sequence[Trial]) -> tuple[str, ...]:
    if not study.trials:
        return (f"the study {text.line(study.name)} in {text.line(study.source)} has no trials: nothing to import",)
    total = view.runs + len(fresh)
    if total < spec.max_iterations_total:
        return ()
    what = f"max_iterations_total is {spec.max_iterations_total} and counts these runs too: {total} with them"
    return (f"{what}; raise it, or the experiment is complete at its next turn",)


def _outside(space: Space, trials: Iterable[Trial]) -> int:
    return sum(assignment.brought_over(space, trial.params) is None for trial in trials)


def _ended(trial: Trial) -> tuple[str, float | None, str]:
    """The outcome, the value and the reason of a trial."""
    if trial.state == "complete":
        if trial.value is not None and math.isfinite(trial.value):
            return SUCCESS, trial.value, ""
        return FAILED, None, f"its value in Optuna was {trial.value}"
    if trial.state == "pruned":
        return CANCELLED, None, f"{STOPPED_EARLY}: it was pruned in Optuna"
    return FAILED, None, "it failed in Optuna"


class _Intake:
    """One import into one tier. `spec` is that of the tier."""

    def __init__(self, root: Root, spec: Spec, tier: str, study: Study) -> None:
        self._root = root
        self._spec = spec
        self._tier = tier
        self._study = study
        self._book = Book(root, spec.id)
        self._taken = {run_id for name in experiments.names(root) for run_id in bundles.names(root, name)}
        self._here: set[str] = set()
        self._highest = -1  # the last number of the search, under way or ended
        self._source = text.line(canonical.plain(f"study {study.name} in {study.source}"), _SOURCE_CHARS)

    def fresh(self, trials: Sequence[Trial]) -> list[Trial]:
        """The trials that are not here yet. Inside the section."""
        lines = table.read(self._root, self._spec.id).lines
        self._here = {line.run_id for line in lines}
        notes = {line.origin.note for line in lines if line.origin and line.origin.kind == IMPORTED}
        return [
            trial
            for trial in trials
            if self._note(trial) not in notes and trial.attributes.get("labctl.run_id") not in self._here
        ]

    def take(self, trials: Sequence[Trial], expected: int, progress: Callable[[int, int], None] | None) -> list[Trial]:
        """Bring over what is not here, a few in one section. Returns those that were brought by this call."""
        done: list[Trial] = []
        begun: dict[str, str] | None = None
        while True:
            with self._root.section(self._spec.id):
                view = refresh.catch_up(self._root, self._spec.id).view
                left = self.fresh(trials)
                if not left:
                    return done
                begun = self._begun() if begun is None else begun
                self._book.catch_up()
                self._highest = max((self._book.highest, *(run.source.number for run in self._book.under_way())))
                for offset, trial in enumerate(left[:_AT_ONCE], start=1):
                    self._seal(trial, view, offset, begun.get(self._note(trial), ""))
                done += left[:_AT_ONCE]
                refresh.catch_up(self._root, self._spec.id)
            if progress is not None:
                progress(min(len(done), expected), expected)

    def _begun(self) -> dict[str, str]:
        """Bundles of an import that was killed, by their notes: not sealed, or not in the ledger."""
        found = {}
        for run_id in bundles.names(self._root, self._spec.id):
            if not run_id.endswith(f"-{ROLE}") or run_id in self._here:
                continue
            try:
                manifest = bundles.load_manifest(self._root.layout.run(self._spec.id, run_id))
            except Corrupt:
                continue
            if manifest is not None and manifest.origin is not None and manifest.owner.name == IMPORTER:
                found[manifest.origin.note] = run_id
        return found

    def _note(self, trial: Trial) -> str:
        """What a trial is known by here. Not by its file, which may be moved, nor by its times, which have no zone."""
        return text.line(f"trial {trial.number} ({trial.mark}) of the Optuna study {self._study.name}")

    def _seal(self, trial: Trial, view: View, offset: int, begun: str) -> None:
        sealed = bundles.load_seal(self._root.layout.run(self._spec.id, begun)) if begun else None
        if sealed is not None:
            reclaim.adopt(self._root, *sealed)
            return
        manifest = self._manifest(begun) if begun else self._open(trial, view, offset)
        durability = self._spec.durability
        stock = contents.take_stock(self._root, self._spec.id, manifest.run_id, durability=durability)
        bundles.publish(
            self._root, manifest.run(), view.generation, sealed_by=IMPORTER, durability=durability, contents=stock,
            imported_from=self._source,
        )  # fmt: skip

    def _manifest(self, run_id: str) -> Manifest:
        found = bundles.load_manifest(self._root.layout.run(self._spec.id, run_id))
        if found is None:
            raise Corrupt("a bundle lost its manifest", where=self._root.layout.run(self._spec.id, run_id))
        return found

    def _open(self, trial: Trial, view: View, offset: int) -> Manifest:
        """The bundle, whole."""
        outcome, value, reason = _ended(trial)
        run_id = self._new_id(trial)
        manifest = Manifest(
            run_id=run_id,
            experiment=self._spec.id,
            status=outcome,
            iteration=view.runs + offset,
            role=ROLE,
            fidelity_tier=self._tier,
            executor_class=self._spec.executor_class,
            generation=view.generation,
            metric=self._spec.metric,
            metric_direction=self._spec.metric_direction,
            owner=machine.this_process(IMPORTER),
            started_at=trial.started_at or trial.ended_at or self._root.now(),
            completed_at=trial.ended_at,
            wall_s=_seconds(trial),
            value=value,
            reason=reason,
            durability=self._spec.durability,
            origin=Origin(
                kind=IMPORTED, strategy=STRATEGY, number=self._highest + offset, note=self._note(trial)
            ),
        )  # fmt: skip
        bundles.open_bundle(self._root, manifest, _files(trial, manifest))
        return manifest

    def _new_id(self, trial: Trial) -> str:
        """An id after the moment at which the trial began; no other run of the lab has it."""
        begun = trial.started_at or trial.ended_at or self._root.now()
        moment = datetime.strptime(begun, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
        while (run_id := ids.new_run_id(moment, ROLE)) in self._taken:
            moment += timedelta(microseconds=1)
        self._taken.add(run_id)
        return run_id


def _seconds(trial: Trial) -> float:
    if not (trial.started_at and trial.ended_at):
        return 0.0
    start, end = (datetime.fromisoformat(each) for each in (trial.started_at, trial.ended_at))
    return max(0.0, (end - start).total_seconds())


def _files(trial: Trial, manifest: Manifest) -> dict[str, bytes]:
    numbers = {
        name: value
        for name, value in trial.attributes.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    }
    told: dict[str, object] = {"metric": manifest.metric, "value": manifest.value, "iteration": manifest.iteration}
    files = {
        layout.PLAN: f"# Plan of {manifest.run_id}\n\n- imported: {manifest.origin.note if manifest.origin else ''}\n",
        layout.RESULT: closing.result_text(manifest) + _attributes(trial),
    }
    made = {name: canonical.plain(data).encode() for name, data in files.items()}
    made[layout.PARAMS] = canonical.page({name: _sayable(value) for name, value in trial.params.items()})
    made[layout.METRICS] = canonical.page({**numbers, **told})
    thinned = Thinned()
    for step, value in trial.curve:
        thinned.add(step, value)
    if thinned.points:
        made[layout.CURVE] = canonical.page(msgspec.to_builtins(Curve(points=thinned.points)))
    return made


def _sayable(value: object) -> object:
    """A parameter as JSON has it; what it has no word for becomes text."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    return value if value is None or isinstance(value, (str, int, float, bool)) else repr(value)


def _attributes(trial: Trial) -> str:
    listed = [f"- {text.line(name)}: {text.line(repr(value))}" for name, value in trial.attributes.items()]
    return "\n".join(["", "Attributes in Optuna:", "", *listed[:_SHOWN_ATTRIBUTES], ""]) if listed else ""
