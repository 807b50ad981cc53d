"""What a training takes at most, held against its limit before the first call that is paid for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.chunk import ORDER, SPENT, Order
from lab.core.record import page
from lab.core.tuning import Tuning
from lab.tinker import estimate
from lab.tinker.estimate import Tokens

if TYPE_CHECKING:
    from pathlib import Path

PAID = "https://tinker.example.org"
PRICES = {"usd_per_mtok_train": 100.0, "usd_per_mtok_sample": 200.0, "usd_per_mtok_prefill": 50.0}


def an_order(url: str = PAID, *, prices: dict[str, float] = PRICES, **more: object) -> Order:
    tuning = Tuning(base_url=url, base_model="b", steps=100, chunk_steps=10, **prices)  # type: ignore[arg-type]
    given: dict[str, object] = {"steps": 10, "until": 100, "tokens_left": 10_000, **more}
    return Order(experiment="train", run_id="RUN-1", tuning=tuning, **given)  # type: ignore[arg-type]


def ten_each(step: int) -> Tokens:
    del step
    return Tokens(trained=10, sampled=10, prefilled=10)


def test_it_is_looked_at_before_the_first_step_of_what_is_paid_for_and_at_no_other_time() -> None:
    assert estimate.is_due(an_order())
    assert not estimate.is_due(an_order("http://127.0.0.1:1"))
    assert not estimate.is_due(an_order(first_step=10, state_path="tinker://a/weights/000010"))


def test_the_whole_training_is_counted_and_not_the_first_chunk_alone() -> None:
    found = estimate.afforded(an_order(), ten_each)
    assert found.problem == ""
    assert (found.estimate.steps, found.estimate.chunks, found.estimate.trained) == (100, 10, 1000)
    assert found.estimate.usd == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        (
            {"tokens_left": 2999},
            "may take too much: 3,000 tokens are more than the 2,999 that budget_tokens leaves; raise it",
        ),
        (
            {"tokens_left": None, "usd_left": 0.349},
            "may take too much: 0.35 USD are more than the 0.349 that budget_cost leaves; raise it",
        ),
        ({"tokens_left": None, "usd_left": None}, "nothing says how much may be spent"),
    ],
)
def test_what_would_not_fit_is_refused_in_words(left: dict[str, float | None], words: str) -> None:
    order = an_order(**left)  # type: ignore[arg-type]
    assert words in estimate.afforded(order, ten_each).problem


def test_money_without_prices_is_no_limit() -> None:
    found = estimate.afforded(an_order(prices={}, tokens_left=None, usd_left=5.0), ten_each)
    assert "nothing says how much may be spent" in found.problem


@pytest.mark.parametrize("left", [3000, 2999])
def test_the_record_tells_what_it_was_held_against_whether_it_fits_or_not(left: int) -> None:
    found = estimate.afforded(an_order(tokens_left=left), ten_each)
    told = msgspec.json.decode(found.page(), type=estimate.Afforded)
    assert told == found
    assert found.page().endswith(b"}\n")
    assert bool(told.problem) == (left == 2999)


# -- by a recipe -------------------------------------------------------------------------------------------------------

COUNTING = """
import sys
from lab.tinker import recipe

class Counting(recipe.Recipe):
    metric = "nll"
    def length(self, job):
        return 50
    def tokens(self, job, step):
        return recipe.Tokens(trained=step)
    def step(self, job, step):
        raise AssertionError

code = recipe.main(Counting())
assert "tinker" not in sys.modules, "the SDK was loaded"
raise SystemExit(code)
"""


def carried(folder: Path, order: Order, recipe: str = COUNTING) -> subprocess.CompletedProcess[str]:
    (folder / ORDER).write_bytes(page(order))
    (folder / "recipe.py").write_text(recipe, encoding="utf-8")
    environ = {"LAB_CHUNK_PATH": str(folder / ORDER), "HOME": str(folder), "TINKER_API_KEY": "tml-0123456789"}
    command = [sys.executable, "-B", "recipe.py"]
    return subprocess.run(command, cwd=folder, env=environ, text=True, capture_output=True, timeout=50, check=False)


def test_a_training_that_may_cost_more_than_is_left_ends_before_its_service_is_asked(tmp_path: Path) -> None:
    done = carried(tmp_path, an_order(tokens_left=1224))
    assert done.returncode == SPENT, done.stderr  # it is the budget, and no failure that another try might mend
    assert "its 50 steps may take too much: 1,225 tokens are more than the 1,224 that budget_tokens" in done.stderr
    told = msgspec.json.decode((tmp_path / estimate.RECORD).read_bytes(), type=estimate.Afforded)
    assert (told.estimate.steps, told.estimate.trained, told.tokens_left) == (50, 1225, 1224)
    assert told.problem


def test_a_recipe_that_does_not_say_what_it_uses_is_not_started_on_a_paid_service(tmp_path: Path) -> None:
    silent = COUNTING.replace("def tokens", "def others")
    done = carried(tmp_path, an_order(), silent)
    assert done.returncode == 1, done.stderr
    assert "the recipe does not say how many tokens a step takes" in done.stderr
    assert not (tmp_path / estimate.RECORD).exists()


MEASURE = """
    def measure(self, job):
        raise AssertionError
"""
MEASURED = """
    def measured_tokens(self, job):
        return recipe.Tokens(sampled=3, prefilled=4)
"""


def test_what_a_recipe_measures_with_counts_too(tmp_path: Path) -> None:
    head, code = COUNTING.split("\ncode = ")
    done = carried(tmp_path, an_order(tokens_left=1225), f"{head}{MEASURE}\ncode = {code}")
    assert done.returncode == 1, done.stderr
    assert "the recipe does not say how many tokens its `measure` takes" in done.stderr
    done = carried(tmp_path, an_order(tokens_left=1259), f"{head}{MEASURE}{MEASURED}\ncode = {code}")
    assert "1,260 tokens are more than the 1,259" in done.stderr, "five chunks, and seven tokens each"
