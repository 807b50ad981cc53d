"""What two sets of measurements say of each other, and of themselves. Pure: whoever has the file comes to the same."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

import msgspec

from lab.core import noise
from lab.core.run import MINIMIZE
from lab.research.evaluated import Evaluated
from lab.research.studies import sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.evaluated import Side
    from lab.research.trained import Trained

ROUNDING = 1e-9  # of the largest value: what is less is no difference, whatever the noise
_UNHEEDED = (
    "every repeat was equal to the last digit: the study does not heed its seed (LAB_SEED), so its repeats say nothing "
    "of noise, and count as one measurement of each side"
)


def judged(told: Trained, tier: str, baseline: Side, candidate: Side, sure: float) -> Evaluated:
    """The gain with its interval, and whether it is one."""
    plain = Evaluated(
        experiment=told.experiment, metric=told.metric, direction=told.direction, tier=tier, selected_in=told.tier,
        baseline=baseline, candidate=candidate, round=told.round, idea=told.idea, sure=sure, min_run_s=told.min_run_s,
        remarks=tuple(_remarks(baseline, candidate)),
    )  # fmt: skip
    mine, theirs = candidate.values, baseline.values
    if not mine:
        why = f"of {len(told.made)} runs none was better than the baseline {told.baseline}, so there is no candidate"
        return msgspec.structs.replace(plain, noise=noise.repeated([theirs]).sigma, why=why)
    found = noise.gain(mine, theirs, minimize=told.direction == MINIMIZE)
    spread = noise.apart(mine, theirs)
    margin = noise.margin(spread, len(mine), len(theirs), sure=sure) or 0.0
    low, high = found - margin, found + margin
    is_told = abs(found) > ROUNDING * max(map(abs, (*mine, *theirs)))
    return msgspec.structs.replace(
        plain,
        gain=found,
        low=low,
        high=high,
        noise=noise.repeated([mine, theirs]).sigma,
        is_better=is_told and low > 0,
        is_worse=is_told and high < 0,
        why=_words(found, low, high, is_exact=spread.none, is_told=is_told),
    )


def _words(found: float, low: float, high: float, *, is_exact: bool, is_told: bool) -> str:
    if found and not is_told:
        return f"no difference: a gain of {found:.6g} is less than a billionth of the values, which rounding may be"
    how = "better" if low > 0 else "worse" if high < 0 else "within noise of the baseline"
    if is_exact:
        same = "as good as the baseline" if found == 0 else f"{how} by {abs(found):.6g}"
        return f"every repeat was equal to the last digit, so the difference is what it is: {same}"
    return f"{how}: a gain of {found:.6g}, from {low:.6g} to {high:.6g}"


def _remarks(baseline: Side, candidate: Side) -> Iterator[str]:
    """What the numbers do not say by themselves."""
    if noise.repeated([baseline.values, candidate.values]).none:
        yield _UNHEEDED
    if candidate.values:
        quick = sealed.quick("the candidate", _wall_s(candidate), _wall_s(baseline))
        if quick:
            yield quick


def _wall_s(side: Side) -> float:
    return statistics.median([each.wall_s for each in side.made if each.is_believable] or [0.0])
