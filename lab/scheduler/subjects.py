"""From the disk to a subject: what the pages of one experiment will be made from.

`resumed` goes on from the state in STATUS.json and reads only what the ledger says since; `rebuilt` reads every seal.
Both end in the same bytes, which is a test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, event, history, layout
from lab.core.errors import Corrupt
from lab.core.run import MAXIMIZE
from lab.core.subject import Finding, Place, Subject
from lab.projections import status, tables
from lab.store import bundles, files, ledger

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.core.run import Run
    from lab.core.seal import Seal
    from lab.core.view import View
    from lab.store.experiments import Loaded
    from lab.store.ledger import Entry
    from lab.store.root import Root

_RESULT_BYTES = 65_536
_EXCERPT_CHARS = 4_000


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """A subject with the table rows that are not on the disk yet: to be added, or to stand for the whole table."""

    subject: Subject
    metrics: bytes
    results: bytes
    whole: bool


def resumed(root: Root, experiment: str, loaded: Loaded) -> Pending | None:
    """What happened since the pages were written; None when history must be read from its beginning."""
    state = status.fold_state(files.read(root.layout.status(experiment)) or b"")
    if state is None or loaded.spec is None:
        return None
    view, place, sizes = state
    if view.spec != loaded.sha256 or sizes != _table_sizes(root, experiment):
        return None
    news = _since(root, experiment, place)
    if news is None:
        return None
    items, seals, last = news
    if not history.follows(view, items):
        return None
    view = history.fold(view, items)
    rows = [_rows(root, made) for made in _in_order(seals)]
    if any(problem for _, _, problem in rows):
        return None  # `rebuilt` finds it again and says so on the pages
    metrics, results = b"".join(row[0] for row in rows), b"".join(row[1] for row in rows)
    after = (sizes[0] + len(metrics), sizes[1] + len(results))
    subject = _subject(root, loaded, view, last or place, (), after)
    return Pending(subject=subject, metrics=metrics, results=results, whole=False)


def rebuilt(
    root: Root, experiment: str, loaded: Loaded, lines: Iterable[Entry], *, recorded_only: bool = False
) -> Pending:
    """The subject from every seal and every decision. Damage becomes findings; it stops nothing else.

    With `recorded_only`, seals that these lines do not name are left out: the past as of the last line.
    """
    entries = [entry for entry in lines if entry.line is not None and entry.line.event.experiment == experiment]
    findings = [_spec_finding(loaded)] if loaded.problem else []
    recorded = _recorded(entries)
    seals = _sealed(root, experiment, recorded, findings)
    if recorded_only:
        seals = [made for made in seals if made.run.run_id in recorded]
    direction = loaded.spec.metric_direction if loaded.spec else seals[-1].run.direction if seals else MAXIMIZE
    tier = loaded.spec.initial_fidelity_tier if loaded.spec else "default"
    view = history.begin(experiment, direction=direction, tier=tier, spec=loaded.sha256)
    decisions = [item for entry in entries if entry.line and (item := history.of_line(entry.line))]
    view = history.fold(view, [*decisions, *map(history.of_seal, seals)])
    metrics, results = [], []
    for made in seals:
        metrics_row, results_row, problem = _rows(root, made)
        metrics.append(metrics_row)
        results.append(results_row)
        if problem:
            findings.append(problem)
    name = loaded.spec.metric if loaded.spec else seals[-1].run.metric if seals else ""
    table = (b"".join(metrics), tables.results_header(name) + b"".join(results))
    mark = entries[-1].mark if entries else ledger.Mark()
    place = Place(seq=mark.seq, sha256=mark.sha256, end=mark.end)
    # Pages with findings are never resumed: a finding has no place in the fold, and would be forgotten.
    sizes = (-1, -1) if findings else (len(table[0]), len(table[1]))
    subject = _subject(root, loaded, view, place, tuple(findings), sizes)
    return Pending(subject=subject, metrics=table[0], results=table[1], whole=True)


def _since(root: Root, experiment: str, place: Place) -> tuple[list[history.Item], list[Seal], Place | None] | None:
    """Items and seals that the ledger names after a place; None when the ledger does not go on from there."""
    if files.size_of(root.layout.events) < place.end:
        return None
    items: list[history.Item] = []
    seals: list[Seal] = []
    last: Place | None = None
    first = True
    for entry in ledger.entries(root, place.end):
        if first and (entry.line is None or entry.line.prev != place.sha256):
            return None
        first = False
        if entry.line is None:
            return None
        if entry.line.event.experiment != experiment:
            continue
        last = Place(seq=entry.line.seq, sha256=entry.sha256, end=entry.end)
        if entry.line.event.type == event.RUN_SEALED:
            made = _confirmed(root, experiment, entry.line.event)
            if made is None:
                return None
            seals.append(made)
            items.append(history.of_seal(made))
        elif item := history.of_line(entry.line):
            items.append(item)
    return items, seals, last


def _confirmed(root: Root, experiment: str, recorded: event.Event) -> Seal | None:
    """The seal that a ledger line tells of, when it is there and the same."""
    try:
        found = bundles.load_seal(root.layout.run(experiment, recorded.run_id))
    except Corrupt:
        return None
    if found is None or canonical.digest(found[1]) != recorded.seal:
        return None
    return found[0]


def _recorded(entries: Sequence[Entry]) -> dict[str, str]:
    """Run id -> digest of its seal, as the ledger has it."""
    return {
        entry.line.event.run_id: entry.line.event.seal
        for entry in entries
        if entry.line is not None and entry.line.event.type == event.RUN_SEALED
    }


def _sealed(root: Root, experiment: str, recorded: Mapping[str, str], findings: list[Finding]) -> list[Seal]:
    """Every seal that can be believed, in the order of history. The others become findings."""
    seals = []
    present = bundles.names(root, experiment)
    for run_id in present:
        where = f"experiments/{experiment}/runs/{run_id}"
        try:
            found = bundles.load_seal(root.layout.run(experiment, run_id))
        except (Corrupt, OSError) as error:
            findings.append(Finding(what=f"the seal cannot be read: {error}".split("\n")[0], where=where, fix=_VERIFY))
            continue
        if found is None:
            if run_id in recorded:
                findings.append(Finding(what="a sealed run lost its seal", where=where, fix=_VERIFY))
            continue
        made, data = found
        if recorded.get(run_id, "") not in ("", canonical.digest(data)):
            what = "the seal is not the one that the ledger recorded; the run is not counted"
            findings.append(Finding(what=what, where=where, fix=_VERIFY))
        elif made.run.experiment != experiment:
            what = f"this bundle belongs to {made.run.experiment}; the run is not counted"
            findings.append(Finding(what=what, where=where, fix=_VERIFY))
        else:
            seals.append(made)
    gone = set(recorded) - set(present)
    for run_id in sorted(gone):
        where = f"experiments/{experiment}/runs/{run_id}"
        findings.append(Finding(what="a sealed run is gone", where=where, fix=_VERIFY))
    return _in_order(seals)


_VERIFY = "labctl verify shows the damage; restore the files from a backup"


def _in_order(seals: Iterable[Seal]) -> list[Seal]:
    return sorted(seals, key=lambda made: history.of_seal(made).key)


def _rows(root: Root, made: Seal) -> tuple[bytes, bytes, Finding | None]:
    """A run's lines in the two tables. An edited metrics.json is not quoted: the sealed value stands."""
    path = root.layout.run(made.run.experiment, made.run.run_id)
    problem = None
    read: dict[str, Mapping[str, object]] = {}
    for name in (layout.METRICS, layout.PARAMS):
        data = bundles.sealed_bytes(path, name, made)
        if data is None and name in made.files:
            where = f"experiments/{made.run.experiment}/runs/{made.run.run_id}/{name}"
            problem = Finding(what="a sealed file was changed or is gone", where=where, fix=_VERIFY)
        read[name] = mapping(data)
    params = read[layout.PARAMS] if layout.PARAMS in made.files else None
    return tables.metrics_line(made.run, read[layout.METRICS], params), tables.results_line(made.run), problem


