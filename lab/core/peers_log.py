"""The logs of other harnesses, read by the widest rules that any of them writes by. Pure.

Two forms: a table (`results.tsv`: karpathy's, autoresearch-ml's, open-org's) and lines of JSON (`autoresearch.jsonl`,
`.auto/log.jsonl`: pi-autoresearch's). Whatever they say is a claim: nobody here has measured it. A line that cannot be
understood makes the whole file unusable, with its number: half a history would be taken for all of it.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from itertools import pairwise

import msgspec

from lab.core import json_text
from lab.core.candidate import CHECKS_FAILED, CRASHED, DISCARD, KEEP, REPLAYED
from lab.core.errors import BadInput
from lab.core.run import CANCELLED, DIRECTIONS, MAXIMIZE, MINIMIZE

TSV, JSONL = "tsv", "jsonl"
LARGEST_BYTES = 64 << 20
# Where they lie in a folder, the newest form first: of several, the first is read.
JSON_LOGS = (".auto/log.jsonl", "autoresearch.jsonl")
LOGS = (*JSON_LOGS, "results.tsv")
_SHOWN = 10
_CELL_CHARS = 60
_NOTHING = frozenset({"", "-", "\N{EM DASH}", "\N{EN DASH}", "nan", "none", "null", "n/a", "na"})
_STATUSES = {
    KEEP: KEEP, "kept": KEEP, "baseline": KEEP, DISCARD: DISCARD, "discarded": DISCARD, "revert": DISCARD,
    "reverted": DISCARD, CRASHED: CRASHED, "crashed": CRASHED, CHECKS_FAILED: CHECKS_FAILED,
    "checks-failed": CHECKS_FAILED,
}  # fmt: skip
_OURS = frozenset({CANCELLED, REPLAYED})  # of a log that labctl wrote: they tell of no try
_MEMORY = {"memory_gb": 1.0, "mem_gb": 1.0, "memory_mb": 1 / 1024, "mem_mb": 1 / 1024}
_MILLISECONDS = 1e11  # a time stamp above this is no number of seconds
_LATEST_S = 253_402_300_799.0  # the end of the year 9999
_HEX = frozenset("0123456789abcdef")
_SHORTEST_COMMIT, _LONGEST_COMMIT = 4, 64


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One run as its harness wrote it down."""

    line: int  # of the file, from 1
    run: int
    commit: str = ""  # as they have it, mostly 7 characters; empty where there is none
    value: float | None = None  # what they say was measured; a crash has none, whatever stands there
    memory_gb: float | None = None
    metrics: dict[str, float] = {}
    status: str = KEEP
    description: str = ""
    at_s: float | None = None  # seconds since 1970
    segment: int = 0
    confidence: float | None = None
    asi: dict[str, object] = {}


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a log whose numbers may be compared with each other."""

    name: str = ""
    metric: str = "value"
    unit: str = ""
    direction: str = ""  # empty where the log does not say it


class PeersLog(msgspec.Struct, frozen=True, kw_only=True):
    """A whole log."""

    form: str
    segments: tuple[Segment, ...]
    entries: tuple[Entry, ...]
    passed_over: int = 0  # lines that tell of no run, such as those of hooks


def parse(data: bytes, where: str) -> PeersLog:
    """The log in these bytes. `BadInput` names every line that cannot be understood, and nothing is taken then."""
    if len(data) > LARGEST_BYTES:
        raise BadInput(f"a log of more than {LARGEST_BYTES >> 20} MiB is none that was written by hand", where=where)
    try:
        rows = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise BadInput(f"line {line} is not UTF-8", where=where, fix="save the file as UTF-8") from None
    numbered = [(number, row.rstrip("\r")) for number, row in enumerate(rows, start=1)]
    told = [(number, row) for number, row in numbered if row.strip() and not row.startswith("#")]
    if not told:
        raise BadInput("this log is empty", where=where, fix="name a results.tsv or an autoresearch.jsonl")
    reader: _Table | _Lines = _Lines() if told[0][1].lstrip().startswith("{") else _Table(told.pop(0)[1], where)
    for number, row in told:
        try:
            reader.take(number, row)
        except ValueError as problem:
            reader.problems.append(f"line {number}: {problem}")
    if reader.problems:
        more = len(reader.problems) - _SHOWN
        what = "; ".join(reader.problems[:_SHOWN]) + (f"; and {more} more" if more > 0 else "")
        fix = "nothing was taken; mend these lines, or take them out, and import again"
        raise BadInput(f"this log cannot be understood: {what}", where=where, fix=fix)
    return reader.log()


def direction(log: PeersLog, segment: int) -> str:
    """Which way the metric of a segment goes: as the log says, else as its kept runs went; empty when neither tells."""
    said = log.segments[segment].direction
    if said:
        return said
    kept = [
        each.value for each in log.entries if each.segment == segment and each.status == KEEP and each.value is not None
    ]
    ups = sum(after > before for before, after in pairwise(kept))
    downs = sum(after < before for before, after in pairwise(kept))
    return "" if ups == downs else MAXIMIZE if ups > downs else MINIMIZE


class _Table:
    """results.tsv: a header, and a row a run."""

    def __init__(self, header: str, where: str) -> None:
        self.problems: list[str] = []
        self._entries: list[Entry] = []
        self._passed_over = 0
        self._columns = [cell.strip() for cell in header.split("\t")]
        names = [name.lower() for name in self._columns]
        missing = [name for name in ("commit", "status", "description") if name not in names]
        rest = [name for name in names if name not in {"commit", "status", "description", *_MEMORY}]
        if missing or not rest or len(set(names)) != len(names):
            what = f"its header has no column {missing[0]}" if missing else "its header names no metric, or one twice"
            fix = "the header of a results.tsv is: commit, the metric, memory_gb, status, description, parted by tabs"
            raise BadInput(f"this is no log of a code loop: {what}", where=where, fix=fix)
        self._names = names
        self._metric = rest[0]

    def take(self, number: int, row: str) -> None:
        cells = row.split("\t")
        last = len(self._names) - 1
        if len(cells) < len(self._names):
            message = f"it has {len(cells)} cells, and the header {len(self._names)}"
            raise ValueError(message)
        if len(cells) > len(self._names):
            if self._names[last] != "description":
                message = f"it has {len(cells)} cells, and the header {len(self._names)}"
                raise ValueError(message)
            cells = [*cells[:last], " ".join(cells[last:])]  # a tab within the words
        cell = dict(zip(self._names, (each.strip() for each in cells), strict=True))
        if cell["status"] in _OURS:
            self._passed_over += 1
            return
        status = _status(cell["status"])
        value = _number(cell[self._metric], self._metric)
        memory = [(_number(cell[name], name), factor) for name, factor in _MEMORY.items() if name in cell]
        others = {name: _extra(text) for name, text in cell.items() if name not in self._known()}
        self._entries.append(
            Entry(
                line=number,
                run=len(self._entries) + 1,
                commit=_commit(cell["commit"]),
                value=None if status == CRASHED else value,
                memory_gb=next((told * factor for told, factor in memory if told), None),
                metrics={name: told for name, told in others.items() if told is not None},
                status=status,
                description=cell["description"],
            )
        )

    def _known(self) -> frozenset[str]:
        return frozenset({"commit", "status", "description", self._metric, *_MEMORY})

    def log(self) -> PeersLog:
        metric = self._columns[self._names.index(self._metric)]
        return PeersLog(
            form=TSV,
            segments=(Segment(metric=metric),),
            entries=tuple(self._entries),
            passed_over=self._passed_over,
        )


class _Lines:
    """autoresearch.jsonl: lines of JSON; a config line opens a segment."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._entries: list[Entry] = []
        self._segments: list[Segment] = []
        self._used = False  # whether the newest segment has a run: a config that follows at once replaces it
        self._passed_over = 0

    def take(self, number: int, row: str) -> None:
        try:
            given = json_text.parse(row)
        except (ValueError, RecursionError) as error:
            message = f"it is no JSON ({error})"
            raise ValueError(message) from None
        if not isinstance(given, dict):
            message = "it holds no object"
            raise ValueError(message)  # noqa: TRY004  # one kind of refusal for every line
        line: dict[str, object] = given
        kind = line.get("type")
        if kind == "config" or (kind is None and "bestDirection" in line and "run" not in line):
            self._config(line)
        elif isinstance(line.get("status"), str) and line["status"] in _OURS:
            self._passed_over += 1
        elif kind in (None, "run", "result") and ("run" in line or "status" in line):
            self._run(number, line)
        elif isinstance(kind, str):
            self._passed_over += 1
        else:
            message = "it is neither a config, nor a run, nor a hook"
            raise ValueError(message)

    def _config(self, line: dict[str, object]) -> None:
        before = self._segments[-1] if self._segments else Segment()
        said = line.get("bestDirection")
        told = Segment(
            name=_text(line.get("name")) or before.name,
            metric=_text(line.get("metricName")) or before.metric,
            unit=_text(line.get("metricUnit")),
            direction=DIRECTIONS.get(said, "") if isinstance(said, str) else before.direction,
        )
        if isinstance(said, str) and not told.direction:
            message = f"bestDirection is {said[:_CELL_CHARS]!r}, neither lower nor higher"
            raise ValueError(message)
        if self._segments and not self._used:
            self._segments[-1] = told
        else:
            self._segments.append(told)
        self._used = False

    def _run(self, number: int, line: dict[str, object]) -> None:
        if not self._segments:
            self._segments.append(Segment(direction=MINIMIZE))  # as their readers take it
        status = _status(_text(line.get("status")) or KEEP)
        value = _decimal(line.get("metric"), "metric")
        asi, metrics = line.get("asi"), line.get("metrics")
        run = line.get("run")
        entry = Entry(
            line=number,
            run=run if isinstance(run, int) and not isinstance(run, bool) else len(self._entries) + 1,
            commit=_commit(_text(line.get("commit"))),
            value=None if status == CRASHED else value,
            metrics={
                name: told
                for name, each in (metrics.items() if isinstance(metrics, dict) else ())
                if (told := _plain(each)) is not None
            },
            status=status,
            description=_text(line.get("description")),
            at_s=_moment(line.get("timestamp")),
            segment=len(self._segments) - 1,
            confidence=_plain(line.get("confidence")),
            asi=asi if isinstance(asi, dict) else {},
        )
        self._used = True
        self._entries.append(entry)

    def log(self) -> PeersLog:
        return PeersLog(
            form=JSONL,
            segments=tuple(self._segments),
            entries=tuple(self._entries),
            passed_over=self._passed_over,
        )


