"""Reading a hermes-lab data root. Only reads; believes nothing that it cannot check.

That lab gave a failed run the value 0, and a run that said nothing the value of its exit code. Both are dropped here:
they were never measured.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TypeVar

import msgspec

from lab.core import ids, json_text, layout
from lab.core.errors import BadInput, Unavailable
from lab.core.run import CRASH, FAILED, MAXIMIZE, MINIMIZE, OUTCOMES, SUCCESS
from lab.core.view import AWAITING, COMPLETED, PAUSED
from lab.core.world import stamp
from lab.store import reading

T = TypeVar("T")
_UNFINISHED = frozenset({"", "running", "prepared"})
# What a run kept of its whole sandbox, up to tens of MB each time; its diff lies beside it and is taken along.
_LEFT_OUT = ("artifacts/workspace",)
_OURS = frozenset({layout.SEAL, layout.SUPERSEDED, "manifest.hermes.json"})


class OldExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What its folder and STATUS.json say."""

    id: str
    path: str
    spec: bytes
    created_at: str
    phase: str
    reason: str
    tier: str


class OldRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run. `false_value` is what it was given without a measurement."""

    run_id: str
    path: str
    outcome: str
    value: float | None
    false_value: bool
    metric: str
    direction: str
    role: str
    tier: str
    executor_class: str
    started_at: str
    ended_at: str
    reason: str


class _Status(msgspec.Struct):
    phase: str = ""
    created_at: str | None = None
    blocked_reason: str | None = None
    current_fidelity_tier: str | None = None
    metric_direction: str | None = None


class _Manifest(msgspec.Struct):
    run_id: str = ""
    role: str | None = None
    status: str | None = None
    started_at: str | None = None
    completed_at: str | None = None
    fidelity_tier: str | None = None
    executor_class: str | None = None


def experiments(path: str) -> list[OldExperiment | str]:
    """Every experiment of the old root; a text instead of one that cannot be read."""
    if not (os.path.isdir(f"{path}/experiments") and os.path.isdir(f"{path}/registry")):
        fix = "name the folder that has experiments/ and registry/ in it"
        raise Unavailable("this is not a hermes-lab data root", where=path, fix=fix)
    return [_experiment(f"{path}/experiments/{name}", name) for name in sorted(os.listdir(f"{path}/experiments"))]


def runs(old: OldExperiment) -> list[OldRun | str]:
    """Its runs, oldest first; a text instead of one that cannot be taken over."""
    folder = f"{old.path}/runs"
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else []
    direction = _read(f"{old.path}/STATUS.json", _Status).metric_direction
    return [_run(f"{folder}/{name}", name, MINIMIZE if direction == MINIMIZE else MAXIMIZE) for name in names]


def contents(run: OldRun) -> list[tuple[str, str]]:
    """The files to take along: where each lies, and its name in the new bundle. Links are not followed."""
    found: list[tuple[str, str]] = []
    for folder, inside, names in os.walk(run.path):
        relative = os.path.relpath(folder, run.path)
        prefix = "" if relative == "." else f"{relative}/"
        inside[:] = sorted(name for name in inside if f"{prefix}{name}" not in _LEFT_OUT)
        for name in sorted(names):
            new = f"{prefix}{name}"
            if reading.is_file(f"{folder}/{name}") and new not in _OURS and not layout.is_draft(name):
                found.append((f"{folder}/{name}", "manifest.hermes.json" if new == layout.MANIFEST else new))
    return found


def _experiment(path: str, name: str) -> OldExperiment | str:
    try:
        ids.experiment_id(name)
    except BadInput as error:
        return f"experiments/{name}: {error.what}"
    spec = reading.read_head(f"{path}/SPEC.yaml", 1 << 20) if os.path.isdir(path) else None
    if spec is None:
        return f"experiments/{name}: it has no SPEC.yaml"
    told = _read(f"{path}/STATUS.json", _Status)
    return OldExperiment(
        id=name,
        path=path,
        spec=spec,
        created_at=_moment(told.created_at),
        phase=told.phase if told.phase in (PAUSED, COMPLETED, AWAITING) else "",
        reason=told.blocked_reason or "",
        tier=told.current_fidelity_tier or "",
    )


def _run(path: str, name: str, direction: str) -> OldRun | str:
    where = "/".join(path.split("/")[-3:])
    try:
        ids.run_id(name)
    except BadInput as error:
        return f"{where}: {error.what}"
    told = _read(f"{path}/manifest.json", _Manifest)
    if told.run_id != name:
        return f"{where}: its manifest is missing or damaged"
    status = told.status or ""
    if status in _UNFINISHED:
        return f"{where}: it never finished"
    metrics = _metrics(f"{path}/metrics.json")
    outcome = status if status in OUTCOMES else CRASH if status == "crashed" else FAILED
    given = json_text.finite(metrics.get("value"))
    measured = metrics.get("source") != "stub" and "returncode" not in metrics
    value = given if outcome == SUCCESS and measured else None
    return OldRun(
        run_id=name,
        path=path,
        outcome=outcome,
        value=value,
        false_value=given is not None and value is None,
        metric=str(metrics.get("metric") or ""),
        direction=direction,
        role=told.role or name.split("-", 4)[-1],
        tier=told.fidelity_tier or "default",
        executor_class=told.executor_class or "default",
        started_at=_moment(told.started_at),
        ended_at=_moment(told.completed_at),
        reason="" if outcome == SUCCESS else (str(metrics.get("error") or "") or f"hermes-lab recorded it as {status}"),
    )


def _metrics(path: str) -> dict[str, object]:
    """metrics.json, key by key: one odd key must not cost the value."""
    try:
        return msgspec.json.decode(reading.read_head(path, 1 << 24) or b"{}", type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}


def _moment(text: str | None) -> str:
    """A moment of theirs in our spelling; empty when it is none."""
    try:
        return stamp(datetime.fromisoformat(text or "").astimezone(UTC))
    except (ValueError, OverflowError):  # the second: one that is in no year of UTC
        return ""


def _read(path: str, kind: type[T]) -> T:
    """A JSON file of theirs, or an empty record when it is missing, torn or foreign."""
    try:
        return msgspec.json.decode(reading.read_head(path, 1 << 24) or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return kind()
