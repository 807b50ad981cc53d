"""One run, read for its page: sealed, archived, under way, superseded or lost. Writes nothing.

Whatever lies in a bundle was put there by a run, and may be gone by the next look: what cannot be read is said in the
page's `problems`, and the rest is shown. Nothing is read through a link, and nothing without a bound. What was sealed
and is no longer as it was sealed is not shown as if it were.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, ids, layout
from lab.core.errors import BadInput, LabError, NotFound, Unavailable
from lab.core.manifest import Manifest
from lab.core.parameter import same
from lab.core.record import parse
from lab.projections import data, status
from lab.projections.picture.run import ARCHIVED, LOST, RUNNING, SEALED, SUPERSEDED, Differs, Log, RunPage
from lab.scheduler.placing import placed
from lab.scheduler.results import coded, filed, located, tailed
from lab.scheduler.results.bundle import Bundle
from lab.scheduler.results.filed import why
from lab.store import contents, experiments, inside, leases, reading
from lab.store.refusals import refused

if TYPE_CHECKING:
    from lab.core.candidate import Candidate
    from lab.scheduler.results.located import Located
    from lab.store.root import Root

TEXT_BYTES = 200_000
MOST_METRICS, METRIC_CHARS = 200, 1_000
MOST_DIFFERING = 200
MOST_PROBLEMS = 50
PATCH = f"{layout.ARTIFACTS}/diff.patch"


def read(root: Root, run_id: str, *, log_lines: int = 200, check: bool = False) -> RunPage:
    """All that its page shows. `NotFound` for a run that is not there; nothing else is raised.

    `check` hashes every sealed file again, which takes as long as the disk takes to read them. Without it a file is
    told as changed where its size is another, and `intact` is not known.
    """
    problems: list[str] = []
    with located.one_at_a_time(root, run_id):
        page = _read(root, run_id, problems, log_lines=log_lines, check=check)
    told = list(dict.fromkeys(problems))
    if len(told) > MOST_PROBLEMS:
        told[MOST_PROBLEMS:] = [f"and {len(told) - MOST_PROBLEMS:,} more"]
    return msgspec.structs.replace(page, problems=tuple(told))


def _read(root: Root, run_id: str, problems: list[str], *, log_lines: int, check: bool) -> RunPage:
    found = _found(root, run_id, problems)
    with Bundle(root, found, problems) as bundle:
        page = _about(root, bundle)
        page = _given(root, bundle, page)
        page = _wrote(root, bundle, page, log_lines)
        page = _code(root, bundle, page)
        return filed.listed(bundle, page, check=check)


def fetch(root: Root, run_id: str, name: str) -> tuple[int, int]:
    """A file of a bundle to be handed out: its open descriptor, which is the caller's to close, and its size.

    `NotFound` for a name that leads elsewhere or that the seal does not list. What has another size than was sealed is
    refused; another content of the same size is not noticed here.
    """
    with located.one_at_a_time(root, run_id):
        return _fetched(root, run_id, name)


def _fetched(root: Root, run_id: str, name: str) -> tuple[int, int]:
    found = _found(root, run_id, [])
    if found.kept is not None:
        fix = f"labctl prune --restore {found.archive}"
        raise Unavailable(f"the files of {run_id} are in an archive", where=found.path, fix=fix)
    sealed = found.made.files.get(name) if found.made is not None else None
    if not inside.parts_of(contents.name_on_disk(name)) or (found.made is not None and sealed is None):
        raise NotFound(f"{run_id} has no file of that name", fix=f"labctl show {run_id} lists its files")
    try:
        at = inside.folder(root.layout.runs(found.experiment), run_id)
        try:
            descriptor = inside.opened(at, contents.name_on_disk(name))
        finally:
            os.close(at)
    except FileNotFoundError:
        raise NotFound(f"{run_id} has no file of that name", fix=f"labctl show {run_id} lists its files") from None
    except OSError as error:
        what = f"this cannot be handed out: {why(error)}"
        raise Unavailable(what, where=found.path, fix="look at the bundle's folder") from None
    size = os.fstat(descriptor).st_size
    if sealed is not None and (size != sealed.size or sealed.link):
        os.close(descriptor)
        what = f"this is not what was sealed: it has {size:,} bytes instead of {sealed.size:,}"
        raise Unavailable(what, where=found.path, fix="labctl verify names what was changed")
    return descriptor, size


def _found(root: Root, run_id: str, problems: list[str]) -> Located:
    """Where it lies, also when what it is cannot be read."""
    try:
        return located.find(root, ids.run_id(run_id))
    except NotFound:
        raise
    except BadInput as refusal:
        raise NotFound(f"there is no run {run_id[:200]}", fix=refusal.fix) from None
    except (LabError, OSError) as trouble:
        for name in experiments.names(root):
            path = root.layout.run(name, run_id)
            if os.path.lexists(path):
                problems.append(_words(trouble))
                return located.Located(run_id=run_id, experiment=name, path=path)
        raise (refused(trouble) if isinstance(trouble, OSError) else trouble) from None


def _about(root: Root, bundle: Bundle) -> RunPage:
    """What it was, as its seal says; or as it set out, while it has none."""
    found, made = bundle.found, bundle.made
    if made is None:
        return _unsealed(root, bundle)
    run = made.run
    page = RunPage(
        run_id=found.run_id,
        experiment=found.experiment,
        state=SEALED if found.kept is None else ARCHIVED,
        outcome=run.outcome,
        verdict=run.verdict,
        value=run.value,
        metric=run.metric,
        direction=run.direction,
        tier=run.tier,
        role=run.role,
        iteration=run.iteration,
        started_at=run.started_at,
        ended_at=run.ended_at,
        wall_s=run.wall_s,
        cost=run.cost,
        worker=run.worker,
        reason=run.reason,
        note=run.note,
        origin=run.origin,
        candidate=run.candidate,
        generation=made.generation,
        sealed_at=made.sealed_at,
        sealed_by=made.sealed_by,
        seal_sha256=_digest(bundle),
    )
    if found.kept is not None:
        here = "" if reading.is_file(found.path) else ", which is not here"
        fix = f"labctl prune --restore {found.archive}"
        bundle.problems.append(f"its files are in the archive {found.archive}{here}: {fix}")
    manifest = _manifest(bundle)
    return page if manifest is None else msgspec.structs.replace(page, revision=manifest.revision, seed=manifest.seed)


def _digest(bundle: Bundle) -> str:
    """Of the seal itself, as the ledger knows it."""
    if bundle.found.kept is not None:
        return bundle.found.kept.seal_sha256
    seal = bundle.whole(layout.SEAL)
    return "" if seal is None else canonical.digest(seal)


def _unsealed(root: Root, bundle: Bundle) -> RunPage:
    found = bundle.found
    state, where = _standing(root, bundle)
    page = RunPage(run_id=found.run_id, experiment=found.experiment, state=state, where=where)
    manifest = _manifest(bundle)
    if manifest is None:
        return page
    return msgspec.structs.replace(
        page,
        metric=manifest.metric,
        direction=manifest.metric_direction,
        tier=manifest.fidelity_tier,
        role=manifest.role,
        iteration=manifest.iteration,
        started_at=manifest.started_at,
        worker=manifest.worker or manifest.owner.name,
        reason=manifest.reason,
        note=manifest.note,
        origin=manifest.origin,
        candidate=manifest.candidate,
        generation=manifest.generation,
        revision=manifest.revision,
        program=manifest.usage.program,
        seed=manifest.seed,
    )


def _standing(root: Root, bundle: Bundle) -> tuple[str, str]:
    """Whether somebody has it, and where, in an engine's case."""
    if bundle.has(layout.SUPERSEDED):
        return SUPERSEDED, ""
    try:
        held = leases.survey(root, bundle.found.experiment).held
        if all(each.seen.claim.run_id != bundle.found.run_id for each in held):
            bundle.problems.append("it has no seal, and nobody has it any more: labctl watchdog --repair settles it")
            return LOST, ""
        at = placed.of(root, bundle.found.experiment, bundle.found.run_id)
    except (LabError, OSError) as trouble:
        bundle.problems.append(f"whether it is under way cannot be read: {_words(trouble)}")
        return LOST, ""
    return RUNNING, "" if at is None else placed.line(at)


