"""What a training takes at most, held against its limit before the first call that is paid for."""

from __future__ import annotations

import msgspec
import pytest

from lab.core.chunk import Order
from lab.core.tuning import Tuning
from lab.tinker import affording
from lab.tinker.estimate import Tokens

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
    assert affording.is_due(an_order())
    assert not affording.is_due(an_order("http://127.0.0.1:1"))
    assert not affording.is_due(an_order(first_step=10, state_path="tinker://a/weights/000010"))


def test_the_whole_training_is_counted_and_not_the_first_chunk_alone() -> None:
    found = affording.afforded(an_order(), ten_each)
    assert found.problem == ""
    assert (found.estimate.steps, found.estimate.chunks, found.estimate.trained) == (100, 10, 1000)
    assert found.estimate.usd == pytest.approx(0.35)


@pytest.mark.parametrize(
    ("left", "words"),
    [
        ({"tokens_left": 2999}, "may take 3000 tokens, and 2999 are left: raise budget_tokens"),
        ({"tokens_left": None, "usd_left": 0.349}, "may cost 0.35 USD, and 0.349 are left: raise budget_cost"),
        ({"tokens_left": None, "usd_left": None}, "nothing says how much may be spent"),
    ],
)
def test_what_would_not_fit_is_refused_in_words(left: dict[str, float | None], words: str) -> None:
    order = an_order(**left)  # type: ignore[arg-type]
    assert words in affording.afforded(order, ten_each).problem


def test_money_without_prices_is_no_limit() -> None:
    found = affording.afforded(an_order(prices={}, tokens_left=None, usd_left=5.0), ten_each)
    assert "nothing says how much may be spent" in found.problem


@pytest.mark.parametrize("left", [3000, 2999])
def test_the_record_tells_what_it_was_held_against_whether_it_fits_or_not(left: int) -> None:
    found = affording.afforded(an_order(tokens_left=left), ten_each)
    told = msgspec.json.decode(found.page(), type=affording.Afforded)
    assert told == found
    assert found.page().endswith(b"}\n")
    assert bool(told.problem) == (left == 2999)
