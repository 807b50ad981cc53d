"""The log of another harness as the beginning of a code loop of ours: its runs are sealed as what they are, claims.

No claim has a value here, is the best of anything, or is compared with what was measured: our own baseline is the first
thing that the loop measures. Safe to repeat and to interrupt: what is here already is passed over, so a log that has
grown is imported again.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import msgspec

from lab.core import candidate, canonical, ids, layout, peers_log
from lab.core.errors import BadInput, Corrupt, NotFound, Unavailable
from lab.core.manifest import Manifest
from lab.core.origin import IMPORTED, Origin
from lab.core.peers_log import PeersLog  # msgspec resolves annotations
from lab.core.run import FAILED, SUCCESS
from lab.core.view import ARCHIVED
from lab.projections import text
from lab.scheduler import closing, cycle, reclaim, refresh
from lab.scheduler.loop import started
from lab.scheduler.loop.settings import Settings
from lab.scheduler.results import table
from lab.store import bundles, contents, experiments, machine, reading
from lab.store.repository import repository

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lab.core.peers_log import Entry
    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root

IMPORTER, ROLE = "import", "imported"
ASI_BYTES = 16_384
_MORE_RUNS = 20
_WHY = "another harness says so; it was not measured here"
_NEVER = "the commit that it names is not in this repository"


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """A log, and the folder whose code it is about."""

    path: str
    workspace: str
    log: PeersLog
    others: tuple[str, ...] = ()  # logs that lie beside it, and were not read


class Brought(msgspec.Struct, frozen=True, kw_only=True):
    """What came over."""

    experiment: str
    path: str
    source: str
    form: str
    segments: int
    runs: int  # brought by this call
    kept: int  # of those, as the log says
    known: int  # here already
    commits_found: int  # (0 with --dry-run) different commits that the log names and the workspace's repository has
    commits_missing: int
    made: bool  # whether the experiment was made by this call
    warnings: tuple[str, ...] = ()


def read(given: str, workspace: str) -> Source:
    """The log at a path, or in a folder. It is only read. `BadInput` names each line that cannot be understood."""
    path = os.path.abspath(os.path.expanduser(given))
    others: tuple[str, ...] = ()
    if os.path.isdir(path):
        there = [name for name in peers_log.LOGS if reading.is_file(f"{path}/{name}")]
        if not there:
            raise NotFound(
                "this folder has no log of a code loop", where=path, fix=f"it would be {', '.join(peers_log.LOGS)}"
            )
        path, others = f"{path}/{there[0]}", tuple(there[1:])
    if not reading.is_file(path):
        raise NotFound("there is no such log", where=path, fix="name a results.tsv, an autoresearch.jsonl or a folder")
    if reading.size_of(path) > peers_log.LARGEST_BYTES:
        raise BadInput(f"this log has more than {peers_log.LARGEST_BYTES >> 20} MiB", where=path, fix="split it")
    log = peers_log.parse(reading.read(path) or b"", path)
    if not log.entries:
        raise BadInput("this log tells of no run", where=path, fix="there is nothing to go on from: autoresearch start")
    beside = os.path.dirname(path)
    if os.path.basename(beside) == ".auto":
        beside = os.path.dirname(beside)
    return Source(path=path, workspace=workspace or beside, log=log, others=others)


def settings(source: Source, said: Settings) -> Settings:
    """What a loop that goes on from this log starts with: what was said, else what the log says, else what is seen."""
    last = len(source.log.segments) - 1
    segment = source.log.segments[last]
    known = Settings(
        workspace=os.path.abspath(os.path.expanduser(source.workspace)),
        metric=segment.metric,
        direction=peers_log.direction(source.log, last),
        goal=text.line(segment.name, text.LINE_CHARS),
        new_id=said.new_id,
    )
    given = {name: getattr(said, name) or getattr(known, name) for name in Settings.__struct_fields__}
    defaults = started.seen(source.workspace).defaults
    whole = started.filled(Settings(**{**given, "workspace": known.workspace}), defaults)
    if not whole.direction:
        fix = "say which is better: --direction lower, or --direction higher"
        raise BadInput(f"the log does not tell whether a lower {whole.metric} is better", where=source.path, fix=fix)
    if not whole.measure:
        fix = "say what measures the code: --measure 'python3 train.py'"
        raise BadInput("a loop that goes on has to measure, and nothing here does", where=whole.workspace, fix=fix)
    more = said.iterations or _MORE_RUNS
    return msgspec.structs.replace(whole, iterations=len(source.log.entries) + more)  # imported runs count too


def bring(  # what, into what, and by whom
    root: Root,
    source: Source,
    chosen: Settings,
    *,
    actor: str,
    dry_run: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Brought:
    """Make the experiment, unless it is here, and seal what the log tells that is not here yet."""
    name = chosen.new_id
    is_here = os.path.isdir(root.layout.experiment(name))
    if is_here:
        _refuse_another(root, name, chosen)
    else:
        started.begin(root, chosen, actor=actor, dry_run=dry_run)
    # Looking a commit up makes the lab's own door to the repository: not where nothing is to be done.
    commits = {} if dry_run else _commits(root, chosen.workspace, name, source.log)
    found = [each for each in commits.values() if each]
    fresh: Sequence[Entry] = source.log.entries
    warnings = [f"{other} lies beside it and was not read" for other in source.others]
    if is_here or not dry_run:
        with root.section(name):
            view, loaded = cycle.observe(root, name)
            intake = _Intake(root, cycle.usable(loaded), source, commits)
            fresh = intake.fresh()
            if not dry_run:
                intake.take(view, fresh, progress)
        warnings += _warnings(intake.spec, view, len(fresh))
    if not dry_run:
        refresh.lab_pages(root)
    return Brought(
        experiment=name,
        path=root.layout.experiment(name),
        source=source.path,
        form=source.log.form,
        segments=len(source.log.segments),
        runs=len(fresh),
        kept=sum(each.status == candidate.KEEP for each in fresh),
        known=len(source.log.entries) - len(fresh),
        commits_found=len(found),
        commits_missing=len(commits) - len(found),
        made=not is_here and not dry_run,
        warnings=tuple(warnings),
    )


def _refuse_another(root: Root, name: str, chosen: Settings) -> None:
    """An experiment of this id that is about something else must not be filled with a stranger's history."""
    experiments.require(root, name)
    spec = experiments.load(root, name).spec
    if spec is None or spec.executor != "reference" or spec.metric != chosen.metric:
        what = f"there is an experiment {name} already, and it is no code loop with the metric {chosen.metric}"
        raise BadInput(what, where=root.layout.experiment(name), fix=f"--id {name}-2")
    with root.section(name):
        view, _ = cycle.observe(root, name)
    if view.phase == ARCHIVED:
        raise BadInput(f"{name} is archived", fix=f"labctl archive {name} --restore")


