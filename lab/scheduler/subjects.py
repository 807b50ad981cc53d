"""From the disk to a subject: what the pages of one experiment will be made from.

`resumed` goes on from the state in STATUS.json and reads only what the ledger says since; `rebuilt` reads every seal.
Both end in the same bytes, which is a test.
"""

from __future__ import annotations

import heapq
from operator import attrgetter
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, history, layout, measured, pursuit
from lab.core.errors import Corrupt
from lab.core.run import MAXIMIZE
from lab.core.seal import Seal
from lab.core.subject import Finding, Place, Subject
from lab.projections import status
from lab.scheduler import rows
from lab.store import archives, bundles, experiments, ledger, reading
from lab.store.experiments import Loaded

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.core.run import Run
    from lab.core.view import View, Waiting
    from lab.projections.status import State
    from lab.scheduler.recorded import Recorded
    from lab.scheduler.rows import Read
    from lab.store.archives import Kept
    from lab.store.root import Root

_RESULT_BYTES = 65_536
_EXCERPT_CHARS = 4_000


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A subject with the table rows that are not on the disk yet: to be added, or to stand for the whole table."""

    subject: Subject
    tables: tuple[bytes, ...]  # in the order of layout.TABLES; two of them, and two more of a code loop
    whole: bool
    runbook: bool  # whether RUNBOOK.md, which most runs leave as it is, can have changed


def resumed(root: Root, experiment: str, loaded: Loaded) -> Pending | None:
    """What happened since the pages were written; None when history must be read from its beginning."""
    state = _state(root, experiment, loaded)
    news = None if state is None else _since(root, experiment, state.place)
    if state is None or news is None or not history.follows(state.view, news.items):
        return None
    if loaded.spec is None and news.seals:  # without a SPEC the runs themselves say which way their metric goes
        return None
    if any(finding.where.startswith(place) for finding in state.findings for place in news.bundles):
        return None  # what was wrong with a run under way need not be wrong any more
    read = [rows.read(root, made) for made in sorted(news.seals, key=lambda made: history.of_seal(made).key)]
    whole = bool(read) and not state.view.runs  # only now it shows what kind of runs these are
    if whole:
        tables, sizes = rows.tables_of(loaded.spec, state.view, read), (0,) * len(layout.TABLES)
    else:
        grown = rows.grown(root, state.view, read, state.table_bytes)
        if grown is None:
            return None
        tables, sizes = grown, state.table_bytes
    view = history.fold(state.view, news.items)
    kept = held(loaded, view)
    if (kept is loaded) != (held(loaded, state.view) is loaded):  # begun before its SPEC was edited, and first to end
        return None
    subject = _subject(
        root,
        kept,
        view,
        news.last or state.place,
        (*state.findings, *(each.problem for each in read if each.problem)),
        tuple(size + len(table) for size, table in zip(sizes, tables, strict=False)),
    )
    announced = any(item.event and item.event.type == event.EXPERIMENT_CREATED for item in news.items)
    runbook = announced or len(subject.findings) > len(state.findings)
    return Pending(subject=subject, tables=tables, whole=whole, runbook=runbook)


def unchanged(root: Root, experiment: str, loaded: Loaded) -> View | None:
    """The view, if the pages are up to the ledger's end as they are; otherwise None."""
    state = _state(root, experiment, loaded)
    news = None if state is None else _since(root, experiment, state.place)
    return state.view if state is not None and news is not None and news.last is None else None


def held(loaded: Loaded, view: View) -> Loaded:
    """The same; or, where it makes results of one metric those of another, with that put back, and refused."""
    found = None
    if loaded.spec is not None and loaded.problem is None:
        found = measured.refusal(view, loaded.spec, f"experiments/{loaded.spec.id}/{layout.SPEC}")
    return loaded if found is None else msgspec.structs.replace(loaded, spec=found[0], problem=found[1])


def known(root: Root, experiment: str) -> Loaded:
    """The SPEC of an experiment as its pages let it count."""
    loaded, view = experiments.load(root, experiment), told(root, experiment)
    return loaded if view is None else held(loaded, view)


def told(root: Root, experiment: str) -> View | None:
    """The view that its pages were made from; None where there are none to be believed."""
    found = state(root, experiment)
    return None if found is None else found.view


