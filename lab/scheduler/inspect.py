"""Read one experiment or one run for `labctl show`. Writes nothing: a read-only copy will do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.candidate import IMPORTED as CLAIMS
from lab.core.errors import LabError, Unavailable
from lab.core.origin import IMPORTED, REVIEWED, UNREVIEWED
from lab.projections import calibration, tables, text, trained
from lab.scheduler import subjects
from lab.scheduler.placing import placed
from lab.scheduler.results import choosing, located, table
from lab.store import bundles, experiments, leases, ledgers, reading, verify

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.origin import Origin
    from lab.core.seal import Seal
    from lab.projections.calibration import Calibration
    from lab.scheduler.results.located import Located
    from lab.store.archives import Kept
    from lab.store.root import Root

_TEXT_BYTES = 20_000
_NAME_CHARS = 2_000


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What to print: one value, the same in lines, and what is not in order. `data` has all as it was written."""

    data: dict[str, object]
    lines: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def _shown(data: dict[str, object], lines: Iterable[str], warnings: Iterable[str] = ()) -> Shown:
    """Whatever its lines quote, they speak to no terminal: names of files and metrics are a run's own words."""
    return Shown(data=data, lines=tuple(map(text.visible, lines)), warnings=tuple(map(text.visible, warnings)))


def experiment(root: Root, name: str) -> Shown:
    """An experiment by its STATUS.json and SUMMARY.md."""
    experiments.require(root, name)
    page = reading.read(root.layout.status(name))
    try:
        data = msgspec.json.decode(page or b"", type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise Unavailable(
            f"the pages of {name} are missing or damaged", fix="labctl refresh writes them again"
        ) from None
    data.pop("fold", None)
    seen = leases.survey(root, name)
    data["under_way"] = [held.seen.claim.run_id for held in seen.held]
    loaded = subjects.known(root, name)
    warnings = [loaded.problem.warning] if loaded.problem else []
    page_text = (reading.read(root.layout.page(name, layout.SUMMARY)) or b"").decode(errors="replace")
    lines = page_text.splitlines()
    lines += _to_take(root, name, data)
    judged = _calibration(root, name)
    if judged:
        data["calibration"] = [msgspec.to_builtins(each) for each in judged]
        lines += ["", "what was expected of runs, and what came:", *(f"- {calibration.told(each)}" for each in judged)]
    if seen.held:
        at = {each.run_id: each for each in placed.states(root, name)}
        if at:
            data["engines"] = [msgspec.to_builtins(each) for each in at.values()]
        lines.append("")
        for held in seen.held:
            run_id = held.seen.claim.run_id
            where = f", {placed.line(at[run_id])}" if run_id in at else ""
            lines.append(f"under way: {run_id}{where}")
    return _shown(data, lines, warnings)


def _to_take(root: Root, name: str, data: dict[str, object]) -> list[str]:
    """The run that `labctl best` recommends, with its parameters: they are what somebody copies from here."""
    known = data.get("best_params")
    plain = ["", "best parameters:", *_laid_out(known)] if known else []
    runs = data.get("run_count")
    if not data.get("best_run") or not isinstance(runs, int):
        return plain
    if runs > choosing.MOST_WEIGHED:
        told = f"the run to take, and its parameters: labctl best {name}"
        return ["", told, *(["parameters of the best number seen:", *_laid_out(known)] if known else [])]
    try:
        chosen = choosing.choose(root, table.read(root, name))
    except LabError:  # the pages are damaged, or not written again yet
        return plain
    line, seen = chosen.line, chosen.seen
    data["to_take"] = {"run": line.run_id, "value": line.value, "params": line.params, "chosen_by": chosen.how}
    if line.run_id == seen.run_id:
        return plain
    told = f"the run to take, by {chosen.how} (labctl best {name}): {line.run_id}"
    parameters = ["its parameters:", *_laid_out(line.params)] if line.params else []
    return ["", told, *parameters, f"best number seen: {seen.value!r} in {seen.run_id}; partly luck"]


def _calibration(root: Root, name: str) -> tuple[Calibration, ...]:
    """How well those who propose foresaw what came; the table of runs is read only where somebody expected anything."""
    path = root.layout.page(name, layout.METRICS_LOG)
    written = reading.read(path) or b""
    if calibration.MARK not in written:
        return ()
    return calibration.of([tables.parse_line(line, path) for line in written.splitlines()])


def run(root: Root, run_id: str) -> Shown:
    """A run by its bundle: how it ended, what it tried, and whether its files are as they were sealed."""
    found = located.find(root, run_id)
    made, path = found.made, found.path
    if made is None:
        return _open_run(root, found.experiment, run_id, path)
    if found.kept is not None:
        return _archived_run(found, found.kept, made)
    data = msgspec.to_builtins(made.run)
    changed = [text.line(f"{item.where}: {item.what}", _NAME_CHARS) for item in verify.changed(path, run_id, made)]
    data.update(
        state="sealed",
        generation=made.generation,
        sealed_at=made.sealed_at,
        sealed_by=made.sealed_by,
        imported_from=made.imported_from or ledgers.source(root, found.experiment, run_id),
        params=found.params(),
        files={name: kept.size for name, kept in made.files.items()},
        intact=not changed,
        path=path,
    )
    return _shown(data, _lines(path, made, data, found.quoted(layout.RESULT)), changed)


def _archived_run(found: Located, kept: Kept, made: Seal) -> Shown:
    """A run that was pruned: what its companion says, and where the rest is."""
    path, archive = found.path, found.archive
    there = reading.is_file(path)
    data = msgspec.to_builtins(made.run)
    data.update(
        state="archived",
        generation=made.generation,
        sealed_at=made.sealed_at,
        sealed_by=made.sealed_by,
        params=found.params(),
        files={name: sealed.size for name, sealed in made.files.items()},
        archive=archive,
        archive_here=there,
        path=path,
    )
    where = f"archived in backups/{archive}" + ("" if there else ", which is not here")
    lines = [where, f"bring it back: labctl prune --restore {archive}", *_lines(path, made, data, kept.result)]
    return _shown(data, lines)


def _open_run(root: Root, owner: str, run_id: str, path: str) -> Shown:
    manifest = bundles.load_manifest(path)
    lost = reading.is_file(f"{path}/{layout.SUPERSEDED}")
    live = any(held.seen.claim.run_id == run_id for held in leases.survey(root, owner).held)
    at = placed.of(root, owner, run_id) if live else None
    state = "superseded, never counted" if lost else "under way" if live else "not sealed; its holder is gone"
    data: dict[str, object] = {"run_id": run_id, "experiment": owner, "state": state, "path": path}
    if manifest is not None:
        data["started_at"], data["tier"], data["role"] = manifest.started_at, manifest.fidelity_tier, manifest.role
    lines = tuple(f"{key}: {text.line(str(value), _NAME_CHARS)}" for key, value in data.items())
    if at is not None:
        data.update(engine=at.engine, number=at.number, placed=at.state, where=at.where, why=at.why)
        lines += (f"engine: {placed.line(at)}",)
    warnings = () if live or lost else ("labctl watchdog --repair settles it",)
    return _shown(data, lines, warnings)


def _lines(path: str, made: Seal, data: dict[str, object], result: bytes | None) -> list[str]:
    told = made.run
    is_claim = told.candidate is not None and told.candidate.kind == CLAIMS
    whose = ", as another harness claims" if made.told.claimed else ""
    lines = [f"{told.run_id} of {told.experiment}", f"outcome: {told.outcome}{whose}"]
    if told.value is not None:
        lines.append(f"{text.line(told.metric) or 'value'}: {told.value!r} ({told.direction})")
    if is_claim and told.candidate is not None and told.candidate.claimed is not None:
        lines.append(f"claimed: {told.candidate.claimed!r} ({told.direction}), by another harness; not measured here")
    for label, value in (("why", told.reason), ("note", told.note), ("verdict", told.verdict)):
        if value:
            lines.append(f"{label}: {text.line(value, _TEXT_BYTES)}")
    if told.origin is not None and is_claim:  # it was no trial of ours, and has no number as one
        lines.append(f"imported from: {text.line(told.origin.note, _NAME_CHARS)}")
    elif told.origin is not None:
        lines.append(f"parameters by: {text.line(_chosen(told.origin), _NAME_CHARS)}")
    if data.get("imported_from") and not made.imported_from:
        lines.append(f"taken over from: {text.line(str(data['imported_from']), _NAME_CHARS)}")
    if told.chunk is not None:
        lines += trained.of_run(told.chunk)
    tier, role, by = text.line(told.tier), text.line(told.role), text.line(made.sealed_by)
    lines.append(f"tier: {tier}  role: {role}  iteration: {told.iteration}  wall: {told.wall_s:g}s")
    lines.append(f"started: {told.started_at or 'never'}  sealed: {made.sealed_at} by {by}")
    if data["params"] is not None:
        lines += ["params:", *_laid_out(data["params"])]
    elif layout.PARAMS in made.files:
        lines.append(f"params: {layout.PARAMS} is too large to show, or not what was sealed")
    lines.append(f"files ({len(made.files)}), in {path}:")
    lines += [f"  {kept.size:>10}  {text.line(name, _NAME_CHARS)}" for name, kept in sorted(made.files.items())]
    if result:
        told_by = result[:_TEXT_BYTES].decode(errors="replace")
        lines += ["", *text.block(told_by, _TEXT_BYTES, _TEXT_BYTES).split("\n")]
    return lines


def _laid_out(params: object) -> list[str]:
    return msgspec.json.format(msgspec.json.encode(params)).decode().split("\n")


def _chosen(origin: Origin) -> str:
    """Who chose the parameters, and from what."""
    who = "/".join(word for word in (origin.strategy, origin.arm) if word)
    luck = f" of seed {origin.seed}" if origin.kind not in (IMPORTED, REVIEWED, UNREVIEWED) else ""
    words = [who, origin.kind if origin.kind != who else "", f"{origin.place}{luck}"]
    asked = f", asked as {origin.ask}" if origin.ask else ""
    hoped = f", expected {origin.expected!r} from {origin.base!r}" if origin.expected is not None else ""
    made_from = f", made from {' '.join(origin.parents)}" if origin.parents else ""
    return ", ".join(word for word in words if word) + made_from + asked + hoped