def _warnings(spec: Spec, view: View, fresh: int) -> list[str]:
    total = view.runs + fresh
    if total < spec.max_iterations_total:
        return []
    what = f"max_iterations_total is {spec.max_iterations_total} and counts these runs too: {total} with them"
    return [f"{what}; raise it, or the experiment is complete at its next turn"]


def _commits(root: Root, workspace: str, name: str, log: PeersLog) -> dict[str, str]:
    """Every commit that the log names, and the whole id of those that the workspace's repository has."""
    named = list(dict.fromkeys(each.commit for each in log.entries if each.commit))
    own = f"{root.layout.experiment(name)}/code.git"
    try:
        place = repository.opened(root.files, workspace, own=own, mode="git-worktree", now=root.world.now)
    except (BadInput, Unavailable):
        return dict.fromkeys(named, "")  # no repository, or one that the loop will refuse in its own words
    return {each: place.commit_of(each) for each in named}


class _Intake:
    """One import into one experiment. Inside its section."""

    def __init__(self, root: Root, spec: Spec, source: Source, commits: dict[str, str]) -> None:
        self.spec = spec
        self._root = root
        self._source = source
        self._commits = commits
        self._told = text.line(canonical.plain(source.path), 1000)
        self._taken = {run_id for name in experiments.names(root) for run_id in bundles.names(root, name)}

    def fresh(self) -> list[Entry]:
        """What is not here yet."""
        lines = table.read(self._root, self.spec.id).lines
        here = {line.origin.note for line in lines if line.origin and line.origin.kind == IMPORTED}
        return [each for each in self._source.log.entries if self._note(each) not in here]

    def take(self, view: View, fresh: Sequence[Entry], progress: Callable[[int, int], None] | None) -> None:
        begun = self._begun()
        for offset, each in enumerate(fresh, start=1):
            if progress is not None:
                progress(offset - 1, len(fresh))
            run_id = begun.get(self._note(each), "")
            sealed = bundles.load_seal(self._root.layout.run(self.spec.id, run_id)) if run_id else None
            if sealed is not None:
                reclaim.adopt(self._root, *sealed)
                continue
            manifest = self._manifest(run_id) if run_id else self._open(each, view, offset)
            self._notes(each, manifest.run_id)
            stock = contents.take_stock(self._root, self.spec.id, manifest.run_id, durability=self.spec.durability)
            bundles.publish(
                self._root, manifest.run(), view.generation, sealed_by=IMPORTER, durability=self.spec.durability,
                contents=stock, imported_from=self._told,
            )  # fmt: skip
        refresh.catch_up(self._root, self.spec.id)

    def _begun(self) -> dict[str, str]:
        """Bundles of an import that was killed, by their notes: not sealed, or not in the ledger."""
        found = {}
        for run_id in bundles.names(self._root, self.spec.id):
            if not run_id.endswith(f"-{ROLE}"):
                continue
            try:
                manifest = bundles.load_manifest(self._root.layout.run(self.spec.id, run_id))
            except Corrupt:
                continue
            if manifest is not None and manifest.origin is not None and manifest.owner.name == IMPORTER:
                found[manifest.origin.note] = run_id
        return found

    def _note(self, each: Entry) -> str:
        """What a run is known by here: not by its file's folder, which may be moved, and not by its words."""
        name = os.path.basename(self._source.path)
        return text.line(f"run {each.run}, line {each.line}, of segment {each.segment + 1} of {name}")

    def _manifest(self, run_id: str) -> Manifest:
        found = bundles.load_manifest(self._root.layout.run(self.spec.id, run_id))
        if found is None:
            raise Corrupt("a bundle lost its manifest", where=self._root.layout.run(self.spec.id, run_id))
        return found

    def _open(self, each: Entry, view: View, offset: int) -> Manifest:
        """The bundle, whole but for the proposer's notes."""
        segment = self._source.log.segments[each.segment]
        commit = self._commits.get(each.commit, "")
        moment = datetime.fromtimestamp(each.at_s, UTC) if each.at_s is not None else self._root.world.now()
        told = f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"
        way = peers_log.direction(self._source.log, each.segment) or self.spec.metric_direction
        worked = each.status in (candidate.KEEP, candidate.DISCARD)
        manifest = Manifest(
            run_id=self._new_id(moment),
            experiment=self.spec.id,
            status=SUCCESS if worked else FAILED,
            iteration=view.runs + offset,
            role=ROLE,
            fidelity_tier=view.tier,
            executor="reference",
            executor_class=self.spec.executor_class,
            generation=view.generation,
            metric=segment.metric,
            metric_direction=way,
            owner=machine.this_process(IMPORTER),
            started_at=told,
            completed_at=told,
            verdict=each.status,
            reason=_WHY if commit or not each.commit else f"{_WHY}; {_NEVER}: {each.commit}",
            note=text.line(each.description, 500),
            durability=self.spec.durability,
            origin=Origin(kind=IMPORTED, note=self._note(each)),
            candidate=candidate.Candidate(
                kind=candidate.IMPORTED,
                commit=commit,
                claimed=each.value,
                named="" if commit else each.commit,
                unit=text.line(segment.unit),
                confidence=each.confidence,
                memory_mb=None if each.memory_gb is None else each.memory_gb * 1024,
                why=_WHY,
            ),
        )
        plan = f"# Plan of {manifest.run_id}\n\n- imported: {self._note(each)}\n"
        numbers: dict[str, object] = {**each.metrics, "metric": segment.metric, "value": None}
        files = {
            layout.PLAN: canonical.plain(plan).encode(),
            layout.RESULT: canonical.plain(closing.result_text(manifest)).encode(),
            layout.METRICS: canonical.page({**numbers, "claimed": each.value, "iteration": manifest.iteration}),
        }
        bundles.open_bundle(self._root, manifest, files)
        return manifest

    def _notes(self, each: Entry, run_id: str) -> None:
        """What its proposer noted. Made after the bundle, so a killed import may have left it out."""
        if not each.asi:
            return
        data = canonical.page(each.asi)
        if len(data) > ASI_BYTES:
            data = canonical.page({"left_out": f"{len(data)} bytes in line {each.line} of the log"})
        folder = f"{self._root.layout.run(self.spec.id, run_id)}/{layout.ARTIFACTS}"
        self._root.files.folder(folder)
        self._root.files.replace(f"{folder}/{os.path.basename(layout.ASI)}", data)

    def _new_id(self, moment: datetime) -> str:
        """An id after the moment that the log tells; no other run of the lab has it."""
        while (run_id := ids.new_run_id(moment, ROLE)) in self._taken:
            moment += timedelta(microseconds=1)
        self._taken.add(run_id)
        return run_id