def _manifest(bundle: Bundle) -> Manifest | None:
    written = bundle.whole(layout.MANIFEST)
    if written is None:
        return None
    try:
        return parse(Manifest, written, layout.MANIFEST)
    except LabError as trouble:
        bundle.problems.append(_words(trouble))
        return None


def _given(root: Root, bundle: Bundle, page: RunPage) -> RunPage:
    """Its parameters, and those of the best of its tier."""
    params = bundle.mapping(layout.PARAMS)
    page = msgspec.structs.replace(page, params=params)
    try:
        against = _best(root, page)
        other = params if against in ("", page.run_id) else _others(root, against, bundle.problems)
    except (LabError, OSError) as trouble:
        bundle.problems.append(f"it cannot be held against the best: {_words(trouble)}")
        return page
    if params is None or other is None:
        return msgspec.structs.replace(page, against=against)
    names = [*params, *(name for name in other if name not in params)]
    unlike = [
        Differs(name=name, here=params.get(name), there=other.get(name), has=(name in params, name in other))
        for name in names
        if name not in params or name not in other or not same(params[name], other[name])
    ]
    if len(unlike) > MOST_DIFFERING:
        bundle.problems.append(f"of {len(unlike):,} parameters that differ from the best's, {MOST_DIFFERING} are shown")
    shown = tuple(unlike[:MOST_DIFFERING])
    return msgspec.structs.replace(page, against=against, differs=shown, alike=len(names) - len(unlike))


