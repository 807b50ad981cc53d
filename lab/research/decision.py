"""`decision.json`: what follows from a round, by a rule on what was measured."""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.core.record import Record

FILE = "decision.json"
KEEP, REFINE, PIVOT, STOP = "keep", "refine", "pivot", "stop"
Word = Literal["keep", "refine", "pivot", "stop"]
Reason = Literal[
    "goal_met", "below_prediction", "within_noise", "killed", "worse", "stagnation", "budget_exhausted", "human_stop",
    "human",
]  # fmt: skip


class Past(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A round that is over, as the rule remembers it. `evaluation` is the run that measured it."""

    round: int
    idea: str
    evaluation: str = ""
    gain: float | None = None
    is_better: bool = False
    least: float | None = None  # by its idea's own kill rule: what a gain had to be for the idea to be kept


class Decision(Record, frozen=True, kw_only=True, omit_defaults=True):
    """keep and stop go on to the writing; refine makes another round of the same idea, pivot one of the next idea.

    A keep may be of an earlier round than the last: `kept_round` says of which.
    """

    decision: Word
    reason: Reason
    why: str  # in words, with the numbers
    round: int
    idea: str
    next_idea: str = ""  # of a pivot
    gain: float | None = None
    predicted_gain: float | None = None
    low: float | None = None
    high: float | None = None
    rounds_left: int = 0
    by: str = ""  # rule, or the person
    kept_round: int = 0  # of a keep
    past: tuple[Past, ...] = ()  # the rounds before this one, the first one first
    spent: str = ""  # which budget of the project does not bear another round
