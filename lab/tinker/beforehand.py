"""What a recipe says before it trains: whether its data do (`--check`), and what its steps will take (`--estimate`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.tinker import affording
from lab.tinker.estimate import Tokens, estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.tinker.job import Job
    from lab.tinker.telling import Telling
    from lab.tinker.training import Recipe

CHECK, ESTIMATE = "--check", "--estimate"
_COUNT = "give it the method `tokens(job, step)`, and beside `measure` also `measured_tokens(job)`"


def check(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Say that its data were looked at. What is wrong with them was raised by `prepare`."""
    step = recipe.tokens(job, job.order.first_step)
    most = f", at most {step.total:,} tokens in step {job.order.first_step}" if step is not None else ""
    telling.say(f"the recipe finds nothing wrong: {end} steps, metric {recipe.metric}{most}")


def tell(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Print the estimate of what is left, as one line of JSON."""
    order = msgspec.structs.replace(job.order, until=end)
    telling.say(msgspec.json.encode(estimate(order, *_counted(recipe, job, ""))).decode())


def require(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Before the first step of a training that is paid for: refuse one whose steps cannot all be paid."""
    order = msgspec.structs.replace(job.order, until=end)
    if not affording.is_due(order):
        return
    found = affording.afforded(order, *_counted(recipe, job, f", and {order.tuning.url} is paid for"))
    telling.page(affording.RECORD, found.page())
    if found.problem:
        raise BadInput(f"the training does not fit its budget: {found.problem}", where=affording.RECORD)


def measured(recipe: Recipe, job: Job) -> Tokens | None:
    """What ends a chunk takes at most; None where the recipe measures, and does not count it."""
    return recipe.measured_tokens(job) if recipe.measures else Tokens()


def _counted(recipe: Recipe, job: Job, why: str) -> tuple[Callable[[int], Tokens], Tokens]:
    """How the recipe counts a step, and what it counts for what ends a chunk."""
    behind = measured(recipe, job)
    if recipe.tokens(job, job.order.first_step) is None:
        raise BadInput(f"the recipe does not say how many tokens a step takes{why}", fix=_COUNT)
    if behind is None:
        raise BadInput(f"the recipe does not say how many tokens its `measure` takes{why}", fix=_COUNT)

    def count(step: int) -> Tokens:
        return recipe.tokens(job, step) or Tokens()

    return count, behind
