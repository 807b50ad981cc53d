"""What a recipe says before it trains: whether its data do (`--check`), and what its steps will take (`--estimate`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput
from lab.tinker import affording
from lab.tinker.estimate import Estimate, Tokens, estimate

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.chunk import Order
    from lab.tinker.job import Job
    from lab.tinker.telling import Telling
    from lab.tinker.training import Recipe

CHECK, ESTIMATE = "--check", "--estimate"
_UNCOUNTED = "the recipe does not say how many tokens a step takes"
_COUNT = "give it the method `tokens(job, step)`"


def check(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Say that its data were looked at. What is wrong with them was raised by `prepare`."""
    counted = _counted(recipe, job)
    step = counted(job.order.first_step) if counted is not None else None
    most = f", at most {step.total:,} tokens in step {job.order.first_step}" if step is not None else ""
    telling.say(f"the recipe finds nothing wrong: {end} steps, metric {recipe.metric}{most}")


def tell(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Print the estimate of what is left, as one line of JSON."""
    counted = _counted(recipe, job)
    if counted is None:
        raise BadInput(_UNCOUNTED, fix=_COUNT)
    telling.say(msgspec.json.encode(_until(job.order, end, counted)).decode())


def require(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Before the first step of a training that is paid for: refuse one whose steps cannot all be paid."""
    order = msgspec.structs.replace(job.order, until=end)
    if not affording.is_due(order):
        return
    counted = _counted(recipe, job)
    if counted is None:
        raise BadInput(f"{_UNCOUNTED}, and {order.tuning.url} is paid for", fix=_COUNT)
    found = affording.afforded(order, counted)
    telling.page(affording.RECORD, found.page())
    if found.problem:
        raise BadInput(f"the training does not fit its budget: {found.problem}", where=affording.RECORD)


def _counted(recipe: Recipe, job: Job) -> Callable[[int], Tokens] | None:
    """How the recipe counts; None where it does not."""
    if job.order.until <= job.order.first_step or recipe.tokens(job, job.order.first_step) is None:
        return None

    def count(step: int) -> Tokens:
        return recipe.tokens(job, step) or Tokens()

    return count


def _until(order: Order, end: int, counted: Callable[[int], Tokens]) -> Estimate:
    return estimate(msgspec.structs.replace(order, until=end), counted)