def _status(word: str) -> str:
    found = _STATUSES.get(word.strip().lower())
    if found is None:
        message = f"the status {word[:_CELL_CHARS]!r} is none of keep, discard, crash, checks_failed"
        raise ValueError(message)
    return found


def _commit(cell: str) -> str:
    """A commit, or nothing: `baseline`, a dash or a word stands for none that could be looked up."""
    plain = cell.strip().lower()
    return plain if _SHORTEST_COMMIT <= len(plain) <= _LONGEST_COMMIT and set(plain) <= _HEX else ""


def _number(cell: str, name: str) -> float | None:
    """A number of a table. NaN stands for none; so does a dash."""
    plain = cell.strip()
    if plain.lower() in _NOTHING:
        return None
    try:
        told = float(plain)
    except ValueError:
        told = math.inf
    if math.isnan(told):
        return None
    if math.isinf(told) or "_" in plain:  # float() reads more than people write
        message = f"{name} is {plain[:_CELL_CHARS]!r}, which is no decimal number"
        raise ValueError(message)
    return told


def _extra(cell: str) -> float | None:
    """A column of their own: a number is kept, words are not."""
    try:
        return _number(cell, "")
    except ValueError:
        return None


def _decimal(given: object, name: str) -> float | None:
    if given is None:
        return None
    told = _plain(given)
    if told is None:
        message = f"{name} is {str(given)[:_CELL_CHARS]!r}, which is no number"
        raise ValueError(message)
    return told


def _plain(given: object) -> float | None:
    """A finite number of JSON."""
    if isinstance(given, bool) or not isinstance(given, int | float):
        return None
    try:
        told = float(given)
    except OverflowError:
        return None
    return told if math.isfinite(told) else None


def _text(given: object) -> str:
    return given if isinstance(given, str) else ""


def _moment(given: object) -> float | None:
    """Seconds since 1970: from milliseconds, seconds, or a date and time."""
    if isinstance(given, str):
        try:
            read = datetime.fromisoformat(given)
        except ValueError:
            return None
        given = (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    told = _plain(given)
    if told is None or told <= 0:
        return None
    seconds = told / 1000 if told > _MILLISECONDS else told
    return seconds if seconds <= _LATEST_S else None
