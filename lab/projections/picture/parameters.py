"""What the parameters have to do with the value: coordinates, slices, and importance with what it is worth."""

from __future__ import annotations

import math
from bisect import bisect_left
from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.picture import columns, thinning
from lab.projections.picture import importance as weighing
from lab.projections.picture.columns import Axis
from lab.projections.picture.importance import ENOUGH, Importance, Weight
from lab.projections.picture.stairs import Sample
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.picture.columns import Column, Known, Params
    from lab.projections.picture.given import Given
    from lab.projections.tables import Line

__all__ = ["AXES", "ENOUGH", "LIMIT", "Axis", "Importance", "Parameters", "Tried", "Weight", "of"]

AXES = 12
LIMIT = 300  # runs that are drawn; beyond that lines cover one another
_BEST = 30  # of them: the best of all


class Tried(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A run with a value. `at` has a place for each axis, from 0 to 1; None where the parameter did not count."""

    run_id: str
    value: float
    at: tuple[float | None, ...]
    rank: float  # 1 is the best of those shown, 0 the worst


class Parameters(msgspec.Struct, frozen=True, kw_only=True):
    """Of one tier. `importance` is None below ENOUGH runs, and `why_not` says so."""

    metric: str
    direction: str
    axes: tuple[Axis, ...]
    tried: tuple[Tried, ...]
    sample: Sample
    best: str = ""  # the run to highlight
    importance: Importance | None = None
    why_not: str = ""
    left_out: int = 0  # parameters beyond those shown
    without: int = 0  # runs of the tier that have no value, and are not here


def of(given: Given) -> Parameters | None:
    """Of the tier that the experiment is in. None where no run of it has both a value and parameters."""
    view, here = given.view, spec_here(given.view, given.spec)
    scored = [line for line in given.lines if line.tier == view.tier and line.scored and math.isfinite(line.value or 0)]
    lines = [line for line in scored if line.params]
    without = sum(line.tier == view.tier for line in given.lines) - len(scored)
    if not lines:
        return None
    runs = [line.params or {} for line in lines]
    axes, unseen = columns.known(given.space, runs)
    if not axes:
        return None
    direction = view.direction_of(view.tier)
    sign = 1.0 if direction == MINIMIZE else -1.0
    order = sorted(range(len(lines)), key=lambda place: sign * (lines[place].value or 0.0))
    told = _importance(f"{view.experiment}/{view.tier}", axes, lines, runs)
    shown = _shown(axes, told)
    best = view.best.run_id if view.best else ""
    places = [place for place, line in enumerate(lines) if line.run_id == best] or order[:1]
    drawn = thinning.chosen(len(lines), {*places, *order[:_BEST], order[-1]}, LIMIT)
    return Parameters(
        metric=text.line(here.metric if here else view.last.metric if view.last else ""),
        direction=direction,
        axes=tuple(each.axis for each in shown),
        tried=_tried([lines[place] for place in drawn], columns.placed(shown, [runs[place] for place in drawn]), sign),
        sample=_sample(len(drawn), len(lines), len(scored)),
        best=lines[places[0]].run_id,
        importance=None if isinstance(told, str) else _bounded(told, unseen),
        why_not=told if isinstance(told, str) else "",
        left_out=len(axes) - len(shown) + unseen,
        without=without,
    )


def _importance(seed: str, axes: Sequence[Known], lines: Sequence[Line], runs: Sequence[Params]) -> Importance | str:
    """From all runs, or from an even sample of them."""
    places: Sequence[int] = range(len(runs))
    if len(runs) > weighing.SAMPLE:
        places = sorted(Random(seed).sample(places, weighing.SAMPLE))
    varied = [each for each in axes if each.varied]
    found = columns.placed(varied, [runs[place] for place in places])
    values = [lines[place].value or 0.0 for place in places]
    return weighing.of(found, values, total=len(runs), seed=seed)


def _shown(axes: Sequence[Known], told: Importance | str) -> list[Known]:
    """The most important ones where that is known, else the first that varied; in the order in which they stand."""
    weights = () if isinstance(told, str) else told.weights
    shares = {weight.name: weight.share for weight in weights}
    order = sorted(range(len(axes)), key=lambda at: (not axes[at].varied, -shares.get(axes[at].axis.name, 0.0), at))
    return [axes[at] for at in sorted(order[:AXES])]


def _bounded(told: Importance, unseen: int) -> Importance:
    left_out = len(told.weights) - AXES
    return msgspec.structs.replace(told, weights=told.weights[:AXES], left_out=max(left_out, 0) + unseen)


def _tried(lines: Sequence[Line], placed: Sequence[Column], sign: float) -> tuple[Tried, ...]:
    losses = [sign * (line.value or 0.0) for line in lines]
    order = sorted(losses)
    most = max(len(lines) - 1, 1)
    return tuple(
        Tried(
            run_id=line.run_id,
            value=line.value or 0.0,
            at=tuple(each.at[number] for each in placed),
            rank=1 - bisect_left(order, loss) / most,  # of equal ones, the better
        )
        for number, (line, loss) in enumerate(zip(lines, losses, strict=True))
    )


def _sample(shown: int, total: int, scored: int) -> Sample:
    rule = thinning.ALL if shown >= total else f"the {_BEST} best and the worst; of the rest an even sample"
    if scored > total:
        rule += f"; {text.count(scored - total, 'more run')} with a value, but no parameters on record"
    return Sample(shown=shown, total=total, rule=rule)
