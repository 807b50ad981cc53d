"""What two runs measured, beside each other, with how sure the difference is.

How sure is known where the same thing was measured more than once: the candidates of a code loop, and runs of the same
parameters. Where nothing was, no interval is made up.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.core import json_text, noise
from lab.core.errors import LabError
from lab.core.noise import Noise
from lab.projections import repeats, tables
from lab.scheduler import rows
from lab.scheduler.results import table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.run import Run
    from lab.core.seal import Seal
    from lab.scheduler.results.table import Table
    from lab.store.root import Root

MOST = 100
ALONE = "one measurement each: no interval"
NOT_COMPARED = "not compared"
SAME = "the same run"
_SURE = 0.95


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A number that both have. A pair is of the first and the second run.

    `difference` is that of the means, second less first; `low` and `high` are its 95 % interval. An interval holds for
    runs that were not chosen for their numbers: the best of many was lucky as well.
    """

    name: str
    values: tuple[float, float]  # of the runs themselves
    means: tuple[float, float]  # of all measurements of the same: of its code, or of its parameters
    measurements: tuple[int, int]
    difference: float | None = None  # None where they are not to be compared
    low: float | None = None
    high: float | None = None
    beyond_noise: bool | None = None  # None where there is no interval
    how: str = ALONE  # from what the noise is known


class Metrics(msgspec.Struct, frozen=True, kw_only=True):
    """The number that counts comes first. `only` are the names of what one of them has."""

    shown: tuple[Metric, ...]
    left_out: int = 0
    only: tuple[tuple[str, ...], tuple[str, ...]] = ((), ())
    remarks: tuple[str, ...] = ()
    noisy: bool | None = None  # what the SPEC says of the number that counts


Measured = tuple["Seal", "dict[str, object] | None"]


def beside(root: Root, one: Measured, other: Measured, *, comparable: bool, known: Table | None = None) -> Metrics:
    """All numbers that both have: of each its seal, and its metrics.json, or None where that cannot be read.

    `known` is the table of their experiment, where it was read already.
    """
    mine, theirs = _numbers(*one), _numbers(*other)
    read = one[1] is not None and other[1] is not None  # else nobody knows what only one has
    names = [name for name in mine if name in theirs]
    remarks: tuple[str, ...] = ()
    told: _Repeats | None = None
    if comparable and names:
        try:
            told = _Repeats(known or table.read(root, one[0].run.experiment), one[0].run.tier)
        except LabError as trouble:
            remarks = (f"nothing is known of repeats: {trouble.what}",)
    runs = (one[0].run, other[0].run)
    shown = [
        _metric(name, (mine[name], theirs[name]), runs, told)
        if comparable
        else Metric(
            name=name, values=(pair := (mine[name], theirs[name])), means=pair, measurements=(1, 1), how=NOT_COMPARED
        )
        for name in names[:MOST]
    ]
    return Metrics(
        shown=tuple(shown),
        left_out=len(names) - len(shown),
        only=(_only(mine, theirs), _only(theirs, mine)) if read else ((), ()),
        remarks=remarks,
        noisy=told.noisy if told else None,
    )


def _only(mine: dict[str, float], theirs: dict[str, float]) -> tuple[str, ...]:
    return tuple(name for name in mine if name not in theirs)[:MOST]


def _numbers(made: Seal, measured: dict[str, object] | None) -> dict[str, float]:
    """What a run measured, its sealed value first. What a failed program printed under that name is not its value."""
    run = made.run
    name = run.metric or "value"
    value = {} if run.value is None else {name: run.value}
    written = measured or {}
    others = {
        key: number
        for key in sorted(written.keys() - {name, *tables.ALWAYS})  # what the facts say already
        if (number := json_text.finite(written[key])) is not None
    }
    return {**value, **others}


def _metric(name: str, values: tuple[float, float], runs: tuple[Run, Run], told: _Repeats | None) -> Metric:
    counts = runs[0].metric or "value"
    if runs[0].run_id == runs[1].run_id:
        return Metric(name=name, values=values, means=values, measurements=(1, 1), difference=0.0, how=SAME)
    first: tuple[float, ...] = values[:1]
    second: tuple[float, ...] = values[1:]
    if told is not None and not told.are_repeats(*runs):  # of two repeats each stands for itself
        first = told.of(runs[0], name, values[0], counts=counts)
        second = told.of(runs[1], name, values[1], counts=counts)
    known = told.noise(name, counts=counts) if told else Noise()
    return judged(name, values, (first, second), known, told.source if told else "")


