"""The door through which a SPEC's `strategy` becomes something that proposes: built-ins and plug-ins alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lab.core.spec_tuning import DEFAULT_STRATEGY
from lab.store.plug_ins import Door

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from lab.core.space import Space
    from lab.core.trial import History, Proposal

GROUP = "lab.strategies"
DEFAULT = DEFAULT_STRATEGY
ADVISED = frozenset({"llm", "hybrid"})  # those that propose what a model has said
BUILT_IN: Mapping[str, str] = {
    "bayesian": "lab.strategies.bayesian:Bayesian",
    "evolution": "lab.strategies.evolution:Evolution",
    "hybrid": "lab.strategies.hybrid:Hybrid",
    "llm": "lab.strategies.llm:Llm",
    "perturb": "lab.strategies.perturb:Perturb",
    "portfolio": "lab.strategies.portfolio:Portfolio",
    "random": "lab.strategies.random_:Random",
    "tree": "lab.strategies.tree:Tree",
}


class Strategy(Protocol):
    """What proposes the parameters of the next trial.

    Its state is the history and its luck is `rng`: the same three arguments give the same proposal in any process, on
    any machine of the same kind. What it keeps between two calls may only save it work, never change its answer.

    What models have said is in `history.advice`. A strategy that goes by it raises `Unadvised` where a model is to be
    asked first: whoever runs the search does so, with nothing held, and asks the strategy again.

    It may also have `load() -> None`: import now what proposals will need, for others wait while one is made.
    `Unavailable` when it is missing. Called through `load` below, which asks nothing of one that has none.
    """

    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        """A point of the space that the search has not tried, where there is one left. `BadInput` when it cannot."""
        ...


_DOOR: Door[Strategy] = Door(GROUP, "strategy", BUILT_IN, ("propose",))
find, names, problems = _DOOR.find, _DOOR.names, _DOOR.problems


def load(strategy: Strategy) -> None:
    """Let a strategy import what its proposals will need, where it can say so. `Unavailable` when that is missing."""
    own: Callable[[], None] | None = getattr(strategy, "load", None)
    if own is not None:
        own()
