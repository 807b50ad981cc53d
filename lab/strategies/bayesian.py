"""Proposals from a model of what was tried: a Gaussian process while it can be afforded, then optuna's TPE.

A Gaussian process finds more than TPE in as many trials, and its cost grows with the cube of their number. It is not
asked for spaces of more than 40 parameters that vary, or with hundreds of choices: TPE is, from the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.space import alike
from lab.core.trial import Proposal
from lab.strategies.fresh import fresh
from lab.strategies.random_ import spread
from lab.strategies.tpe import Parzen

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.core.trial import History
    from lab.strategies.belief import Memory

SPREAD_FIRST = 10  # trials, before a model is asked
LIMIT = 200  # trials with a value that a Gaussian process is asked about
PARAMETERS = 40
WIDTH = 300  # numbers that stand for one point
BEST, LATEST = 60, 90  # what it is asked about beyond the limit, where there is no optuna
_KEPT = 4  # searches that take turns in one process


class Bayesian:
    """The point with the highest expected improvement. What it keeps between calls changes no answer."""

    def __init__(self) -> None:
        self._memories: list[tuple[Space, Memory]] = []
        self._parzen = Parzen()

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        memory = self._memory(space)
        encoding = memory.encoding
        told = sum(trial.value is not None or trial.reported is not None for trial in history.trials)
        scored = any(trial.value is not None for trial in history.trials)
        if len(history.trials) < SPREAD_FIRST or not scored or not encoding.count:
            return Proposal(params=spread(space, history), note="evenly spread")
        wide = encoding.count > PARAMETERS or encoding.width > WIDTH
        if wide or told > LIMIT:
            try:
                params = fresh(space, history, lambda _: self._parzen.point(space, history, rng))
                return Proposal(params=params, note="TPE")
            except Unavailable:
                if wide:
                    raise
        return Proposal(params=_improving(memory, space, history, rng), note="expected improvement")

    def _memory(self, space: Space) -> Memory:
        try:
            from lab.strategies.belief import Memory  # noqa: PLC0415  # numpy: 0.1 s, and not always installed
        except ImportError as error:
            raise Unavailable("the strategy bayesian needs numpy", fix="pip install 'labctl[search]'") from error
        for known, memory in self._memories:
            if alike(known, space):
                return memory
        self._memories = [*self._memories[1 - _KEPT :], (space, Memory(space))]
        return self._memories[-1][1]


def _improving(memory: Memory, space: Space, history: History, rng: Luck) -> Params:
    from lab.strategies.acquire import proposals  # noqa: PLC0415  # numpy, as above
    from lab.strategies.belief import Belief  # noqa: PLC0415

    belief = Belief(memory, _essence(history))
    rows = proposals(belief, space, rng.getrandbits(64))
    return fresh(space, history, lambda k: memory.encoding.point(rows[min(k, len(rows) - 1)]))


def _essence(history: History) -> History:
    """The history with the best and the latest of what has ended, where all of it would be too much."""
    scored = history.scored()
    if len(scored) <= LIMIT:
        return history
    best = sorted(range(len(scored)), key=lambda k: (scored[k][1], k))[:BEST]
    kept = {scored[k][0].run_id for k in best} | {trial.run_id for trial in history.ended[-LATEST:]}
    trials = tuple(trial for trial in history.trials if trial.pending or trial.run_id in kept)
    return msgspec.structs.replace(history, trials=trials)
