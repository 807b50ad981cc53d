"""Why a chunk was ordered as it was: the event of the ledger that is written before the chunk begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import event

if TYPE_CHECKING:
    from lab.core.chunk import Order
    from lab.core.claim import Claim
    from lab.core.view import View

_REASON_CHARS = 1_000


def last_step(order: Order) -> int:
    """How far it may go at most."""
    return min(order.first_step + order.steps, order.until)


def extent(order: Order) -> str:
    """From where to where, in words."""
    begins = f"from {order.parent or 'the base model'}"
    chunk = f"chunk {order.number}, " if order.number else ""
    if not order.steps:
        return f"{chunk}of no step: measures the end, {order.first_step} steps, {begins}"
    return f"{chunk}steps {order.first_step} to {last_step(order)} of {order.until}, {begins}"


def told(view: View, order: Order, claim: Claim, *, ts: str, why: str = "") -> event.Event:
    """The order of a claimed chunk, with all numbers that it rests on."""
    tier = view.tiers.get(order.tier)
    chain = tier.chain if tier is not None else None
    facts: dict[str, str | int | float | bool | None] = {
        "number": order.number,
        "first_step": order.first_step,
        "last_step": last_step(order),
        "until": order.until,
        "parent": order.parent,
        "value": tier.last_value if tier is not None else None,
        "best": tier.best.value if tier is not None and tier.best is not None else None,
        "tokens": view.tokens,
        "cost": view.cost,
    }
    more = {"tokens_left": order.tokens_left, "cost_left": order.usd_left, "kl": chain.kl if chain else None}
    facts |= {name: value for name, value in more.items() if value is not None}
    return event.Event(
        type=event.CHUNK_DECIDED, ts=ts, experiment=order.experiment, run_id=order.run_id, tier=order.tier,
        generation=claim.generation, reason="; ".join(filter(None, (extent(order), why)))[:_REASON_CHARS], facts=facts,
    )  # fmt: skip
