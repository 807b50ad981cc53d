"""What is looked at before a recipe trains: what it was ordered, and what it will take.

With `--check` it only says whether its data do, with `--estimate` what its steps will take.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.chunk import SPENT
from lab.core.errors import BadInput, Corrupt
from lab.tinker import estimate, paths, rows
from lab.tinker.estimate import Tokens

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.tinker.job import Job
    from lab.tinker.place import Place
    from lab.tinker.telling import Telling
    from lab.tinker.training import Recipe

CHECK, ESTIMATE = "--check", "--estimate"
_COUNT = "give it the method `tokens(job, step)`, and beside `measure` also `measured_tokens(job)`"


class NoRoom(BadInput):
    """The budget bears no step. Whoever asks again gets the same answer."""

    exit_code = SPENT


def refuse(recipe: Recipe, place: Place) -> None:
    """Refuse what can be seen to be wrong before anybody is asked."""
    order, where = place.order, place.folder
    if not recipe.metric or rows.metric_problem(recipe.metric):
        problem = rows.metric_problem(recipe.metric) or "it is empty"
        raise BadInput(f"the metric of the recipe cannot be called {recipe.metric!r}: {problem}")
    if place.metric and place.metric != recipe.metric:  # each chunk would be paid for, and none would have a value
        what = f"the metric of the recipe is {recipe.metric}, and that of the SPEC {place.metric}"
        raise BadInput(what, where=where, fix="write the same name into both")
    if order.first_step and not order.state_path:
        what = f"the order begins at step {order.first_step} and names no state to begin from"
        raise Corrupt(what, where=where, fix="labctl show EXPERIMENT tells what the chain knows")
    if order.state_path:
        saved = paths.parse(order.state_path, where=where)
        held = paths.step_of(order.state_path)
        if saved.kind != paths.WEIGHTS:
            raise BadInput(f"{order.state_path} is no state that a training can go on from", where=where)
        if order.first_step and held is not None and held != order.first_step:
            what = f"the order begins at step {order.first_step}, and the state has {held} steps in it"
            raise Corrupt(what, where=order.state_path, fix="labctl verify; the chain and the state disagree")
    if order.first_step:
        lost = [name for name in recipe.fixed if not paths.is_path(order.fixed.get(name, ""))]
        if lost:
            what = f"the path of {', '.join(lost)} is lost, which was fixed before step 0"
            fix = "with another one it would be another training: begin another experiment, labctl create"
            raise Corrupt(what, where=where, fix=fix)


def check(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Say that its data were looked at. What is wrong with them was raised by `prepare`."""
    step = recipe.tokens(job, job.order.first_step)
    most = f", at most {step.total:,} tokens in step {job.order.first_step}" if step is not None else ""
    telling.say(f"the recipe finds nothing wrong: {end} steps, metric {recipe.metric}{most}")


def tell(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Print the estimate of what is left, as one line of JSON."""
    order = msgspec.structs.replace(job.order, until=end)
    telling.say(msgspec.json.encode(estimate.estimate(order, *_counted(recipe, job, ""))).decode())


def require(recipe: Recipe, job: Job, end: int, telling: Telling) -> None:
    """Before the first step of a training that is paid for: refuse one whose steps cannot all be paid."""
    order = msgspec.structs.replace(job.order, until=end)
    if not estimate.is_due(order):
        return
    found = estimate.afforded(order, *_counted(recipe, job, f", and {order.tuning.url} is paid for"))
    telling.page(estimate.RECORD, found.page())
    if found.problem:
        raise NoRoom(f"the training does not fit its budget: {found.problem}", where=estimate.RECORD)


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
