"""Several strategies that share one history. Who proposes next is decided by what each has found lately. Pure.

Nothing is kept between two calls: which arm made a trial stands in its origin, and what it earned in the values.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Exhausted, LabError, Unadvised
from lab.core.trial import luck
from lab.strategies import door

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from random import Random as Luck

    from lab.core.space import Space
    from lab.core.trial import History, Proposal, Trial

ARMS = ("bayesian", "perturb", "tree")  # measured: docs/decisions/0018-portfolio.md
SPREAD, MODEL = "random", "bayesian"
SPREAD_FIRST = 10  # trials that are spread evenly
SCORED_FIRST = 3  # of them with a value
MODELLED = 30  # until there are so many, the model alone learns fastest
WINDOW = 50  # ended trials in which an arm can have earned something
CURIOSITY = 0.05


class Portfolio:
    """The arm that has lately improved on the best most often, an idle one from time to time.

    `arms` are names of strategies, the preferred first; one that cannot propose (its library is missing) is passed over
    and named in the note. `rotate` asks them in turns instead, whatever they find.
    """

    def __init__(self, arms: Sequence[str] = (), *, rotate: bool = False) -> None:
        self.arms = tuple(arms) or ARMS
        self.rotate = rotate
        if "portfolio" in self.arms:
            raise BadInput("a portfolio cannot be an arm of a portfolio", fix="name other strategies")

    def load(self) -> None:
        """What its arms need. One that cannot have it is passed over, as in `propose`, unless none can."""
        refusals: list[LabError] = []
        for arm in self.arms:
            try:
                door.load(door.find(arm))
            except LabError as error:
                refusals.append(error)
        door.find(SPREAD)  # it proposes first, whatever the arms
        if len(refusals) == len(self.arms):
            raise refusals[-1]

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        chance = rng.getrandbits(64)
        passed: list[str] = []
        refusal: LabError | None = None
        for arm in self._order(history):
            try:
                offer = door.find(arm).propose(space, history, luck(chance, history.number, arm))
            except (Exhausted, Unadvised):  # a model that was not asked yet is no arm that cannot propose
                raise
            except LabError as error:
                passed.append(f"{arm} was passed over: {error}")
                refusal = error
                continue
            note = "; ".join(filter(None, (offer.note, *passed)))
            return msgspec.structs.replace(offer, arm=arm, note=note)
        assert refusal is not None  # noqa: S101  # there is at least one arm
        raise refusal

    def _order(self, history: History) -> list[str]:
        """The arms, the one to ask first."""
        if self.rotate:
            turn = history.number % len(self.arms)
            return [*self.arms[turn:], *self.arms[:turn]]
        if not self._has_learnt(history):
            return [SPREAD, *(arm for arm in self.arms if arm != SPREAD)]
        if len(history.trials) < MODELLED and MODEL in self.arms:
            return [MODEL, *(arm for arm in self.arms if arm != MODEL)]
        return by_merit(self.arms, history)

    @staticmethod
    def _has_learnt(history: History) -> bool:
        if len(history.trials) < SPREAD_FIRST:
            return False
        scored = 0
        for trial in history.trials:
            scored += trial.value is not None
            if scored >= SCORED_FIRST:
                return True
        return False


def by_merit(arms: Sequence[str], history: History) -> list[str]:
    """The arms in the order of what they earned in the last trials, what was rarely asked put forward a little."""
    ended = history.ended
    earned: dict[str, list[bool]] = {arm: [] for arm in arms}
    asked = dict.fromkeys(arms, 0)
    for trial, better in improvements(history, ended):
        arm = trial.origin.maker
        if arm in earned and not trial.origin.kind and trial.origin.number >= SPREAD_FIRST:
            earned[arm].append(better)
            asked[arm] += 1
    for trial in history.pending:
        if trial.origin.maker in asked:
            asked[trial.origin.maker] += 1
    total = sum(asked.values())

    def merit(arm: str) -> float:
        if not asked[arm]:
            return math.inf
        return area(earned[arm]) + CURIOSITY * math.sqrt(2 * math.log(total) / asked[arm])

    return sorted(arms, key=merit, reverse=True)


def improvements(history: History, ended: Sequence[Trial]) -> Iterable[tuple[Trial, bool]]:
    """The last ended trials, each with whether it was better than all before it. A failure never is."""
    values = [trial.value for trial in ended[:-WINDOW]]  # quickly: nothing else here looks at every trial
    best = min((history.loss(value) for value in values if value is not None), default=math.inf)
    for trial in ended[-WINDOW:]:
        loss = math.inf if trial.value is None else history.loss(trial.value)
        yield trial, loss < best
        best = min(best, loss)


def area(earned: Sequence[bool]) -> float:
    """How often something was earned, between 0 and 1; the later trials count for more."""
    count = len(earned)
    return 2 * sum(place for place, good in enumerate(earned, 1) if good) / (count * (count + 1)) if count else 0.0
