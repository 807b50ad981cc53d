"""How well those who propose foresaw what came: the value they expected of each run, against the one it had.

Values of two tiers are never compared, so each tier has its own. A run that failed is counted as that, and has no value
that could be compared with anything. One that ended with the lab says nothing of who proposed it, and is not counted.
"""

from __future__ import annotations

from statistics import fmean, median
from typing import TYPE_CHECKING

import msgspec

from lab.projections import standing, text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.tables import Line

MARK = b'"expected":'  # in the bytes of each line that counts here
_DIGITS = 4


class Calibration(msgspec.Struct, frozen=True, kw_only=True):
    """Of one tier and one who proposes. `error` is what came, less what was expected."""

    tier: str
    by: str
    foreseen: int  # runs of which a value was expected, and that have one
    failed: int  # of which a value was expected, and that have none
    direction_right: int = 0  # those that moved from their base to the side that was expected
    direction_told: int = 0  # those of which a change was expected at all
    mean_error: float | None = None
    median_error: float | None = None
    mean_size_of_error: float | None = None
    mean_size_of_expected_change: float | None = None
    noise_sd: float | None = None  # of one measurement, where points were repeated


def of(lines: Sequence[Line]) -> tuple[Calibration, ...]:
    """One for each tier and each who expected something, by name."""
    groups: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        if line.outcome and not line.cut_off and line.source.expected is not None:
            groups.setdefault((line.tier, line.maker), []).append(line)
    return tuple(_of(tier, by, group, lines) for (tier, by), group in sorted(groups.items()))


def told(each: Calibration) -> str:
    """The same in a line."""
    made = text.count(each.foreseen + each.failed, "run")
    words = [f"{each.by or 'a strategy'} in {each.tier} expected something of {made}"]
    if each.failed:
        words.append(f"{each.failed} failed")
    if each.direction_told:
        words.append(f"direction right in {each.direction_right} of {each.direction_told}")
    if each.foreseen:
        words.append(
            f"off by {each.mean_size_of_error!r} on average where it expected a change of "
            f"{each.mean_size_of_expected_change!r} (mean error {each.mean_error!r}, median {each.median_error!r})"
        )
    words.append("no point was measured twice" if each.noise_sd is None else f"noise {each.noise_sd!r}")
    return "; ".join(words)


def _of(tier: str, by: str, group: Sequence[Line], lines: Sequence[Line]) -> Calibration:
    errors: list[float] = []
    changes: list[float] = []
    told = right = 0
    for line in group:
        expected, base, value = line.source.expected, line.source.base, line.value
        if value is None or expected is None or not line.scored:
            continue
        errors.append(value - expected)
        if base is None:
            continue
        changes.append(expected - base)
        told += expected != base
        right += (expected > base and value > base) or (expected < base and value < base)
    return Calibration(
        tier=tier,
        by=by,
        foreseen=len(errors),
        failed=len(group) - len(errors),
        direction_right=right,
        direction_told=told,
        mean_error=_rounded(fmean(errors)) if errors else None,
        median_error=_rounded(median(errors)) if errors else None,
        mean_size_of_error=_rounded(fmean(map(abs, errors))) if errors else None,
        mean_size_of_expected_change=_rounded(fmean(map(abs, changes))) if changes else None,
        noise_sd=standing.noise(lines, tier, declared=None).sd,
    )


def _rounded(value: float) -> float:
    """As many digits as say something, so that the pages of two machines agree."""
    return float(f"{value:.{_DIGITS}g}")
