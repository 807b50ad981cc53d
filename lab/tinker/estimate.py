"""What the steps that are left of a training will use, before any of them is paid. Pure: no service is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.chunk import Order


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
