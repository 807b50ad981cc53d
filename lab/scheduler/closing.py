"""How a run's end is written into its bundle. Also by whoever settles it after its own process died."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical, chunk, layout
from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.launch import INTERRUPTED, ORPHANED, Exit
from lab.core.manifest import RUNNING
from lab.core.record import parse
from lab.core.run import SUCCESS
from lab.executors import door
from lab.scheduler import rows
from lab.store import bundles, machine, reading

if TYPE_CHECKING:
    from lab.core.ended import Ended
    from lab.core.manifest import Manifest
    from lab.store.root import Root


STOPPED = "the machine stopped before the run was sealed: its files cannot be trusted"
_FROM_OUTSIDE = (INTERRUPTED, ORPHANED)
_KILLING = (9, 15)


def told(root: Root, manifest: Manifest, ended: Ended) -> Manifest:
    """The manifest's last version, or `BadInput` for an end that no seal could tell; nothing is written then."""
    try:
        canonical.encode(ended.metrics)
        return _ended(root, manifest, ended)
    except ValueError as error:
        raise BadInput(f"a run cannot end so: {error}", where=manifest.run_id) from error


def _ended(root: Root, manifest: Manifest, ended: Ended) -> Manifest:
    return msgspec.structs.replace(
        manifest,
        status=ended.outcome,
        value=ended.value if ended.outcome == SUCCESS else None,
        verdict=ended.verdict,
        reason=canonical.plain(ended.reason),
        note=canonical.plain(ended.note) or (manifest.origin.note if manifest.origin else ""),
        completed_at=root.now(),
        wall_s=ended.wall_s,
        cost=ended.cost,
        signals=ended.signals,
        usage=ended.usage,
        candidate=ended.candidate,
        trained=msgspec.UNSET if ended.chunk is None else ended.chunk,
    )


def close(root: Root, manifest: Manifest, ended: Ended) -> None:
    """RESULT.md, metrics.json, the manifest; then `exit.json` has said all that it had to say."""
    result = canonical.plain(ended.result) or result_text(manifest)
    base: dict[str, object] = {"metric": manifest.metric, "value": manifest.value, "iteration": manifest.iteration}
    if ended.curve.points:
        with suppress(FileExistsError):  # before the manifest: who settles a run that says how it ended reads no more
            place = f"{root.layout.run(manifest.experiment, manifest.run_id)}/{layout.CURVE}"
            data = canonical.page(msgspec.to_builtins(ended.curve))
            root.files.create(place, data, durable=bundles.waits(root, manifest))
    bundles.close(root, manifest, result=result, metrics={**ended.metrics, **base})
    spent = f"{root.layout.run(manifest.experiment, manifest.run_id)}/{layout.EXIT}"
    if reading.size_of(spent) >= 0:
        root.files.discard(spent)


def left_behind(path: str, manifest: Manifest, engines: tuple[str, str] | None = None) -> Ended | None:
    """How a run ended whose process died before it could tell: what the supervisor wrote down, read as always.

    None when it had not ended yet, or when what it left cannot be believed. `engines` is the outcome and the reason by
    the word of its engine: it ends a run that was ended from outside, and not one that had ended by itself.
    """
    data = reading.read(f"{path}/{layout.EXIT}")
    if data is None or _doubt(path, manifest):
        return None
    try:
        found = parse(Exit, data, f"{path}/{layout.EXIT}")
        if found.run_id != manifest.run_id:
            return None
        ended = door.read(manifest.executor or "command", path, manifest, found)
        if engines is not None and (found.stopped in _FROM_OUTSIDE or found.signal in _KILLING):
            ended = msgspec.structs.replace(ended, outcome=engines[0], reason=engines[1], value=None, result="")
        return ended
    except (Corrupt, BadInput):
        return None


def believed(path: str, manifest: Manifest) -> Manifest:
    """The manifest of a run that nobody holds, as far as it can be believed; its reason says where it cannot.

    Nothing of a run but `exit.json` waits for the disk before its seal. A power cut may leave how it ended and take
    what it made, or what it was given: a success of files that are empty.
    """
    doubt = _doubt(path, manifest)
    if not doubt:
        return manifest
    return msgspec.structs.replace(manifest, status=RUNNING, value=None, verdict="", reason=doubt)


def _doubt(path: str, manifest: Manifest) -> str:
    """Why a run is not believed that says how it ended; empty where nothing speaks against it."""
    if not _is_given(path):
        return f"{layout.PARAMS} is not what was written there: what it was given is not known"
    has_ended = manifest.status != RUNNING or reading.size_of(f"{path}/{layout.EXIT}") >= 0
    return STOPPED if has_ended and machine.has_restarted(manifest.owner) else ""


def _is_given(path: str) -> bool:
    """Whether its parameters can be read, if it was given any."""
    place = f"{path}/{layout.PARAMS}"
    try:
        rows.parameters(reading.read(place), place)
    except Corrupt:
        return False
    return True


def used(path: str, manifest: Manifest) -> Manifest:
    """The manifest of a run of which nobody knows how it ended, with what it saved and used up, where that counts."""
    if reading.size_of(f"{path}/{chunk.ORDER}") < 0:
        return manifest
    with suppress(LabError):
        found = door.read(manifest.executor, path, manifest, Exit(run_id=manifest.run_id, stopped=ORPHANED))
        if found.chunk is not None:
            return msgspec.structs.replace(manifest, cost=found.cost, trained=found.chunk)
    return manifest


def result_text(manifest: Manifest) -> str:
    """The RESULT.md of a run that wrote none."""
    lines = [f"# {manifest.run_id}", "", f"Outcome: {manifest.status}"]
    if manifest.value is not None:
        lines.append(f"{manifest.metric or 'value'}: {manifest.value!r}")
    if manifest.reason:
        lines.append(f"Why: {manifest.reason}")
    if manifest.note:
        lines += ["", manifest.note]
    return "\n".join(lines) + "\n"
