"""LAB-INDEX.json, read with the standard library alone, and what the ledger says since it was written.

`status` and `list` start from here: a record library would cost as much as everything else they do.
"""

from __future__ import annotations

import json
import os

from lab.core.errors import Unavailable
from lab.core.layout import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    from lab.core.errors import LabError

    class Item(TypedDict, total=False):
        """Something that wants a person, or is wrong."""

        what: str
        where: str
        fix: str

    class Row(TypedDict, total=False):
        """One experiment. Fields that have their default are left out of the file."""

        id: str
        phase: str
        tier: str
        executor_class: str
        run_count: int
        best_value: float | None
        metric: str
        goal: str
        last_run: str
        last_outcome: str
        attention: list[Item]

    class Place(TypedDict):
        """How far into the ledger the index goes."""

        end: int

    class Lab(TypedDict):
        """The index. `behind` counts the ledger's lines after it."""

        as_of: str
        alerts: list[Item]
        experiments: list[Row]
        ledger: Place
        behind: int


def read_index(path: str) -> Lab:
    """The index with later ledger lines counted in. Raises `Unavailable` where there is no lab."""
    layout = Layout(path)
    lab: Lab
    try:
        with open(layout.index, encoding="utf-8") as file:
            lab = json.load(file)
        usable = _usable(lab)
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        raise _unreadable(path, layout.index) from None
    if not usable:
        raise _unreadable(path, layout.index)
    rows = {row["id"]: row for row in lab["experiments"]}
    lab["behind"] = _overlay(layout.events, lab["ledger"]["end"], rows)
    lab["experiments"] = [rows[name] for name in sorted(rows)]
    return lab


def _usable(lab: object) -> bool:
    """Whether this JSON has the shape of an index. It is a page: anybody may have written anything there."""
    if not isinstance(lab, dict) or not isinstance(lab.get("as_of"), str):
        return False
    place, rows = lab.get("ledger"), lab.get("experiments")
    if not isinstance(place, dict) or not isinstance(place.get("end"), int) or not isinstance(rows, list):
        return False
    return _items(lab.get("alerts")) and all(
        isinstance(row, dict)
        and isinstance(row.get("id"), str)
        and isinstance(row.get("phase"), str)
        and isinstance(row.get("goal", ""), str)
        and isinstance(row.get("run_count", 0), int)
        and _items(row.get("attention", []))
        for row in rows
    )


def _items(found: object) -> bool:
    return isinstance(found, list) and all(
        isinstance(item, dict) and isinstance(item.get("what"), str) and isinstance(item.get("fix", ""), str)
        for item in found
    )


def _unreadable(path: str, index: str) -> LabError:
    from lab.store.root import require  # only to word the refusal

    require(path)
    fix = "labctl refresh writes it again from the sealed runs"
    return Unavailable("the index of this lab is missing or damaged", where=index, fix=fix)


def _overlay(events: str, end: int, rows: dict[str, Row]) -> int:
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
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            continue
        behind += 1
        if not isinstance(name, str):
            continue
        if kind == "experiment_created":
            rows.setdefault(name, {"id": name, "phase": "queued", "run_count": 0})
        if name not in rows:
            continue
        if kind == "phase_changed":
            rows[name]["phase"] = str(event.get("phase", ""))
        elif kind == "run_sealed":
            rows[name]["run_count"] = rows[name].get("run_count", 0) + 1
            rows[name]["last_run"] = event.get("run_id", "")
            if rows[name]["phase"] == "queued":
                rows[name]["phase"] = "active"
    return behind