def state(root: Root, experiment: str) -> State | None:
    """What its pages were made from; None where there are none to be believed."""
    return status.fold_state(reading.read(root.layout.status(experiment)) or b"")


def rebuilt(root: Root, experiment: str, loaded: Loaded, recorded: Recorded) -> Pending:
    """The subject from every seal and every decision. Damage becomes findings; it stops nothing else."""
    findings: list[Finding] = []
    told = _sealed(root, experiment, recorded, findings)
    kept, begun, view = _folded(experiment, loaded, recorded, told)
    tables = rows.tables_of(kept.spec, begun, told)
    sizes = tuple(len(table) for table in tables)
    subject = _subject(root, kept, view, recorded.last, (*spec_findings(kept), *findings), sizes)
    return Pending(subject=subject, tables=tables, whole=True, runbook=True)


def past(
    root: Root, experiment: str, recorded: Recorded, loaded: Loaded | None = None, *, noise: bool | None = None
) -> tuple[Subject, dict[str, Read]]:
    """The subject as of the last of these records, and its runs. Seals that they do not name are left out.

    No table is made: it is for pages that tell of what was. Without a SPEC it is told by what runs and decisions say,
    and `noise`, as it was declared then: nothing of it changes when the SPEC is edited later.
    """
    findings: list[Finding] = []
    told = _sealed(root, experiment, recorded, findings, recorded_only=True)
    kept, _, view = _folded(
        experiment, loaded or Loaded(spec=measured.as_told(experiment, [each.run for each in told])), recorded, told
    )
    if loaded is None and kept.spec is not None:
        view = msgspec.structs.replace(view, spec=view.announced)
        tiers = tuple(dict.fromkeys((*kept.spec.fidelity_tiers, view.tier)))
        executor = pursuit.EXECUTOR if view.pursuit is not None else kept.spec.executor
        spec = msgspec.structs.replace(kept.spec, fidelity_tiers=tiers, executor=executor, noise=noise)
        kept = Loaded(sha256=view.announced, spec=spec)
    subject = _subject(root, kept, view, recorded.last, tuple(findings), ())
    return subject, {each.key[2]: each for each in told}


def _folded(experiment: str, loaded: Loaded, recorded: Recorded, told: Sequence[Read]) -> tuple[Loaded, View, View]:
    """The SPEC as it counts, the view to which no run has happened, and the one to which all have."""
    begun, view = _folded_by(experiment, loaded, recorded, told)
    kept = held(loaded, view)
    return (kept, begun, view) if kept is loaded else (kept, *_folded_by(experiment, kept, recorded, told))


def _folded_by(experiment: str, loaded: Loaded, recorded: Recorded, told: Sequence[Read]) -> tuple[View, View]:
    last = told[-1].run if told else None
    direction = loaded.spec.metric_direction if loaded.spec else last.direction if last else MAXIMIZE
    tier = loaded.spec.initial_fidelity_tier if loaded.spec else "default"
    others = measured.directions(loaded.spec) if loaded.spec else {}
    begun = history.begin(experiment, direction=direction, directions=others, tier=tier, spec=loaded.sha256)
    place = attrgetter("key")
    decisions, runs = sorted(recorded.decisions, key=place), (each.item for each in told)
    return begun, history.fold_in_order(begun, heapq.merge(decisions, runs, key=place))


def _state(root: Root, experiment: str, loaded: Loaded) -> State | None:
    """What STATUS.json says to go on from, if the SPEC and the tables are still those that it was made from."""
    state = status.fold_state(reading.read(root.layout.status(experiment)) or b"")
    if state is None or state.view.spec != loaded.sha256:
        return None
    if not rows.are_whole(root, experiment, state.table_bytes):
        return None
    return state


class _News(msgspec.Struct, frozen=True, kw_only=True):
    """What the ledger names after a place. `last` is None when nothing concerns the experiment."""

    items: list[history.Item]
    seals: list[Seal]
    last: Place | None
    bundles: tuple[str, ...]  # the places of the runs that it names


