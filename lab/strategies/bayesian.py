"""Proposals from a model of what was tried: a Gaussian process while it can be afforded, then optuna's TPE.

A Gaussian process finds more than TPE in as many trials, and its cost grows with the cube of their number. It is not
asked for spaces of more than 40 parameters that vary, or with hundreds of choices: TPE is, from the first.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.core.space import alike
from lab.core.trial import Proposal
from lab.strategies.essence import essence
from lab.strategies.fresh import fresh
from lab.strategies.random_ import spread
from lab.strategies.threads import in_one_thread
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
ENDED = 500  # trials that it is asked about, most of which then have failed
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

    def load(self) -> None:
        """Import the model. Optuna is not asked for: few searches are so long."""
        try:
            with in_one_thread():
                for lazy in ("ma", "random"):  # numpy itself loads them when they are first used
                    import_module(f"numpy.{lazy}")
                from lab.strategies import acquire, belief  # noqa: F401, PLC0415  # numpy: 0.1 s, not always installed
        except ImportError as error:
            raise Unavailable("the strategy bayesian needs numpy", fix="pip install 'labctl[search]'") from error

    def _memory(self, space: Space) -> Memory:
        self.load()
        from lab.strategies.belief import Memory  # noqa: PLC0415  # as above

        for known, memory in self._memories:
            if alike(known, space):
                return memory
        self._memories = [*self._memories[1 - _KEPT :], (space, Memory(space))]
        return self._memories[-1][1]


def _improving(memory: Memory, space: Space, history: History, rng: Luck) -> Params:
    from lab.strategies.acquire import proposals  # noqa: PLC0415  # numpy, as above
    from lab.strategies.belief import Belief  # noqa: PLC0415

    belief = Belief(memory, _affordable(history))
    rows = proposals(belief, space, rng.getrandbits(64))
    return fresh(space, history, lambda k: memory.encoding.point(rows[min(k, len(rows) - 1)]))


def _affordable(history: History) -> History:
    """The best and the latest of a history, where a model of all of it would be too much."""
    if len(history.scored()) > LIMIT:
        return essence(history, BEST, LATEST)
    # Failures have a model of their own, whose cost grows just as fast.
    return essence(history, LIMIT, LATEST) if len(history.trials) > ENDED else history
