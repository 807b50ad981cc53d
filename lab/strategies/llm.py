"""What a model proposes. It was asked beforehand, by whoever runs the search: its answers are in the history. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment
from lab.core.errors import BadInput, Unadvised
from lab.core.trial import Proposal
from lab.strategies import door
from lab.strategies.fresh import fresh

if TYPE_CHECKING:
    from random import Random as Luck

    from lab.core.advice import Advice
    from lab.core.space import Space
    from lab.core.trial import History

_WHAT_CHARS = 500  # of a problem, in a note that is sealed with the run


class Llm:
    """The newest candidate of a model that was not tried yet. Where the model failed, the declared fallback proposes.

    `Unadvised` when a model is to be asked first. A fallback never passes for the model: its name is the proposal's
    arm, and the note says what went wrong.
    """

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        advice = advised(history, "llm")
        found = candidate(history, advice)
        if found is not None:
            return found
        if advice.problem:
            return instead(door.find(advice.fallback).propose(space, history, rng), advice, advice.fallback)
        raise unadvised(space, history, rng)


def advised(history: History, name: str) -> Advice:
    """What a model has said, or why there is no model to say anything."""
    if history.advice is None:
        fix = "write `llm:` into the SPEC: labctl validate --schema shows what it takes"
        raise BadInput(f"the strategy {name} asks a model, and the SPEC names none", fix=fix)
    if history.advice.fallback in door.ADVISED:
        what = f"llm.fallback cannot be {history.advice.fallback}: it would wait for the model that failed"
        raise BadInput(what, fix="name one that needs no model, such as perturb; or stop")
    return history.advice


def candidate(history: History, advice: Advice, arm: str = "") -> Proposal | None:
    """The first candidate that was not tried."""
    is_tried = history.tried()
    for each in advice.candidates:
        if not is_tried(each.params):
            return Proposal(
                params=each.params, note=each.note, parents=each.parents, arm=arm, ask=each.ask, base=each.base,
                expected=each.expected,
            )  # fmt: skip
    return None


def instead(offer: Proposal, advice: Advice, arm: str) -> Proposal:
    """Another strategy's proposal in the place of the model's. It carries the exchange that failed into its bundle."""
    note = f"{offer.note}; " if offer.note else ""
    note += f"{arm} in the model's place: {advice.problem}: {advice.what[:_WHAT_CHARS]}"
    return msgspec.structs.replace(offer, arm=arm, note=note, ask=advice.ask)


def unadvised(space: Space, history: History, rng: Luck) -> Unadvised:
    """The word that a model is to be asked. `Exhausted` where there is nothing left that it could propose."""
    fresh(space, history, lambda _: assignment.draw(space, rng))
    return Unadvised("the model has not been asked yet", fix="labctl burst asks it, and so does labctl run-once")
