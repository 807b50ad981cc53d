"""The two tables of a code loop in the forms that its peers read: results.tsv as karpathy's, and autoresearch.jsonl.

A row of results.tsv is made from its run alone. A line of autoresearch.jsonl needs one thing more, its place, which the
line before it tells: so that appending and writing anew give the same bytes.
"""

from __future__ import annotations

import math
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import BASELINE, IMPORTED, REPLAYED
from lab.core.run import CANCELLED, CRASH, FAILURES, MINIMIZE
from lab.projections import data, tables, text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.core.run import Run

LINE_BYTES = 65_536
ASI_BYTES = 16_384
COMMIT_CHARS = 7
DESCRIPTION_CHARS = 300
_COLUMNS = ("commit", "memory_gb", "status", "description")
_MIB_IN_GIB = 1024
_DIGITS = 6
_SMALLEST_PLAIN = 1e-9
_BOOKKEEPING = frozenset({"value", "metric", "iteration", "run_id", "claimed"})  # the lab's own words in a metrics.json


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Where in the log a line stands: its number among the runs, from 1, and its segment, from 0."""

    run: int = 0
    segment: int = -1


def results_header(metric: str) -> bytes:
    """The first line of results.tsv, as karpathy's: the second column is named after the metric."""
    return tables.results_header(metric, _COLUMNS)


def results_line(run: Run) -> bytes:
    """One line of results.tsv. What was not measured here has a dash: a claim of another harness is told in words."""
    made = run.candidate
    return text.row(
        (
            _commit(run) or text.NONE,
            metric_cell(run.value),
            _memory_cell(made.memory_mb if made else None),
            status(run),
            text.cell(_described(run), DESCRIPTION_CHARS),
        )
    )


def _memory_cell(mib: float | None) -> str:
    """GiB with one digit after the point, as the peers have it; more where that would leave none that counts.

    A small program takes 20 MiB, and 0.0 is what the peers write of a crash.
    """
    gib = (mib or 0.0) / _MIB_IN_GIB
    if gib <= 0:
        return text.NONE  # nothing runs in nothing: it was not measured
    return f"{gib:.1f}" if gib >= 0.1 else f"{gib:.1g}"  # noqa: PLR2004  # from here on one digit counts


def metric_cell(value: float | None) -> str:
    """Six digits after the point, as the peers have it; more where these would leave fewer than six that count.

    1.5e-7 in six digits is 0.000000, which they read as no value.
    """
    if value is None:
        return text.NONE
    size = abs(value)
    if size == 0 or size >= 0.1:  # noqa: PLR2004  # from here on six digits after the point are six that count
        return f"{value:.6f}"
    return (
        f"{value:.{_DIGITS}e}" if size < _SMALLEST_PLAIN else f"{value:.{_DIGITS - 1 - math.floor(math.log10(size))}f}"
    )


def status(run: Run) -> str:
    """The verdict; of a run that ended before there was one, what it came to.

    Their words have none for what was measured again: nothing was decided, and the commit may well have been kept.
    """
    if run.verdict:
        return run.verdict
    if run.candidate is not None and run.candidate.kind == REPLAYED and run.outcome != CANCELLED:
        return REPLAYED
    return CRASH if run.outcome in FAILURES else CANCELLED if run.outcome == CANCELLED else run.outcome


def opens_segment(run: Run, before: Run | None) -> bool:
    """Whether its numbers may not be compared with those of the run before: their readers do within a segment."""
    if before is None or before.tier != run.tier:
        return True
    if run.candidate is not None and run.candidate.kind == BASELINE:
        return True
    return claims_of(run) != claims_of(before)


def claims_of(run: Run) -> str:
    """Which stretch of which other log it was read from; empty for what ran here."""
    if run.candidate is None or run.candidate.kind != IMPORTED or run.origin is None:
        return ""
    return run.origin.note.partition(" of ")[2]


def last_place(tail: bytes) -> Place | None:
    """The place of the last line of a log; None when these bytes do not end in the line of a run."""
    line = tail.removesuffix(b"\n").rpartition(b"\n")[2]
    try:
        place = msgspec.json.decode(line, type=Place)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return place if place.run > 0 and place.segment >= 0 else None


def config_line(run: Run) -> bytes:
    """The line that opens a segment."""
    claims = claims_of(run)
    told = {
        "type": "config",
        "name": f"{run.experiment}: {claims}, claimed and not measured here" if claims else run.experiment,
        "metricName": run.metric or "value",
        "metricUnit": run.candidate.unit if run.candidate else "",
        "bestDirection": "lower" if run.direction == MINIMIZE else "higher",
    }
    return data.encode(told) + b"\n"


def run_line(run: Run, place: Place, metrics: Mapping[str, object], asi: Mapping[str, object]) -> bytes:
    """The line of a run. `metric` is null where there is no value: a crash that was 0 would be their best."""
    made = run.candidate
    value = run.value
    if made is not None and made.kind == IMPORTED:
        value = made.claimed  # in a segment of its own, where it is beside nothing that was measured here
    notes = data.encode(asi)
    line: dict[str, object] = {
        "run": place.run,
        "commit": _commit(run),
        "metric": value,
        "metrics": _numbers(run, metrics),
        "status": status(run),
        "description": text.line(_described(run), DESCRIPTION_CHARS),
        "timestamp": milliseconds(run.ended_at or run.started_at),
        "segment": place.segment,
        "confidence": made.confidence if made else None,
        "asi": data.clean(dict(asi)) if len(notes) <= ASI_BYTES else {"left_out": f"{len(notes)} bytes"},
    }
    written = data.encode(line)
    if len(written) > LINE_BYTES:  # one run may not drown the others
        written = data.encode({**line, "metrics": {}})
    return written + b"\n"


def milliseconds(stamp: str) -> int:
    """A time stamp of ours as the peers have it; 0 for none."""
    try:
        return round(datetime.fromisoformat(stamp).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


def _commit(run: Run) -> str:
    made = run.candidate
    return (made.commit or made.base or made.named)[:COMMIT_CHARS] if made else ""


def _described(run: Run) -> str:
    made = run.candidate
    if made is not None and made.kind == IMPORTED:
        claim = "nothing" if made.claimed is None else repr(made.claimed)
        return f"claimed {claim} elsewhere" + (f": {run.note}" if run.note else "")
    if made is not None and made.kind == BASELINE and not run.note:
        return "baseline" if not run.reason else f"baseline: {run.reason}"
    if run.value is None and run.note and run.reason:
        return f"{run.note}: {run.reason}"  # first what was tried, as their readers have it
    return run.note or run.reason


def _numbers(run: Run, metrics: Mapping[str, object]) -> dict[str, float]:
    ours = _BOOKKEEPING | {run.metric}
    return {
        name: each
        for name, each in sorted(metrics.items())
        if name not in ours and isinstance(each, int | float) and not isinstance(each, bool) and math.isfinite(each)
    }
