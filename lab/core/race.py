"""Who goes on in a race, and who is stopped: successive halving over tiers, and over the steps of one run. Pure.

Both are asynchronous: each judgement is made when it can be, against whoever has got so far, and nobody waits for a
rung to fill. A share of the candidates is spared: no rule stops them, since a slow starter is found only among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence  # msgspec resolves annotations
from itertools import pairwise
from math import inf
from typing import TYPE_CHECKING

import msgspec

from lab.core.curve import Track
from lab.core.origin import PROMOTED, REPLAY
from lab.core.run import MINIMIZE
from lab.core.trial import Trial

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from lab.core.spec_fields import Spec

MEDIAN, NONE = "median", "none"
FIRST_RUNG = 1 / 9  # of the longest run; earlier, a run's rank says too little of its end
LAST_RUNG = 1 - FIRST_RUNG  # of it; later, there is less to save than the value of the whole run is worth
SURE = 2.0  # standard deviations of a measurement, within which nobody is called worse than others
LEAST_COHORT = 5  # runs that the median is taken of
_LOOKS = 64  # how often the median rule looks at a run; a kept curve has no more points


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """A trial whose params are to run again in a higher tier."""

    trial: Trial
    tier: str
    note: str


def minimized(spec: Spec) -> dict[str, bool]:
    """By tier, whether less is better there. Ask the SPEC as it was read."""
    return {tier: spec.for_tier(tier).metric_direction == MINIMIZE for tier in spec.fidelity_tiers}


def promotable(
    trials: Sequence[Trial],
    tiers: Sequence[str],
    *,
    minimize: Mapping[str, bool],
    eta: float,
    share: float,
    seed: int,
    passed_over: Collection[str] = (),
) -> Promotion | None:
    """The trial that should go on to its next tier now, if any; the highest tier first. Not one of `passed_over`.

    Of the n trials of a tier that ended with a value, or were stopped early as hopeless, the best n/eta may go on; and
    each that is spared, whatever its rank. Values are compared within one tier only. A trial went on once there is any
    run in the next tier that was promoted from it, however that run ended: a retry is no new promotion.
    """
    for lower, upper in reversed(list(pairwise(tiers))):
        gone = {
            parent
            for trial in trials
            if trial.tier == upper and trial.origin.kind == PROMOTED
            for parent in trial.origin.parents
        }.union(passed_over)
        here = [trial for trial in trials if trial.tier == lower and trial.origin.kind != REPLAY]
        sign = 1.0 if minimize[lower] else -1.0
        ranked = sorted((sign * trial.value, at) for at, trial in enumerate(here) if trial.value is not None)
        judged = len(ranked) + sum(1 for trial in here if trial.value is None and trial.reported is not None)
        for rank, (_, at) in enumerate(ranked[: int(judged / eta)], start=1):
            if here[at].run_id not in gone:
                return Promotion(trial=here[at], tier=upper, note=f"{_nth(rank)} of {judged} in {lower}")
        for trial in here:
            origin = trial.origin
            known = trial.value is not None and trial.run_id not in gone and origin.strategy
            if known and spared(origin.seed or seed, origin.number, share):
                return Promotion(trial=trial, tier=upper, note=f"goes on whatever its rank in {lower}")
    return None


def _nth(rank: int) -> str:
    ending = "th" if 10 < rank % 100 < 20 else {1: "st", 2: "nd", 3: "rd"}.get(rank % 10, "th")  # noqa: PLR2004  # 11th
    return f"{rank}{ending}"


def spared(seed: int, number: int, share: float) -> bool:
    """Whether a candidate is never stopped. It keeps its number from tier to tier, so that everybody draws the same."""
    drawn = hashlib.sha256(f"{seed}/{number}/spared".encode()).digest()[:8]
    return int.from_bytes(drawn) < share * 2.0**64


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """The earlier runs of a tier that reported. `longest` is the last step of the longest success; 0 without one.

    `sigma` is the standard deviation of a measurement, where it is known.
    """

    tracks: Sequence[Track] = ()
    longest: float = 0.0
    sigma: float = 0.0


class Judge:
    """One run against those before it, a point at a time.

    `longest` is the last step that a run may take, or 0 where only the cohort can tell. Without a cohort nobody is
    stopped.
    """

    __slots__ = ("_best", "_eta", "_longest", "_look_at", "_minimize", "_rule")

    def __init__(self, rule: str, *, minimize: bool, eta: float, longest: float = 0.0) -> None:
        self._rule = rule
        self._minimize = minimize
        self._eta = eta
        self._longest = longest
        self._best = inf
        self._look_at = longest * FIRST_RUNG

    def told(self, step: float, value: float, cohort: Callable[[], Cohort]) -> str:
        """Why the run is hopeless, or nothing. Steps must grow. `cohort` is asked only where it matters."""
        self._best = min(self._best, value if self._minimize else -value)
        if step < self._look_at or self._rule == NONE:
            return ""
        before = cohort()
        longest = self._longest or before.longest
        if not longest or not longest * FIRST_RUNG <= step <= longest * LAST_RUNG:
            return ""
        self._look_at = self._next(step, longest)
        losses = sorted(loss for track in before.tracks if (loss := track.by(step)) is not None)
        margin = SURE * before.sigma
        by = self._by_median if self._rule == MEDIAN else self._by_rung
        return by(step, losses, margin)

    def _next(self, step: float, longest: float) -> float:
        if self._rule == MEDIAN:
            return step + longest / _LOOKS
        rung = longest * FIRST_RUNG
        while rung <= step:
            rung *= self._eta
        return rung if rung < longest else inf

    def _by_median(self, step: float, losses: Sequence[float], margin: float) -> str:
        if len(losses) < LEAST_COHORT:
            return ""
        half = len(losses) // 2
        middle = losses[half] if len(losses) % 2 else (losses[half - 1] + losses[half]) / 2
        if self._best <= middle + margin:
            return ""
        had = f"step {step:g}: {self._shown(self._best)} is worse than the median {self._shown(middle)}"
        return f"{had} of {len(losses)} earlier runs"

    def _by_rung(self, step: float, losses: Sequence[float], margin: float) -> str:
        """Among the best 1/eta of those who got here, itself counted; never more than all but the best are stopped."""
        if len(losses) < self._eta:
            return ""
        runs = len(losses) + 1
        bar = losses[max(1, int(runs / self._eta)) - 1]
        if self._best <= bar + margin:
            return ""
        had = f"step {step:g}: {self._shown(self._best)} is not among the best 1 in {self._eta:g} of {runs} runs"
        return f"{had}, which have {self._shown(bar)} or better"

    def _shown(self, loss: float) -> str:
        return f"{loss if self._minimize else -loss:.6g}"
