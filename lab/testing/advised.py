"""The contract of a strategy that proposes what a model has said: it is given the words of a model that is made up.

The words are a function of the history, as those of a search are, so that the contract's promises can be held:

    class TestMine(StrategyContract):
        strategy = AdvisedMine()  # class AdvisedMine(Advised): kind = Mine
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment
from lab.core.advice import Advice, Candidate
from lab.core.trial import luck

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.space import Space
    from lab.core.trial import History, Proposal
    from lab.strategies.door import Strategy

_CANDIDATES = 3
_FAILS_EVERY = 5


class Advised:
    """A strategy, with what a model said in each history: new points and old ones, and sometimes a problem instead.

    Subclass it to name the strategy, for another process makes one without arguments.
    """

    kind: type[Strategy]

    def __init__(self) -> None:
        self._asked = self.kind()

    def load(self) -> None:
        """What the strategy itself loads."""
        load = getattr(self._asked, "load", None)
        if load is not None:
            load()

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        return self._asked.propose(space, msgspec.structs.replace(history, advice=words(space, history)), rng)


def words(space: Space, history: History) -> Advice:
    """What a model says to this history."""
    rng = luck(history.seed, history.number, "words")
    if not history.number % _FAILS_EVERY:
        return Advice(problem="model-timeout", what="no answer in 90 s", ask=f"ASK-{history.number:06}")
    old = [trial.params for trial in history.trials[-_CANDIDATES:]]
    new = [assignment.draw(space, rng) for _ in range(_CANDIDATES)]
    made = tuple(Candidate(ask="ASK-000001", params=params, note="a word") for params in (*old, *new))
    spent = "every candidate was tried"  # in a small space; a search would ask again, and be told so in the end
    return Advice(candidates=made, problem="model-invalid", what=spent)
