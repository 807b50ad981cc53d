"""What a training that is paid for will take at most, held against its limit before the first call. Pure.

It is looked at once, before step 0: later on, each step is held against what is left (`estimate.fits`), by what was
really used. Sampled answers count at their longest, so that a training may be refused here that would have fitted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.tinker.estimate import Estimate, Tokens, estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.chunk import Order

RECORD = "estimate.json"  # beside chunk.json
_NOTHING = Tokens()


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
