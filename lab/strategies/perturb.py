"""Small changes to the best points found so far, by steps that grow with success and shrink without. No numpy."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from lab.core.trial import Proposal
from lab.strategies.essence import LATEST, essence
from lab.strategies.fresh import fresh
from lab.strategies.nearby import Neighbourhood, Scored, changes, promising
from lab.strategies.random_ import spread

if TYPE_CHECKING:
    from random import Random

    from lab.core.space import Space
    from lab.core.trial import History

_FIRST = 8  # trials with a value before anything is changed: spread evenly
_LEAST, _MOST, _START = 0.003, 0.4, 0.2  # the step, in parts of a parameter's range
_GROWS, _SHRINKS = 1.5, 0.93  # a step stays as it is where one change in seven is an improvement
_ELITE = (3, 8)
_ELSEWHERE = 0.04  # the share of proposals that look at another part of the space
_ALONG = 0.25  # the share that goes along the difference of two good points
_CHOSEN = 0.4  # the share that is the most promising of several changes; the rest is left to chance
_OTHER_STEPS = ("tree", "bayesian", "evolution", "llm", "hybrid")  # theirs say nothing about the step of this one


class Perturb:
    """Changes one of the best trials, whoever found it. The first ones are spread evenly."""

    def propose(self, space: Space, history: History, rng: Random) -> Proposal:
        scored = essence(history).scored()
        if len(scored) < _FIRST or rng.random() < _ELSEWHERE:
            return Proposal(params=spread(space, history), note="evenly spread")
        ranked = sorted(scored, key=lambda each: each[1])
        elite = ranked[: max(_ELITE[0], min(_ELITE[1], len(ranked) // 8))]
        parent, _ = rng.choices(elite, [0.5**k for k in range(len(elite))])[0]
        step = step_size(scored)
        near = Neighbourhood(space)
        make = changes(near, parent, ranked, step, rng, along=_ALONG)
        if rng.random() < _CHOSEN:
            make = promising(near, parent, scored, history.tried(), make)
        params = fresh(space, history, make)
        return Proposal(params=params, parents=(parent.run_id,), note=f"a change of {parent.run_id} by {step:.3g}")


def step_size(scored: Scored) -> float:
    """The step after these trials: longer after a change that was the best so far, shorter after any other.

    Only the latest move it: what it was before them is forgotten anyway.
    """
    step, best = _START, min((loss for _, loss in scored[:-LATEST]), default=math.inf)
    for trial, loss in scored[-LATEST:]:
        if trial.origin.parents and not trial.origin.kind and trial.origin.maker not in _OTHER_STEPS:
            step *= _GROWS if loss < best else _SHRINKS
            step = min(_MOST, max(_LEAST, step))
        best = min(best, loss)
    return step
