"""What is told of a training before it is paid: as far as its recipe goes, and for as many runs as there may be."""

from __future__ import annotations

from lab.core import spec
from lab.core.chunk import Order
from lab.core.errors import LabError
from lab.core.tuning import Tuning
from lab.scheduler.results import foreseen
from lab.tinker.estimate import Estimate

SPEC = spec.parse({"id": "sft", "executor": "tinker", "tinker": {"base_model": "tiny", "steps": 60, "chunk_steps": 10}})
TUNING = SPEC.tinker or Tuning()


def an_order(**changes: int) -> Order:
    told = {"number": 2, "first_step": 20, "steps": 10, "until": 60} | changes
    return Order(experiment="sft", run_id="", tuning=TUNING, **told)  # type: ignore[arg-type]  # numbers all


def test_it_goes_as_far_as_the_recipe_and_no_farther() -> None:
    recipe = Estimate(first_step=20, steps=10, chunks=1, trained=100, sampled=0, prefilled=0)
    told = foreseen.of(SPEC, an_order(), (), recipe)
    assert (told.until, told.is_chain, told.is_over) == (30, True, False)
    assert [(each.what, each.steps) for each in told.guesses[0].pieces] == [
        ("done", 20), ("chunk 2", 10), ("left", 10), ("all", 30),
    ]  # fmt: skip


def test_of_a_training_that_is_over_nothing_is_left() -> None:
    told = foreseen.of(SPEC, an_order(first_step=30), (), None)
    assert (told.until, told.is_over, told.guesses) == (30, True, ())


def test_a_search_takes_what_one_run_takes_as_often_as_it_may_run() -> None:
    recipe = Estimate(first_step=0, steps=60, chunks=1, trained=100, sampled=5, prefilled=0)
    told = foreseen.of(SPEC, an_order(number=0, first_step=0, steps=60), (), recipe, runs_left=7)
    assert (told.is_chain, told.runs_left) == (False, 7)
    assert [(each.what, each.tokens) for each in told.guesses[0].pieces] == [("a run", 105), ("7 runs", 735)]


def test_why_a_recipe_could_not_say_comes_with_what_to_do() -> None:
    told = foreseen.of(SPEC, an_order(), (), LabError("no data", fix="make some"))
    assert (told.problem, told.fix, told.guesses) == ("no data", "make some", ())
