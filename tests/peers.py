"""The rules by which other harnesses read their own logs, written down anew from what they do.

What labctl writes is read by these in tests. Where a reader of theirs is careless (pi-autoresearch takes a missing
metric for 0), so is the one here: it must come to no wrong conclusion all the same.
"""

from __future__ import annotations

import csv
import io
import json
from typing import NamedTuple


class Row(NamedTuple):
    """A run, as its reader sees it."""

    commit: str
    metric: float | None
    status: str
    description: str
    segment: int = 0
    metrics: dict[str, float] | None = None
    asi: dict[str, object] | None = None


def karpathys_reader(table: str) -> tuple[str, list[Row]]:
    """The notebook of karpathy's autoresearch: tabs, numbers where they are numbers, and no value for anything else."""
    rows = list(csv.DictReader(io.StringIO(table), delimiter="\t"))
    header = table.split("\n", 1)[0].split("\t")
    assert header[0] == "commit"
    assert header[2:] == ["memory_gb", "status", "description"]
    return header[1], [
        Row(
            commit=row["commit"],
            metric=_coerced(row[header[1]]),
            status=row["status"].strip().upper().lower(),
            description=row["description"],
        )
        for row in rows
    ]


def karpathys_best(table: str) -> float | None:
    """The best of what was kept, lower being better, as its progress chart draws it."""
    kept = [row.metric for row in karpathys_reader(table)[1] if row.status == "keep" and row.metric is not None]
    return min(kept, default=None)


def autoresearch_mls_reader(table: str) -> list[Row]:
    """autoresearch-ml: the third column is memory by whichever name, a dash of any kind is no value."""
    header, *lines = table.rstrip("\n").split("\n")
    assert header.split("\t")[2] in ("mem_gb", "memory_gb")
    rows = [line.split("\t", 4) for line in lines]
    return [Row(commit=row[0], metric=_coerced(row[1]), status=row[3], description=row[4]) for row in rows]


class Session(NamedTuple):
    """What pi-autoresearch rebuilds from its log when it starts."""

    name: str
    metric: str
    direction: str
    segment: int
    rows: list[Row]


def pis_reader(log: str) -> Session:
    """pi-autoresearch: a config opens a segment once there are results; a line with a number as `run` is a run."""
    name, metric, direction, segment = "", "metric", "lower", 0
    rows: list[Row] = []
    for line in log.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if not isinstance(entry, dict):
            continue
        if entry.get("type") == "config":
            name, metric = entry.get("name") or name, entry.get("metricName") or metric
            direction = entry.get("bestDirection") or direction
            segment += bool(rows)
        elif isinstance(entry.get("run"), int | float) and "type" not in entry:
            rows.append(
                Row(
                    commit=entry.get("commit") or "",
                    metric=entry.get("metric") or 0,
                    status=entry.get("status") or "keep",
                    description=entry.get("description") or "",
                    segment=segment,
                    metrics=entry.get("metrics") or {},
                    asi=entry.get("asi"),
                )
            )
    return Session(name, metric, direction, segment, rows)


def pis_best(session: Session) -> float | None:
    """The best of what was kept in the last segment: what its widget shows."""
    kept = [row.metric for row in session.rows if row.segment == session.segment and row.status == "keep"]
    known = [each for each in kept if each is not None]
    if not known:
        return None
    return min(known) if session.direction == "lower" else max(known)


def _coerced(cell: str | None) -> float | None:
    try:
        return float(cell or "")
    except ValueError:
        return None