def _since(root: Root, experiment: str, place: Place) -> _News | None:
    """What happened after a place; None when the ledger does not go on from there, or a seal is not as it says."""
    if reading.size_of(root.layout.events) < place.end:
        return None
    items: list[history.Item] = []
    seals: dict[str, Seal] = {}
    places: list[str] = []
    last: Place | None = None
    for number, entry in enumerate(ledger.mentioning(root, place.end, experiment)):
        if entry.line is None or (number == 0 and entry.line.prev != place.sha256):
            return None
        if entry.line.event.experiment != experiment:
            continue
        last = Place(seq=entry.line.seq, sha256=entry.sha256, end=entry.end)
        if entry.line.event.run_id:
            places.append(f"experiments/{experiment}/runs/{entry.line.event.run_id}")
        if entry.line.event.type == event.RUN_SEALED:
            made = _confirmed(root, experiment, entry.line.event)
            if made is None or entry.line.event.name:  # taken over: it may have been counted before this line came
                return None
            seals[made.run.run_id] = made  # a second line of a run is damage, which `verify` names: it counts once
        elif item := history.of_line(entry.line):
            items.append(item)
    items.extend(map(history.of_seal, seals.values()))
    return _News(items=items, seals=list(seals.values()), last=last, bundles=tuple(places))


def _confirmed(root: Root, experiment: str, recorded: event.Event) -> Seal | None:
    """The seal that a ledger line tells of, when it is there and the same."""
    try:
        found = bundles.load_seal(root.layout.run(experiment, recorded.run_id))
    except (Corrupt, OSError):
        return None
    if found is None or canonical.digest(found[1]) != recorded.seal:
        return None
    return found[0]


def _sealed(
    root: Root, experiment: str, recorded: Recorded, findings: list[Finding], *, recorded_only: bool = False
) -> list[Read]:
    """Every run whose seal can be believed, in the order of history. The others become findings.

    With `recorded_only` just those of the ledger, and without what the tables quote of them.
    """
    told: list[Read] = []
    present = dict.fromkeys(bundles.names(root, experiment))
    for run_id in present:
        if recorded_only and run_id not in recorded.seals:
            continue
        found = _believed(root, experiment, run_id, recorded.seals.get(run_id, ""))
        if isinstance(found, str):
            where = f"experiments/{experiment}/runs/{run_id}"
            findings.append(Finding(what=found, where=where, fix=rows.VERIFY))
        elif found is not None:
            run = rows.read(root, found, at=recorded.places.get(run_id, 0), quoted=not recorded_only)
            told.append(run)
            if run.problem:
                findings.append(run.problem)
    gone = set(recorded.seals) - set(present)
    for run in _archived(root, experiment, recorded, findings, recorded_only=recorded_only):
        if run.key[2] not in present:
            gone.discard(run.key[2])
            told.append(run)
    for run_id in sorted(gone):
        where = f"experiments/{experiment}/runs/{run_id}"
        findings.append(Finding(what=rows.GONE, where=where, fix=rows.VERIFY))
    return sorted(told, key=lambda run: run.key)


def _archived(
    root: Root, experiment: str, recorded: Recorded, findings: list[Finding], *, recorded_only: bool
) -> Iterator[Read]:
    """Every run that an archive's companion speaks for, once, as its bundle would have told it."""
    seen: set[str] = set()
    for found in archives.every(root, experiment):
        if not isinstance(found, tuple):
            findings.append(Finding(what=found.what, where=_relative(root, found.where), fix=rows.VERIFY))
            continue
        kept, made = found
        expected = recorded.seals.get(kept.run_id, "" if recorded_only else kept.seal_sha256)
        if kept.run_id not in seen and expected == kept.seal_sha256:
            seen.add(kept.run_id)
            at = recorded.places.get(kept.run_id, 0)
            yield rows.read(root, made, kept, at=at, quoted=not recorded_only)


def _believed(root: Root, experiment: str, run_id: str, recorded: str) -> Seal | str | None:
    """The seal of a bundle; why it cannot be believed; or None for a bundle that is not sealed."""
    path = root.layout.run(experiment, run_id)
    if not recorded and bundles.is_superseded(path):  # its program may live, and write a SEAL.json of its own
        return None
    try:
        found = bundles.load_seal(path)
    except Corrupt as error:
        return f"the seal cannot be read: {error.what}"
    except OSError as error:
        return f"the seal cannot be read: {error.strerror}"
    if found is None:
        return "a sealed run lost its seal" if recorded else None
    made, data = found
    if recorded not in ("", canonical.digest(data)):
        return "the seal is not the one that the ledger recorded; the run is not counted"
    if made.run.experiment != experiment:
        return f"this bundle belongs to {made.run.experiment}; the run is not counted"
    return made


