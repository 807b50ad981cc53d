"""What a run's end means: its exit and its metrics together, and the RESULT.md of a run that wrote none."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core import launch, layout
from lab.core.ended import Ended
from lab.core.run import CANCELLED, CRASH, FAILED, INTERRUPTED, STOPPED_EARLY, SUCCESS, TIMEOUT
from lab.executors import metrics, report
from lab.executors.log import open_plain

if TYPE_CHECKING:
    from lab.core.launch import Exit
    from lab.core.manifest import Manifest
    from lab.executors.metrics import Found

_TAIL_BYTES, _TAIL_LINES = 2_048, 20
_SAID_BYTES, _SAID_LINES = 1 << 16, 400
_NOTE_CHARS = 500
_LISTED = 50  # metrics that RESULT.md names; metrics.json has them all


def read(path: str, manifest: Manifest, ended: Exit) -> Ended:
    """How the run in this folder ended. Only a run that ended well and told its metric is a success."""
    found = metrics.read(path, manifest.metric)
    how, why = trouble(manifest, ended)
    if not how and found.value is None:
        how, why = FAILED, found.problem
    if how == FAILED and ended.code and not ended.stopped:
        why = f"{why}: {said}" if (said := last_words(path)) else why
    return told(path, manifest, ended, found, (how or SUCCESS, why))


def last_words(path: str) -> str:
    """What a program that failed says of it, in a line: an exit code alone sends everybody to the logs."""
    from lab.core import crash  # noqa: PLC0415  # expressions that take 2 ms to compile, for runs that failed

    return crash.what("\n".join(tail(f"{path}/{layout.STDERR}", _SAID_BYTES, _SAID_LINES)))


def told(path: str, manifest: Manifest, ended: Exit, found: Found, judged: tuple[str, str]) -> Ended:
    """The same of a run that was judged already: its outcome, and the reason where it is no success."""
    how, why = judged
    remarks = (*found.remarks, *((ended.problem,) if ended.problem and ended.problem not in why else ()))
    curve = report.read(path)
    if curve.passed_over:
        lines = "1 line" if curve.passed_over == 1 else f"{curve.passed_over} lines"
        remarks = (*remarks, f"{layout.REPORT}: passed over {lines} without a new step and a number")
    value = found.value if how == SUCCESS else None
    return Ended(
        outcome=how,
        value=value,
        reason=why,
        note=(found.note or "; ".join(remarks))[:_NOTE_CHARS],
        wall_s=ended.wall_s,
        cost=found.cost,
        signals=found.signals,
        result=_page(path, manifest, how, value, why, found, remarks),
        metrics=dict(found.metrics),
        usage=ended.usage,
        curve=curve,
    )


def trouble(manifest: Manifest, ended: Exit) -> tuple[str, str]:
    """The outcome and the reason of a run that did not end well by itself; two empty texts for one that did."""
    why = f": {ended.why}" if ended.why else ""
    match ended.stopped:
        case "":
            return _by_itself(ended)
        case launch.TIMEOUT:
            return TIMEOUT, f"it was still running when its budget of {manifest.time_budget_s:g} s was used up"
        case launch.MEMORY:
            return FAILED, ended.why or "it used more memory than memory_limit_mb allows"
        case launch.CANCELLED:
            return CANCELLED, f"it was cancelled{why}"
        case launch.LIMIT:
            return TIMEOUT, ended.why or "the time limit of its engine came"
        case launch.INTERRUPTED | launch.HOPELESS as word:
            return CANCELLED, f"{INTERRUPTED if word == launch.INTERRUPTED else STOPPED_EARLY}{why}"
        case launch.ORPHANED:
            return CRASH, f"the process that supervised it died{why}"
        case other:
            return CRASH, f"it was ended as {other}{why}"


def _by_itself(ended: Exit) -> tuple[str, str]:
    if not ended.started:
        return FAILED, f"it could not be started: {ended.problem or 'nothing says why'}"
    if ended.signal:
        return FAILED, f"it was killed by {_signal(ended.signal)}"
    if ended.code is None:
        return CRASH, ended.problem or "nobody saw how it ended"
    return (FAILED, f"it ended with exit code {ended.code}") if ended.code else ("", "")


def _signal(number: int) -> str:
    import signal  # noqa: PLC0415  # only to word a failure

    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


def _page(
    path: str, manifest: Manifest, how: str, value: float | None, why: str, found: Found, remarks: tuple[str, ...]
) -> str:
    lines = [f"# {manifest.run_id}", "", f"Outcome: {how}"]
    if value is not None:
        lines.append(f"{manifest.metric or 'value'}: {value!r}")
    if why:
        lines.append(f"Why: {why}")
    if found.note:
        lines += ["", found.note]
    if found.metrics:
        shown = sorted(found.metrics.items())
        lines += ["", "Metrics:", *(f"- {name}: {number!r}" for name, number in shown[:_LISTED])]
        if len(shown) > _LISTED:
            lines.append(f"- and {len(shown) - _LISTED} more")
    if remarks:
        lines += ["", "Noticed:", *(f"- {remark}" for remark in remarks)]
    if how != SUCCESS:
        for name in (layout.STDERR, layout.STDOUT):
            last = tail(f"{path}/{name}")
            if last:
                lines += ["", f"The end of {name}:", "", *(f"    {line}".rstrip() for line in last)]
    return "\n".join(lines) + "\n"


def tail(path: str, most_bytes: int = _TAIL_BYTES, most_lines: int = _TAIL_LINES) -> list[str]:
    """The last lines of a log, as text that a page can hold. Indented by the caller: no fence can be closed by it."""
    descriptor = open_plain(path)
    if descriptor is None:
        return []
    try:
        size = os.fstat(descriptor).st_size
        start = max(0, size - most_bytes)
        data = os.pread(descriptor, most_bytes, start)
    finally:
        os.close(descriptor)
    if start:
        data = data[data.find(b"\n") + 1 :]
    text = data.decode(errors="replace").rstrip()
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    plain = [
        "".join(each if each.isprintable() or each == "\t" else "\N{REPLACEMENT CHARACTER}" for each in line)
        for line in shown
    ]
    return plain[-most_lines:] if text else []
