"""What a run says of itself: metrics.json, else `METRIC name=value` lines, else a block after `---`, else a last line.

Nothing here raises over what a run wrote, whatever the bytes; a number that is not finite never comes out. The log is
read as a stream, a piece at a time: it may be large, and what it holds in memory does not grow with it.
"""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Mapping  # msgspec resolves annotations

import msgspec

from lab.core import layout
from lab.executors.log import Log, open_plain
from lab.executors.told import LARGEST_METRICS_BYTES, MOST_REMARKS, VALUE, Told, Unusable, parse

_PIECE_BYTES = 1 << 18
_NAMED, _NAME_CHARS = 3, 60  # of what it told in the place of the metric


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What a run told. Without a `value`, `problem` says why there is none."""

    value: float | None = None
    problem: str = ""
    metrics: Mapping[str, float] = {}
    note: str = ""
    cost: float = 0.0
    signals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()  # what was odd, and for people to know


def read(path: str, metric: str) -> Found:
    """What the run in this folder told. `metric` is the name of the number that counts; `value` stands for it too."""
    written = _metrics_file(path, metric)
    if written is not None and (written.problem or written.value is not None):
        return _found(written, metric, layout.METRICS)
    told = _log(path, metric)
    if written is not None:
        told.metrics = {**told.metrics, **written.metrics}
        told.remarks = [*written.remarks, *told.remarks][:MOST_REMARKS]
        told.note, told.cost, told.signals = written.note, written.cost, written.signals
    if told.value is None:
        told.problem = _meant(path, metric or VALUE)
    return _found(told, metric, layout.STDOUT)


def _log(path: str, metric: str) -> Told:
    """What its stdout tells."""
    log = Log(metric)
    descriptor = open_plain(f"{path}/{layout.STDOUT}")
    if descriptor is not None:
        try:
            while piece := os.read(descriptor, _PIECE_BYTES):
                log.feed(piece)
        finally:
            os.close(descriptor)
    return log.end()


def _found(told: Told, metric: str, where: str) -> Found:
    value, problem = told.value, told.problem
    if problem:
        value = None
    elif value is None:
        problem = _nothing(metric, told)
    elif not math.isfinite(value):
        value, problem = None, f"the {metric or VALUE} in {where} is not a finite number"
    return Found(
        value=value,
        problem=problem,
        metrics={name: number for name, number in told.metrics.items() if math.isfinite(number)},
        note=told.note,
        cost=told.cost,
        signals=told.signals,
        remarks=tuple(told.remarks),
    )


def _meant(path: str, name: str) -> str:
    """That a line was meant to tell the metric, and what is wrong with it: whoever printed it sees it in the log."""
    from lab.executors import nearly  # noqa: PLC0415  # expressions that take 1 ms to compile, for runs that told none

    line = nearly.told(path, name)
    return f"it told no metric {name}: {line}" if line else ""


def _nothing(metric: str, told: Told) -> str:
    """Why there is no value. What it did tell comes first: most often that is the metric, by another name."""
    others = [name for name in told.metrics if name.isprintable() and len(name) <= _NAME_CHARS][:_NAMED]
    if others and metric:
        mend = f"let the program tell {metric}, or the SPEC say `metric: {others[0]}`"
        return f"it told no metric {metric}, but {', '.join(others)}: {mend}"
    named = f"{metric} or {VALUE}" if metric and metric != VALUE else VALUE
    name = metric or VALUE
    return (
        f"it told no metric: {layout.METRICS} has no number {named}, and {layout.STDOUT} has neither a line "
        f"`METRIC {name}=...`, nor `{name}: ...` below a line `---`, nor a number as its last line"
    )


def _metrics_file(path: str, metric: str) -> Told | None:
    """What metrics.json tells; None when there is none. One that cannot be used is a problem, not an absence."""
    place = f"{path}/{layout.METRICS}"
    try:
        data = _bytes_of(path, place)
        if data is None:
            return None
        return parse(data, metric)
    except Unusable as why:
        return Told(problem=f"{layout.METRICS} {why}")
    except OSError as error:
        return Told(problem=f"{layout.METRICS} cannot be read: {error.strerror}")


def _bytes_of(path: str, place: str) -> bytes | None:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
    try:
        descriptor = os.open(place, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
        target = os.path.realpath(place)
        if not target.startswith(os.path.realpath(path) + "/"):
            raise Unusable("is a link that leads out of the run's folder") from None
        try:
            descriptor = os.open(target, flags)
        except FileNotFoundError:
            raise Unusable("is a link to nothing") from None
    try:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode):
            raise Unusable("is no plain file")
        data = os.read(descriptor, LARGEST_METRICS_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(data) > LARGEST_METRICS_BYTES:
        raise Unusable(f"is larger than {LARGEST_METRICS_BYTES >> 20} MiB")
    return data