def spec_findings(loaded: Loaded) -> tuple[Finding, ...]:
    """What is wrong with its SPEC, or nothing."""
    problem = loaded.problem
    if problem is None:
        return ()
    fix = problem.fix or "mend SPEC.yaml, then: labctl validate"
    return (Finding(what=problem.what, where=problem.where, fix=fix),)


def _subject(  # the parts of a subject
    root: Root,
    loaded: Loaded,
    view: View,
    place: Place,
    findings: tuple[Finding, ...],
    sizes: tuple[int, ...],
) -> Subject:
    best = view.best
    told = {run.run_id: run for run in (*view.recent, *([best] if best else []))}
    results = {run_id: _result(root, run) for run_id, run in told.items()}
    baton = _baton(results.get(view.last.run_id, "")) if view.last else ""
    return Subject(
        view=view,
        spec=loaded.spec,
        is_refused=loaded.problem is not None,
        place=place,
        best_params=_params(root, best) if best else None,
        results={run_id: text[:_EXCERPT_CHARS] for run_id, text in results.items()},
        baton=baton,
        findings=findings,
        proposed={each.proposal: params for each in view.waiting if (params := _proposed(root, each))},
        table_bytes=sizes,
    )


def _proposed(root: Root, waiting: Waiting) -> dict[str, object]:
    """The parameters that a proposal asks for; none of a file that was changed, which nobody can approve."""
    data = reading.read_head(root.layout.proposal(waiting.proposal), _RESULT_BYTES)
    if data is None:  # of a day that is past: it was ruled on since
        data = reading.read_head(root.layout.ruled_on(waiting.proposal), _RESULT_BYTES)
    if data is None or canonical.digest(data) != waiting.sha256:
        return {}
    params = rows.mapping(data).get("params")
    return params if isinstance(params, dict) else {}


def _result(root: Root, run: Run) -> str:
    path = f"{root.layout.run(run.experiment, run.run_id)}/{layout.RESULT}"
    data = reading.read_head(path, _RESULT_BYTES)
    if data is None and (archived := _find(root, run)):
        data = archived[0].result
    return (data or b"").decode(errors="replace")


def _params(root: Root, best: Run) -> dict[str, object] | None:
    """The parameters of the best run, as they were sealed."""
    path = root.layout.run(best.experiment, best.run_id)
    try:
        found = bundles.load_seal(path)
    except (Corrupt, OSError):
        return None  # damaged since it was folded; `refresh` and `verify` name it
    if found is None:
        archived = _find(root, best)
        if archived is None or layout.PARAMS not in archived[1].files:
            return None
        return rows.mapping(archived[0].quoted(layout.PARAMS, archived[1]))
    if layout.PARAMS not in found[0].files:
        return None
    return rows.mapping(bundles.sealed_bytes(path, layout.PARAMS, found[0]))


def _find(root: Root, run: Run) -> tuple[Kept, Seal] | None:
    """What is kept of a run whose bundle was archived. No best is, until a new SPEC makes another run the best."""
    if reading.is_folder(root.layout.run(run.experiment, run.run_id)):
        return None
    found = archives.find(root, run.experiment, run.run_id)
    return found[1:] if found else None


def _relative(root: Root, path: str) -> str:
    return path.removeprefix(f"{root.layout.root}/")


def _baton(result: str) -> str:
    """The `## Next` section of a result: what the run hands to the next one."""
    lines = result.splitlines()
    for number, line in enumerate(lines):
        if line.strip().lower() in ("## next", "## next steps", "## next step"):
            rest = lines[number + 1 :]
            end = next((k for k, text in enumerate(rest) if text.startswith(("# ", "## "))), len(rest))
            return "\n".join(rest[:end]).strip()[:_EXCERPT_CHARS]
    return ""
