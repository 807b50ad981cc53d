"""What a remote training will take, before it is paid: as its recipe counts it, and as the chain so far tells.

The recipe's count is the most that there can be: what is sampled counts at its longest. The average of the steps that
were done is likelier, and has nothing to go by before the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.tinker.estimate import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.core.chunk import Order
    from lab.core.spec import Spec
    from lab.scheduler.results.chained import Link
    from lab.tinker.estimate import Estimate

RECIPE, AVERAGE = "recipe", "average"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of so many steps, and what they cost; `usd` is None where the SPEC does not give all three prices."""

    what: str  # done, chunk N, left, or all
    steps: int
    trained: int
    sampled: int
    prefilled: int
    tokens: int
    usd: float | None


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """One way to tell. `by`: recipe (at most), or average (of the steps that were done)."""

    by: str
    pieces: tuple[Piece, ...]
    left_tokens: int
    left_usd: float | None
    problem: str = ""  # why the budget does not bear it


class Estimated(msgspec.Struct, frozen=True, kw_only=True):
    """`used` is what all tiers of the experiment took. A budget is None where the SPEC sets none."""

    experiment: str
    tier: str
    first_step: int
    until: int
    chunk_steps: int
    used_tokens: int
    used_usd: float
    budget_tokens: int | None
    budget_usd: float | None
    guesses: tuple[Guess, ...]
    problem: str = ""  # why the recipe could not say


def of(spec: Spec, order: Order, links: Sequence[Link], recipe: Estimate | None, problem: str = "") -> Estimated:
    """All that can be told. `order` is what would be ordered next; `recipe` what the recipe says of what is left."""
    mine = [link for link in links if link.tier == order.tier]
    guesses = []
    if recipe is not None:
        told = Tokens(trained=recipe.trained, sampled=recipe.sampled, prefilled=recipe.prefilled)
        guesses.append(_guess(RECIPE, order, mine, _shares(order, told, recipe.steps), recipe.steps))
    steps = sum(link.next_step - link.first_step for link in mine if link.saved)
    if steps:
        done = _sum(mine)
        left = max(0, order.until - order.first_step)
        told = Tokens(
            trained=round(done.trained * left / steps),
            sampled=round(done.sampled * left / steps),
            prefilled=round(done.prefilled * left / steps),
        )
        guesses.append(_guess(AVERAGE, order, mine, _shares(order, told, left), left))
    return Estimated(
        experiment=order.experiment,
        tier=order.tier,
        first_step=order.first_step,
        until=order.until,
        chunk_steps=order.steps,
        used_tokens=sum(link.tokens for link in links),
        used_usd=round(sum(link.cost for link in links), 9),
        budget_tokens=spec.stop_conditions.budget_tokens,
        budget_usd=spec.stop_conditions.budget_cost,
        guesses=tuple(guesses),
        problem=problem,
    )


def _shares(order: Order, total: Tokens, steps: int) -> list[tuple[str, int, Tokens]]:
    """The chunks that are left, each with its share of the tokens. Shares add up to the total."""
    found: list[tuple[str, int, Tokens]] = []
    done, number = 0, max(order.number, 1)
    while done < steps:
        upto = min(done + max(1, order.steps), steps)
        share = Tokens(
            trained=_between(total.trained, done, upto, steps),
            sampled=_between(total.sampled, done, upto, steps),
            prefilled=_between(total.prefilled, done, upto, steps),
        )
        found.append((f"chunk {number}" if order.number else "a run", upto - done, share))
        done, number = upto, number + 1
    return found


def _between(total: int, first: int, last: int, steps: int) -> int:
    return total * last // steps - total * first // steps


def _guess(by: str, order: Order, links: Sequence[Link], shares: list[tuple[str, int, Tokens]], steps: int) -> Guess:
    left = Tokens()
    for _, _, tokens in shares:
        left = left + tokens
    pieces = [_piece(order, what, count, tokens) for what, count, tokens in shares]
    rest = _piece(order, "left", steps, left)
    if order.number:  # the whole of a search is not known: it is as long as somebody lets it be
        done = _sum(links)
        pieces = [
            _piece(order, "done", order.first_step, done),
            *pieces,
            rest,
            _piece(order, "all", order.first_step + steps, done + left),
        ]
    return Guess(by=by, pieces=tuple(pieces), left_tokens=rest.tokens, left_usd=rest.usd, problem=_problem(order, rest))


def _sum(links: Iterable[Link]) -> Tokens:
    total = Tokens()
    for link in links:
        total = total + Tokens(trained=link.trained, sampled=link.sampled, prefilled=link.prefilled)
    return total


def _piece(order: Order, what: str, steps: int, tokens: Tokens) -> Piece:
    tuning = order.tuning
    usd = round(tuning.usd(tokens.trained, tokens.sampled, tokens.prefilled), 6) if tuning.is_priced else None
    return Piece(
        what=what, steps=steps, trained=tokens.trained, sampled=tokens.sampled, prefilled=tokens.prefilled,
        tokens=tokens.total, usd=usd,
    )  # fmt: skip


def _problem(order: Order, left: Piece) -> str:
    """Why what is left does not fit what may still be used."""
    if order.tokens_left is not None and left.tokens > order.tokens_left:
        return f"{left.tokens:,} tokens are more than the {order.tokens_left:,} that budget_tokens leaves"
    if order.usd_left is not None and left.usd is not None and left.usd > order.usd_left:
        return f"{left.usd:,.4g} USD are more than the {order.usd_left:,.4g} that budget_cost leaves"
    return ""
