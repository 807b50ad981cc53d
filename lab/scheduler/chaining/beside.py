"""What a whole training may use, beside others of its search that are under way: together they stay in the budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import allowance, chunk
from lab.core.allowance import Allowance
from lab.core.chunk import Order
from lab.core.errors import Busy
from lab.core.record import parse
from lab.store import leases, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.spec import Spec
    from lab.core.view import View
    from lab.store.root import Root


def share(root: Root, view: View, spec: Spec, tier: str, slots: int) -> Allowance:
    """An even share of what is left, for each of so many places that is free; all of it where there is one.

    No smaller than what a training took so far, on average: fewer are begun then; and where the last one had too little
    for a step, the next has all of it, alone. `Busy` where those under way may use all that is left.
    """
    left = allowance.of(view, spec, tier)
    if left.tokens is None and left.usd is None:
        return left
    orders = tuple(_under_way(root, spec.id))
    is_alone = view.last is not None and view.last.chunk is not None and view.last.chunk.halted == chunk.IS_SPENT
    places = 1 if is_alone else max(1, slots - len(orders))
    # Who had no service, or no room for a step, took nothing: that is no measure of what a training takes.
    runs = min(view.whole_runs or view.runs, view.iterations) or 1
    tokens, usd = left.tokens, left.usd
    if tokens is not None:
        tokens -= sum(order.tokens_left or 0 for order in orders)
        tokens = int(tokens / _parts(places, tokens, view.tokens / runs))
    if usd is not None:
        usd -= sum(order.usd_left or 0.0 for order in orders)
        usd = usd / _parts(places, usd, view.cost / runs)
    if orders and (is_alone or (tokens is not None and tokens <= 0) or (usd is not None and usd <= 0)):
        what = f"the {len(orders)} trainings of {spec.id} that are under way may use all that its budget leaves"
        raise Busy(what, fix="wait for one of them, or raise budget_tokens or budget_cost")
    return Allowance(tokens=tokens, usd=usd)


def _parts(places: int, left: float, each: float) -> int:
    """How many share it."""
    return max(1, min(places, int(left / each))) if each else places


def _under_way(root: Root, experiment: str) -> Iterator[Order]:
    """The orders of the runs that have begun and are in no view."""
    found = leases.survey(root, experiment)
    claims = [each.seen.claim for each in found.held] + [each.seen.claim for each in found.lost]
    for run_id in (claim.run_id for claim in [*claims, *(each.claim for each in found.unsettled)]):
        path = f"{root.layout.run(experiment, run_id)}/{chunk.ORDER}" if run_id else ""
        written = reading.read(path) if path else None
        if written is not None:
            yield parse(Order, written, path)
