"""What engines have of a lab's runs, from the files beside the claims, read with the standard library alone.

No engine is asked: what stands here is what the last look saw (`labctl run-once`), and when that was.
"""

from __future__ import annotations

import os
import time

from lab.core import json_text
from lab.core.layout import (
    ABANDONED_SUFFIX,
    CLAIM_SUFFIX,
    JOB_SUFFIX,
    SEEN_SUFFIX,
    STARTED_SUFFIX,
    SUPERSEDED_SUFFIX,
    Layout,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from typing import TypedDict

    class Placed(TypedDict):
        """One run that an engine has, or should have. `looked_s_ago` is None where nobody has looked yet."""

        experiment: str
        run: str
        engine: str
        number: str
        state: str  # QUEUED, RUNNING or ENDED
        where: str
        since: str
        why: str
        looked_s_ago: float | None
        silent_s: float | None

    class Placing(TypedDict):
        """All of them: how many, and the first of them in full."""

        queued: int
        running: int
        runs: list[Placed]
        left_out: int


QUEUED, RUNNING, ENDED, _HELD, _ASKED = "queued", "running", "ended", "held", "asked"
MOST = 500
OPEN_SUFFIXES = (CLAIM_SUFFIX, SUPERSEDED_SUFFIX, ABANDONED_SUFFIX)
# How long the queue may go unwatched before that is worth a word. A run that began seals itself and needs no look.
UNSEEN_S = 3600.0
SILENT_S = 180.0  # as core.job has it: a body that lives renews its claim every 20 s
_CHARS = 200


def of(path: str, names: dict[str, list[str]]) -> Placing:
    """What the engines have. `names` are the files beside the claims of each experiment, as they were listed."""
    found = [each for name in sorted(names) for each in _jobs(name, names[name])]
    begun = sum(began for began, _, _ in found)
    found.sort(key=lambda each: not each[0])
    now_s, layout = time.time(), Layout(path)
    rows = [_row(layout, name, generation, began=began, now_s=now_s) for began, name, generation in found[:MOST]]
    there = [row for row in rows if row is not None]
    return {"queued": len(found) - begun, "running": begun, "runs": there, "left_out": max(0, len(found) - MOST)}


def line(row: Placed) -> str:
    """One of them in words."""
    job = f" (job {row['number']})" if row["number"] else ""
    said = f"{row['run']}  {row['state']} at {row['engine']}{job}"
    if row["where"]:
        said += f" on {row['where']}"
    if row["since"]:
        said += f" since {row['since'][:19]}Z"
    silent_s = row["silent_s"]
    if silent_s is not None and silent_s > SILENT_S:
        said += f", silent for {silent_s / 60:.0f} min"
    return f"{said}: {row['why']}" if row["why"] else said


def is_unseen(row: Placed) -> bool:
    """Whether it waits and nobody looked after it for so long that nobody may be going to."""
    looked_s = row["looked_s_ago"]
    waits = row["state"] != RUNNING or (row["silent_s"] or 0.0) > SILENT_S
    return waits and looked_s is not None and looked_s > UNSEEN_S


def _jobs(name: str, files: Collection[str]) -> Iterator[tuple[bool, str, str]]:
    """Whether its body began, the experiment, and the generation as its files spell it."""
    there = set(files)
    for each in sorted(files):
        generation = each.removesuffix(JOB_SUFFIX)
        if generation != each and any(generation + suffix in there for suffix in OPEN_SUFFIXES):
            yield generation + STARTED_SUFFIX in there, name, generation


def _row(layout: Layout, name: str, generation: str, *, began: bool, now_s: float) -> Placed | None:
    """One run; None when it was settled meanwhile."""
    beside = f"{layout.locks}/{name}/{generation}"
    job = _load(beside + JOB_SUFFIX)
    if not job:
        return None
    started = _load(beside + STARTED_SUFFIX) if began else {}
    sight = _load(beside + SEEN_SUFFIX)
    return {
        "experiment": name,
        "run": _word(job, "run_id"),
        "engine": _word(job, "engine"),
        "number": _word(started, "number") or _word(job, "number"),
        "state": ENDED if _word(job, "ended") else RUNNING if began else QUEUED,
        "where": _word(sight, "where") or _word(started, "host"),
        "since": _word(started, "at") or _word(job, "asked_at"),
        "why": _why(job, sight, began=began),
        "looked_s_ago": _ago(beside + SEEN_SUFFIX, now_s) if sight else _ago(beside + JOB_SUFFIX, now_s),
        "silent_s": _ago(beside + CLAIM_SUFFIX, now_s) if began else None,
    }


def _why(job: dict[str, object], sight: dict[str, object], *, began: bool) -> str:
    """What it waits for, or what ended it. What was seen before the body began is not said of it afterwards."""
    if _word(job, "ended"):
        return _word(job, "why")
    if began:
        return _word(sight, "why") if sight.get("state") == RUNNING else ""
    if sight.get("state") == _ASKED:
        return _word(sight, "why")
    if not _word(job, "number"):
        return _word(sight, "why") or f"{_word(job, 'engine')} has not taken it yet"
    # Where the engine starts it and its body has not come yet, it runs for the engine and for nobody else.
    return {RUNNING: "it is being started", _HELD: "it is held"}.get(_word(sight, "state")) or _word(sight, "why")


def _load(path: str) -> dict[str, object]:
    """An object, or an empty one for anything else: a crash or a person may have left anything there."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json_text.parse(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _ago(path: str, now_s: float) -> float | None:
    """How long ago a file was touched; None where it is not there."""
    try:
        return round(max(0.0, now_s - os.stat(path).st_mtime), 1)
    except OSError:
        return None


def _word(record: dict[str, object], key: str) -> str:
    """A text of such a file, as one line that a terminal can show; empty where it is none."""
    found = record.get(key)
    if not isinstance(found, str):
        return ""
    return "".join(each if each.isprintable() else " " for each in found[:_CHARS]).strip()