def mapping(data: bytes | None) -> dict[str, object]:
    """A JSON object, or an empty one for anything else: an executor may have written `[1]` there."""
    if data is None:
        return {}
    try:
        return msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _spec_finding(loaded: Loaded) -> Finding:
    problem = loaded.problem
    if problem is None:
        return Finding(what="")
    return Finding(what=problem.what, where=problem.where, fix=problem.fix or "mend SPEC.yaml, then: labctl validate")


def _subject(  # the parts of a subject
    root: Root,
    loaded: Loaded,
    view: View,
    place: Place,
    findings: tuple[Finding, ...],
    sizes: tuple[int, int],
) -> Subject:
    best = view.best
    told = {run.run_id: run for run in (*view.recent, *([best] if best else []))}
    results = {run_id: _result(root, run) for run_id, run in told.items()}
    baton = _baton(results.get(view.last.run_id, "")) if view.last else ""
    return Subject(
        view=view,
        spec=loaded.spec,
        place=place,
        best_params=_params(root, best) if best else None,
        results={run_id: text[:_EXCERPT_CHARS] for run_id, text in results.items()},
        baton=baton,
        findings=findings,
        table_bytes=sizes,
    )


def _result(root: Root, run: Run) -> str:
    path = f"{root.layout.run(run.experiment, run.run_id)}/{layout.RESULT}"
    return (files.read_head(path, _RESULT_BYTES) or b"").decode(errors="replace")


def _params(root: Root, best: Run) -> dict[str, object] | None:
    """The parameters of the best run, as they were sealed."""
    path = root.layout.run(best.experiment, best.run_id)
    found = bundles.load_seal(path)
    if found is None or layout.PARAMS not in found[0].files:
        return None
    return mapping(bundles.sealed_bytes(path, layout.PARAMS, found[0]))


def _baton(result: str) -> str:
    """The `## Next` section of a result: what the run hands to the next one."""
    lines = result.splitlines()
    for number, line in enumerate(lines):
        if line.strip().lower() in ("## next", "## next steps", "## next step"):
            rest = lines[number + 1 :]
            end = next((k for k, text in enumerate(rest) if text.startswith(("# ", "## "))), len(rest))
            return "\n".join(rest[:end]).strip()[:_EXCERPT_CHARS]
    return ""


def _table_sizes(root: Root, experiment: str) -> tuple[int, int]:
    first = files.size_of(root.layout.page(experiment, layout.METRICS_LOG))
    return first, files.size_of(root.layout.page(experiment, layout.RESULTS))
