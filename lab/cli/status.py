"""Say what wants you and how the lab is.

What wants a person comes first. Reads one file (LAB-INDEX.json) and whatever the ledger says since; changes nothing,
and costs the same with one run or a hundred thousand.
"""

from __future__ import annotations

import json
import os

from lab.cli.terminal import Answer
from lab.core.errors import Unavailable
from lab.core.layout import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from lab.cli.session import Session
    from lab.core.errors import LabError

EXAMPLE = "labctl status --json"
PHASES = ("active", "queued", "awaiting-human", "paused", "completed", "archived")
_SHOWN = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    """None of its own."""


def answer(args: argparse.Namespace, session: Session) -> Answer:
    """The lab's state from its index."""
    del args
    lab = read_index(session.path)
    rows = lab["experiments"]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["phase"]] = counts.get(row["phase"], 0) + 1
    wants = [
        {"experiment": row["id"], "what": item["what"], "fix": item.get("fix", "")}
        for row in rows
        if row["phase"] != "archived"
        for item in row.get("attention", [])
    ]
    wants += [{"experiment": "", "what": item["what"], "fix": item.get("fix", "")} for item in lab["alerts"]]
    room = os.statvfs(session.path)
    data = {
        "data_root": session.path,
        "experiments": len(rows),
        "phases": counts,
        "runs": sum(row.get("run_count", 0) for row in rows),
        "free_gb": round(room.f_bavail * room.f_frsize / 1e9, 1),
        "as_of": lab["as_of"],
        "wants_you": wants,
        "active": [_short(row) for row in rows if row["phase"] == "active"],
        "behind": lab["behind"],
    }
    warnings = []
    if lab["behind"]:
        warnings.append(f"the pages are {lab['behind']} events behind; what those said is counted in: labctl refresh")
    then = ["labctl create TEMPLATE_OR_SPEC"] if not rows else []
    return Answer(data, _text(data), warnings=warnings, then=then)


def read_index(path: str) -> dict[str, Any]:
    """The index with later ledger lines counted in. Raises `Unavailable` where there is no lab."""
    layout = Layout(path)
    try:
        with open(layout.index, encoding="utf-8") as file:
            lab: dict[str, Any] = json.load(file)
        place, rows = lab["ledger"], {row["id"]: row for row in lab["experiments"]}
    except (FileNotFoundError, NotADirectoryError, ValueError, KeyError, TypeError, AttributeError):
        raise _unreadable(path, layout.index) from None
    lab["behind"] = _overlay(layout.events, place["end"], rows)
    lab["experiments"] = [rows[name] for name in sorted(rows)]
    return lab


def _unreadable(path: str, index: str) -> LabError:
    from lab.store.root import require  # noqa: PLC0415  # only to word the refusal

    require(path)
    fix = "labctl refresh writes it again from the sealed runs"
    return Unavailable("the index of this lab is missing or damaged", where=index, fix=fix)


def _overlay(events: str, end: int, rows: dict[str, dict[str, Any]]) -> int:
    """Count in what was written after the index: phases and runs. The best of a new run is left to `refresh`."""
    try:
        if os.stat(events).st_size <= end:
            return 0
        with open(events, "rb") as file:
            file.seek(end)
            lines = file.read().splitlines()
    except FileNotFoundError:
        return 0
    behind = 0
    for line in lines:
        try:
            event = json.loads(line)["event"]
            kind, name = event["type"], event.get("experiment", "")
        except (ValueError, KeyError, TypeError):
            continue
        behind += 1
        if kind == "experiment_created":
            rows.setdefault(name, {"id": name, "phase": "queued", "run_count": 0})
        if name not in rows:
            continue
        if kind == "phase_changed":
            rows[name]["phase"] = event.get("phase", "")
        elif kind == "run_sealed":
            count = rows[name].get("run_count", 0)
            rows[name].update(run_count=count + 1, last_run=event.get("run_id", ""))
            if rows[name]["phase"] == "queued":
                rows[name]["phase"] = "active"
    return behind


def _short(row: dict[str, Any]) -> dict[str, Any]:
    keys = ("id", "tier", "run_count", "best_value", "metric", "last_outcome", "goal")
    return {key: row.get(key) for key in keys}


def _text(data: dict[str, Any]) -> Iterator[str]:
    wants = data["wants_you"]
    if wants:
        yield f"what wants you ({len(wants)}):"
        for item in wants[:_SHOWN]:
            who = f"{item['experiment']}: " if item["experiment"] else ""
            yield f"  {who}{item['what']}"
            if item["fix"]:
                yield f"    fix: {item['fix']}"
        if len(wants) > _SHOWN:
            yield f"  and {len(wants) - _SHOWN} more: LAB-STATUS.md"
    yield f"data_root: {data['data_root']}"
    yield f"experiments: {data['experiments']}"
    phases = data["phases"]
    for phase in PHASES:
        if phases.get(phase):
            yield f"  {phase}: {phases[phase]}"
    yield f"runs: {data['runs']}"
    active = data["active"]
    for row in active[:_SHOWN]:
        best = row["best_value"]
        shown = f"{row['metric'] or 'best'} {best!r}" if best is not None else "no value yet"
        yield f"  {row['id']}  {row['tier']}  runs {row['run_count']}  {shown}  last {row['last_outcome']}"
    if len(active) > _SHOWN:
        yield f"  and {len(active) - _SHOWN} more: labctl list"
    yield f"free_gb: {data['free_gb']}"
    yield f"as of: {data['as_of'] or 'the beginning'}"
