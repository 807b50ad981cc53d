"""What a remote training will take, before it is paid: as its recipe counts it, and as the chain so far tells.

The recipe's count is the most that there can be: what is sampled counts at its longest. The average of the steps that
were done is likelier, and has nothing to go by before the first of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.tinker.estimate import Estimate, Tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.core.chunk import Order
    from lab.core.spec import Spec
    from lab.scheduler.results.chained import Link

RECIPE, AVERAGE = "recipe", "average"


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """The tokens of so many steps, and what they cost; `usd` is None where the SPEC does not give all three prices."""

    what: str  # done, chunk N, left, or all; of a search: a run, and all that may still be made
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
    """`used` is what all tiers of the experiment took. A budget is None where the SPEC sets none.

    Of a search it is told for the recipe's own defaults: other parameters may take more. `is_over`: no step is left.
    """

    experiment: str
    tier: str
    first_step: int
    until: int  # as the recipe has it, where it could say
    chunk_steps: int  # of the next run; 0: it measures the end
    is_chain: bool
    is_over: bool
    runs_left: int | None  # of a search: how many more it may make
    used_tokens: int
    used_usd: float
    budget_tokens: int | None
    budget_usd: float | None
    guesses: tuple[Guess, ...]
    problem: str = ""  # why the recipe could not say
    fix: str = ""


def of(
    spec: Spec, order: Order, links: Sequence[Link], recipe: Estimate | LabError | None, runs_left: int | None = None
) -> Estimated:
    """All that can be told. `order` is what would be ordered next.

    `recipe` is what the recipe says of what is left, or why it says nothing; None where nothing is.
    """
    mine = [link for link in links if link.tier == order.tier]
    guesses: list[Guess] = []
    problem = recipe if isinstance(recipe, LabError) else LabError("")
    until = order.first_step if recipe is None else order.until
    if isinstance(recipe, Estimate):
        until = recipe.first_step + recipe.steps
        told = Tokens(trained=recipe.trained, sampled=recipe.sampled, prefilled=recipe.prefilled)
        guesses.append(_guess(RECIPE, order, mine, _shares(order, told, recipe.steps), runs_left))
    steps = sum(link.next_step - link.first_step for link in mine if link.saved)
    if steps and recipe is not None:
        done = _sum(mine)
        left = max(0, until - order.first_step)
        told = Tokens(
            trained=round(done.trained * left / steps),
            sampled=round(done.sampled * left / steps),
            prefilled=round(done.prefilled * left / steps),
        )
        guesses.append(_guess(AVERAGE, order, mine, _shares(order, told, left), runs_left))
    return Estimated(
        experiment=order.experiment,
        tier=order.tier,
        first_step=order.first_step,
        until=until,
        chunk_steps=order.steps,
        is_chain=bool(order.number),
        is_over=recipe is None,
        runs_left=runs_left,
        used_tokens=sum(link.tokens for link in links),
        used_usd=round(sum(link.cost for link in links), 9),
        budget_tokens=spec.stop_conditions.budget_tokens,
        budget_usd=spec.stop_conditions.budget_cost,
        guesses=tuple(guesses),
        problem=problem.what,
        fix=problem.fix,
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


def _guess(
    by: str, order: Order, links: Sequence[Link], shares: list[tuple[str, int, Tokens]], runs_left: int | None
) -> Guess:
    left, steps = Tokens(), sum(count for _, count, _ in shares)
    for _, _, tokens in shares:
        left = left + tokens
    pieces = [_piece(order, what, count, tokens) for what, count, tokens in shares]
    rest = _piece(order, "left", steps, left)
    if order.number:
        done = _sum(links)
        pieces = [
            _piece(order, "done", order.first_step, done),
            *pieces,
            rest,
            _piece(order, "all", order.first_step + steps, done + left),
        ]
    elif runs_left:
        every = Tokens(
            trained=left.trained * runs_left, sampled=left.sampled * runs_left, prefilled=left.prefilled * runs_left
        )
        pieces.append(_piece(order, f"{runs_left:,} runs", steps * runs_left, every))
    return Guess(
        by=by,
        pieces=tuple(pieces),
        left_tokens=rest.tokens,
        left_usd=rest.usd,
        problem=order.shortage(rest.tokens, rest.usd),
    )


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