def judged(
    name: str,
    values: tuple[float, float],
    measured: tuple[Sequence[float], Sequence[float]],
    known: Noise,
    source: str,
) -> Metric:
    """The difference of these two, and its interval by the known noise, in which their own repeats are counted."""
    first, second = measured
    means = (noise.mean(first), noise.mean(second))
    spread = noise.between(known, first, second)
    margin = noise.margin(spread, len(first), len(second), sure=_SURE)
    difference = means[1] - means[0]
    low = high = beyond = None
    how = ALONE
    if margin is not None and math.isfinite(margin) and math.isfinite(difference):
        low, high = difference - margin, difference + margin
        beyond = not low <= 0 <= high
        how = _how(spread, known, source)
    return Metric(
        name=name,
        values=values,
        means=means,
        measurements=(len(first), len(second)),
        difference=difference if math.isfinite(difference) else None,
        low=low,
        high=high,
        beyond_noise=beyond,
        how=how,
    )


def _how(spread: Noise, known: Noise, source: str) -> str:
    if spread.none:
        return f"{source}: equal to the last digit whenever measured again"
    numbers = f"sigma {spread.sigma or 0.0:.3g}, {repeats.freedom(spread.df)}"
    if spread != known:
        return f"their own repeats, which spread more than others ({numbers})"
    return f"{source} ({numbers})"


class _Repeats:
    """What was measured more than once in one tier of an experiment."""

    def __init__(self, found: Table, tier: str) -> None:
        there = found.view.tiers.get(tier)
        loop = there.loop if there is not None else None
        self._loop_noise = loop.noise if loop is not None else None
        self.noisy = found.spec.noise if found.spec is not None else None
        self.source = "runs of the same parameters" if loop is None else "the noise of the loop"
        self._raw, self._lines = found.raw, found.lines
        groups = repeats.groups(found.lines, tier) if loop is None else []
        self._of = {found.lines[number].run_id: group for group in groups for number in group}
        if groups and len(found.lines) > repeats.AMONG:
            groups = repeats.groups(found.lines, tier, len(found.lines) - repeats.AMONG)
        self._recent = groups
        self._decoded: dict[int, dict[str, object]] = {}

    def are_repeats(self, one: Run, other: Run) -> bool:
        """Whether the two are measurements of the same."""
        group = self._of.get(one.run_id)
        return group is not None and group is self._of.get(other.run_id)

    def of(self, run: Run, name: str, value: float, *, counts: str) -> tuple[float, ...]:
        """All measurements of what this run measured, its own included."""
        if self._loop_noise is not None:
            return _fresh(run) or (value,) if name == counts else (value,)
        group = self._of.get(run.run_id)
        return (value,) if group is None else self._values(group, name, counts=counts) or (value,)

    def noise(self, name: str, *, counts: str) -> Noise:
        """What is known of how much it differs from itself."""
        if self._loop_noise is not None:
            return self._loop_noise if name == counts else Noise()
        return noise.repeated(self._values(group, name, counts=counts) for group in self._recent)

    def _values(self, group: Sequence[int], name: str, *, counts: str) -> tuple[float, ...]:
        if name == counts:
            return tuple(value for number in group if (value := self._lines[number].value) is not None)
        shown = f"run.{name}" if name in tables.OURS else name
        found = (json_text.finite(self._line(number).get(shown)) for number in group)
        return tuple(value for value in found if value is not None)

    def _line(self, number: int) -> dict[str, object]:
        """A line of the table with what its run measured."""
        if number not in self._decoded:
            self._decoded[number] = rows.mapping(self._raw[number])
        return self._decoded[number]


def _fresh(run: Run) -> tuple[float, ...]:
    """The measurements of a candidate that its value is the mean of: the one that selected it was lucky."""
    tried = run.candidate
    if tried is None:
        return ()
    return tried.values[1:] if tried.against else tried.values
