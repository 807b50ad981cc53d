"""From measurements to a verdict: the candidate is measured, beside what it is to beat where that is needed.

`core.verdict` is asked after each measurement. Everything that was measured is in the answer, also when it ends early.
"""

from __future__ import annotations

from collections.abc import Mapping  # msgspec resolves the annotations below
from typing import TYPE_CHECKING

import msgspec

from lab.core import candidate as candidates
from lab.core import crash, verdict
from lab.core.verdict import Again, Measured, Verdict
from lab.scheduler.loop import steps

if TYPE_CHECKING:
    from lab.core.loop import Loop
    from lab.core.verdict import Terms
    from lab.scheduler.loop.measuring import Bench, Reading, Standing


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a candidate that was measured. `value` is what it is worth, where it has a value."""

    verdict: str
    why: str
    measured: Measured = Measured()
    ruling: Verdict | None = None
    value: float | None = None
    crash: str = ""
    what: str = ""  # one line of what crashed
    tail: str = ""
    metrics: Mapping[str, float] = {}
    remarks: tuple[str, ...] = ()
    signals: tuple[str, ...] = ()
    cost: float = 0.0
    memory_mb: float | None = None


def baseline(terms: Terms, bench: Bench, label: str) -> Judged:
    """The unchanged code, as often as the SPEC says."""
    failed = bench.make() or bench.check()
    if failed is not None:
        return fallen(failed, Measured())
    warm = bench.measure(label)  # what compiles or fills a cache the first time is no noise
    values: tuple[float, ...] = ()
    last = warm
    while True:
        if last.value is None:
            return fallen(last, Measured(values=values))
        if last is not warm or terms.repeats == 1:
            values = (*values, last.value)
        answer = verdict.baseline(terms, values)
        if isinstance(answer, Verdict):
            return _judged(answer, Measured(values=values), last)
        last = bench.measure(label)


def candidate(terms: Terms, loop: Loop, bench: Bench, standing: Standing, lines: int, first: Reading) -> Judged:
    """A candidate whose first measurement is there."""
    if first.value is None:
        return fallen(first, Measured(lines=lines))
    measured, last = Measured(values=(first.value,), lines=lines), first
    while True:
        answer = verdict.judge(terms, loop, measured)
        if isinstance(answer, Verdict):
            return _judged(answer, measured, last)
        for _ in range(answer.pairs or 1):
            measured, last, failed = _more(answer, measured, bench, standing)
            if failed is not None:
                return failed


def _more(
    answer: Again, measured: Measured, bench: Bench, standing: Standing
) -> tuple[Measured, Reading, Judged | None]:
    """One more measurement, or a pair: first the one and then the other, next time the other way round."""
    turn = len(measured.against) % 2 == 0
    order = ((standing, bench) if turn else (bench, standing)) if answer.pairs else (bench,)
    last = None
    for each in order:
        reading = each.measure()
        if reading.value is None:
            if each is standing:
                why = f"what it was to be compared with could not be measured: {reading.problem}"
                return measured, reading, Judged(verdict=candidates.DISCARD, why=why, measured=measured)
            return measured, reading, fallen(reading, measured)
        if each is standing:
            measured = msgspec.structs.replace(measured, against=(*measured.against, reading.value))
        else:
            measured = msgspec.structs.replace(measured, values=(*measured.values, reading.value))
            last = reading
    if last is None:
        message = "a pair without its candidate"
        raise AssertionError(message)
    return measured, last, None


def fallen(reading: Reading, measured: Measured) -> Judged:
    """One that has no value: its checks failed, its measuring was tampered with, or it crashed."""
    step = reading.step
    if reading.tampered or (step is not None and step.label == steps.CHECKS and step.exit.started):
        return Judged(
            verdict=candidates.CHECKS_FAILED, why=reading.problem, measured=measured, tail=step.tail if step else ""
        )
    tail = step.tail if step is not None else ""
    kind = what = ""
    if step is not None:
        how = step.exit
        kind, what = crash.kind(how.code, how.signal, tail, how.stopped), crash.what(tail)
    return Judged(
        verdict=candidates.CRASHED,
        why=reading.problem,
        measured=measured,
        crash=kind or crash.OTHER,
        what=what,
        tail=tail,
        remarks=reading.remarks,
    )


def _judged(ruling: Verdict, measured: Measured, last: Reading) -> Judged:
    return Judged(
        verdict=ruling.verdict,
        why=ruling.why,
        measured=measured,
        ruling=ruling,
        value=verdict.value_of(measured),
        metrics=last.metrics,
        remarks=last.remarks,
        signals=last.signals,
        cost=last.cost,
        memory_mb=last.memory_mb,
    )
