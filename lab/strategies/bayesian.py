"""Proposals from a model of what was tried: a Gaussian process while it can be afforded, then optuna's TPE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.core.trial import Proposal
from lab.strategies.fresh import fresh
from lab.strategies.random_ import sobol_point

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.assignment import Params
    from lab.core.space import Space
    from lab.core.trial import History
    from lab.strategies.belief import Memory

SPREAD_FIRST = 10  # trials, before a model is asked
SCORED_FIRST = 3  # of them with a value
GOOD = 5
_KEPT = 4  # searches that take turns in one process


class Bayesian:
    """The point with the highest expected improvement. What it keeps between calls changes no answer."""

    def __init__(self) -> None:
        self._memories: list[tuple[Space, Memory]] = []

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        try:
            import numpy as np  # noqa: F401, PLC0415  # 0.1 s, and not installed with labctl alone
        except ImportError as error:
            raise Unavailable("the strategy bayesian needs numpy", fix="pip install 'labctl[search]'") from error
        scored = sum(trial.value is not None for trial in history.trials)
        if len(history.trials) < SPREAD_FIRST or scored < SCORED_FIRST:
            return Proposal(params=fresh(space, history, lambda k: _spread(space, history, k)), note="evenly spread")
        return self._modelled(space, history, rng)

    def _modelled(self, space: Space, history: History, rng: Luck) -> Proposal:
        import numpy as np  # noqa: PLC0415

        from lab.strategies.acquire import log_improvement, search  # noqa: PLC0415
        from lab.strategies.belief import Belief  # noqa: PLC0415

        memory = self._memory(space)
        encoding = memory.encoding
        if not encoding.count:
            return Proposal(params=fresh(space, history, lambda k: _spread(space, history, k)))
        belief = Belief(memory, history)
        posterior = belief.with_pending()
        best = float(belief.means.min())
        chance = np.random.default_rng(rng.getrandbits(64))

        def wanted(rows: np.ndarray) -> np.ndarray:
            seen = encoding.seen(rows)
            found = log_improvement(*posterior.at(seen), best)
            return found + belief.log_success(seen) if belief.any_failed else found

        good = belief.rows[np.argsort(belief.means, kind="stable")[:GOOD]]
        rows = search(encoding, wanted, good, chance)
        params = fresh(space, history, lambda k: encoding.point(rows[min(k, len(rows) - 1)]))
        return Proposal(params=params, note="expected improvement")

    def _memory(self, space: Space) -> Memory:
        from lab.strategies.belief import Memory  # noqa: PLC0415

        for known, memory in self._memories:
            if known == space:
                return memory
        self._memories = [*self._memories[1 - _KEPT :], (space, Memory(space))]
        return self._memories[-1][1]


def _spread(space: Space, history: History, attempt: int) -> Params:
    return sobol_point(space, history.seed, history.number + attempt * 2**30)
