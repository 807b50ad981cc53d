"""Evolution, with a share of its candidates made by a model: the cloud keeps exploring, the model knows the field.

What the model finds is told to the cloud like any other result, so the two pull each other along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.strategies.evolution import Evolution
from lab.strategies.llm import advised, candidate, instead, unadvised

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.space import Space
    from lab.core.trial import History, Proposal

_CLOUD, _MODEL = "evolution", "llm"  # by its name evolution knows its own draws again


class Hybrid:
    """Evolution, but for the share of proposals that `llm.share` gives to the model. `Unavailable` without nevergrad.

    Where the model fails, evolution takes those too, whichever strategy the SPEC names as fallback: it is at hand and
    knows the search. Only `fallback: stop` holds here as well: whoever asks the model then makes no run without it.
    """

    def __init__(self) -> None:
        self._evolution = Evolution()

    def load(self) -> None:
        """Import nevergrad."""
        self._evolution.load()

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        advice = advised(history, "hybrid")
        models = rng.random() < advice.share  # the same however often it is asked for this trial
        found = candidate(history, advice, _MODEL) if models else None
        if found is not None:
            return found
        if models and not advice.problem:
            raise unadvised(space, history, rng)
        offer = self._evolution.propose(space, history, rng)
        if models:
            return instead(offer, advice, _CLOUD)
        return msgspec.structs.replace(offer, arm=_CLOUD)
