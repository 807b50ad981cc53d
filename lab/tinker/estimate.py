"""Tokens, and whether they are within what an order may use: of a whole training, and of one call. Pure.

Before a training that is paid for, all that it will take at most is held against its limit, once; later on each step
and each call is, beside what was really used. Samples count at their longest until they are there, so that a training
may be refused that would have fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.chunk import Order

RECORD = "estimate.json"  # beside chunk.json


class Tokens(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens by what is paid for them."""

    trained: int = 0
    sampled: int = 0
    prefilled: int = 0  # only read: prompts, and passes without a gradient

    def __add__(self, other: Tokens) -> Tokens:
        return Tokens(
            trained=self.trained + other.trained,
            sampled=self.sampled + other.sampled,
            prefilled=self.prefilled + other.prefilled,
        )

    @property
    def total(self) -> int:
        """All of them."""
        return self.trained + self.sampled + self.prefilled


_NOTHING = Tokens()


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """The most that these steps use, with samples counted at their longest, and what is measured behind each chunk.

    What was used before them is not in it. A chunk that is ended early makes one chunk more, and one measurement more.
    """

    first_step: int
    steps: int
    chunks: int  # runs of the lab that they take
    trained: int
    sampled: int
    prefilled: int
    usd: float | None = None  # None: the SPEC does not give all three prices


def estimate(order: Order, tokens: Callable[[int], Tokens], measured: Tokens = _NOTHING) -> Estimate:
    """The sum over the steps and chunks that the whole training has left, from where this chunk begins."""
    total = Tokens()
    steps = range(order.first_step, order.until)
    chunks = -(-len(steps) // max(1, order.steps))
    for step in steps:
        total = total + tokens(step)
    for _ in range(chunks):
        total = total + measured
    tuning = order.tuning
    usd = tuning.usd(total.trained, total.sampled, total.prefilled) if tuning.is_priced else None
    return Estimate(
        first_step=order.first_step,
        steps=len(steps),
        chunks=chunks,
        trained=total.trained,
        sampled=total.sampled,
        prefilled=total.prefilled,
        usd=usd,
    )


def fits(order: Order, used: Tokens, step: Tokens) -> bool:
    """Whether one more step stays within what the order may still use, after what this chunk has used already."""
    after = used + step
    return not order.shortage(after.total, order.tuning.usd(after.trained, after.sampled, after.prefilled))


# -- the whole training ------------------------------------------------------------------------------------------------


class Afforded(msgspec.Struct, frozen=True, kw_only=True):
    """The estimate, and what it was held against. `problem` is empty where the training may begin."""

    estimate: Estimate
    tokens_left: int | None
    usd_left: float | None
    problem: str = ""

    def page(self) -> bytes:
        """The record, for the run's folder: written whether it fits or not."""
        return msgspec.json.format(msgspec.json.encode(self), indent=1) + b"\n"


def is_due(order: Order) -> bool:
    """Whether it is to be looked at now: before the first step of a training that may cost money."""
    return not order.tuning.is_local and order.first_step == 0 and not order.state_path


def afforded(order: Order, tokens: Callable[[int], Tokens], measured: Tokens = _NOTHING) -> Afforded:
    """All of the training against what the order may use; given the most for a step, and for what ends a chunk."""
    found = estimate(order, tokens, measured)
    return Afforded(
        estimate=found, tokens_left=order.tokens_left, usd_left=order.usd_left, problem=_problem(order, found)
    )


def _problem(order: Order, found: Estimate) -> str:
    total = found.trained + found.sampled + found.prefilled
    if shortage := order.shortage(total, found.usd):
        return f"its {found.steps} steps may take too much: {shortage}; raise it, or lower tinker.steps"
    if order.tokens_left is None and (order.usd_left is None or found.usd is None):
        return "nothing says how much may be spent: budget_tokens, or budget_cost and all three prices"
    return ""


# -- one chunk ---------------------------------------------------------------------------------------------------------


class Spent(Exception):
    """The next call would use more than the order allows. The model is as it was after the last training."""


class Purse:
    """What a chunk used, held against its order. `used` is what an earlier start of the same run used already."""

    def __init__(self, order: Order | None = None, used: Tokens = _NOTHING) -> None:
        self._order = order
        self._largest = Tokens()
        self._asked = Tokens()
        self._before = used
        self.used = used

    def ask(self, *, trained: int = 0, sampled: int = 0, prefilled: int = 0) -> None:
        """Raise `Spent` where so many more would be too many."""
        more = Tokens(trained=trained, sampled=sampled, prefilled=prefilled)
        if self._order and not fits(self._order, self.used, more):
            raise Spent
        self._asked = self._asked + more

    def take(self, *, trained: int = 0, sampled: int = 0, prefilled: int = 0) -> None:
        """Count what was used."""
        self.used = self.used + Tokens(trained=trained, sampled=sampled, prefilled=prefilled)

    def since(self) -> Tokens:
        """What was used since this was last asked."""
        new = Tokens(
            trained=self.used.trained - self._before.trained,
            sampled=self.used.sampled - self._before.sampled,
            prefilled=self.used.prefilled - self._before.prefilled,
        )
        self._before = self.used
        return new

    def begin(self) -> None:
        """A step begins."""
        self._asked = Tokens()

    def remember(self) -> None:
        """A step is done: the next one may ask for as much."""
        self._largest = Tokens(
            trained=max(self._largest.trained, self._asked.trained),
            sampled=max(self._largest.sampled, self._asked.sampled),
            prefilled=max(self._largest.prefilled, self._asked.prefilled),
        )

    def has_room(self, counted: Tokens | None, behind: Tokens | None) -> bool:
        """Whether another step is within what the order allows, and what comes behind it: as the recipe counts it.

        Where it does not, one that asks for as much as any so far; of the first it is not known, and taken for small.
        """
        if self._order is None:
            return True
        largest = self._largest if self._largest.total else Tokens(trained=1)
        return fits(self._order, self.used, (counted or largest) + (behind or Tokens()))