def _others(root: Root, run_id: str, problems: list[str]) -> dict[str, object] | None:
    """The parameters of another run, as they were sealed."""
    theirs: list[str] = []
    with located.one_at_a_time(root, run_id), Bundle(root, located.find(root, run_id), theirs) as bundle:
        params = bundle.mapping(layout.PARAMS)
    problems.extend(f"it cannot be held against the best: its {each}" for each in theirs)
    return params


def _best(root: Root, page: RunPage) -> str:
    """The best of its tier: of a code loop what was kept last, which was measured beside what it beat."""
    state = status.fold_state(reading.read(root.layout.status(page.experiment)) or b"")
    tier = state.view.tiers.get(page.tier) if state is not None else None
    return tier.best.run_id if tier is not None and tier.best is not None else ""


def _wrote(root: Root, bundle: Bundle, page: RunPage, log_lines: int) -> RunPage:
    """What it set out to do, what it says came of it, what it measured and what it printed."""
    metrics = bundle.mapping(layout.METRICS) or {}
    if len(metrics) > MOST_METRICS:
        bundle.problems.append(f"of {len(metrics):,} metrics the first {MOST_METRICS} are shown")
    streams = () if bundle.found.kept is not None else tuple(tailed.STREAMS)
    logs = {name: _log(root, bundle, name, max(log_lines, 0)) for name in streams}
    return msgspec.structs.replace(
        page,
        plan=bundle.text(layout.PLAN, TEXT_BYTES)[0],
        result=bundle.text(layout.RESULT, TEXT_BYTES)[0],
        metrics={name: _bounded(metrics[name]) for name in list(metrics)[:MOST_METRICS]},
        logs=logs,
    )


def _bounded(value: object) -> object:
    """A metric as the page can hold it: a list of a million numbers is cut, and looks cut."""
    if value is None or isinstance(value, bool | int | float):
        return value
    written = value if isinstance(value, str) else data.encode(value).decode()
    return value if len(written) <= METRIC_CHARS else written[:METRIC_CHARS] + "…"


def _log(root: Root, bundle: Bundle, stream: str, count: int) -> Log:
    if bundle.at < 0:
        return Log(problem="its bundle cannot be read")
    try:
        tail = tailed.of(root, bundle.found, stream, count + 1, folder=bundle.at)  # one more, to know whether there is
    except (LabError, OSError) as trouble:
        return Log(problem=_words(trouble))
    lines = tail.lines[max(len(tail.lines) - count, 0) :]
    return Log(size=tail.bytes, lines=lines, cut=tail.is_cut or len(lines) < len(tail.lines))


def _code(root: Root, bundle: Bundle, page: RunPage) -> RunPage:
    """The change of a candidate: the patch that its bundle has, else what the repository has."""
    diff, cut = bundle.text(PATCH, TEXT_BYTES, says_cut=False)
    tried = page.candidate
    if not diff and tried is not None and _changed(tried):
        found = coded.between(root, page.experiment, tried.base, tried.commit, limit_bytes=TEXT_BYTES)
        if isinstance(found, str):
            bundle.problems.append(found)
        else:
            diff, cut = found.data.decode(errors="replace"), found.cut
    return msgspec.structs.replace(page, diff=diff, diff_cut=cut)


def _changed(tried: Candidate) -> bool:
    return bool(tried.base and tried.commit) and tried.base != tried.commit


def _words(trouble: LabError | OSError) -> str:
    return trouble.what if isinstance(trouble, LabError) else f"{trouble.filename or 'its files'}: {trouble.strerror}"
