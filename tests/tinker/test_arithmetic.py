"""The arithmetic of recipes, with numbers that were worked out by hand, and what it may cost."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.chunk import Order
from lab.core.tuning import Tuning
from lab.tinker import advantage, estimate, preference
from lab.tinker.data import Sample
from lab.tinker.estimate import Purse, Spent, Tokens

NATS = st.floats(-2000, 2000)


def test_an_advantage_is_what_a_sample_beat_its_group_by() -> None:
    assert advantage.advantages([1.0, 0.0, 0.0, 1.0]) == [0.5, -0.5, -0.5, 0.5]
    assert advantage.has_signal([0.5, 0.5, 1.0])
    assert not advantage.has_signal([0.5, 0.5])


def test_kl_is_the_mean_over_sampled_tokens_of_what_the_two_models_differ_by() -> None:
    samples = [Sample(tokens=[7, 8], logprobs=[-1.0, -2.0]), Sample(tokens=[9], logprobs=[-3.0])]
    told = [[-9.0, -1.5, -2.5], [-9.0, -9.0, -3.5]]  # what stands before a sample is its prompt, and not counted
    assert advantage.kl(samples, told) == pytest.approx(0.5)
    assert advantage.kl([], []) == 0.0


def test_the_loss_of_a_policy_that_is_its_reference_is_log_two() -> None:
    told = preference.dpo([0.0, 0.0], [0.0, 0.0], beta=0.1)
    assert told.loss == pytest.approx(math.log(2))
    assert told.chosen == pytest.approx((0.025, 0.025))  # beta * sigmoid(0) / 2
    assert told.rejected == pytest.approx((-0.025, -0.025))


def test_a_margin_is_weighed_as_by_hand() -> None:
    told = preference.dpo([4.0], [-6.0], beta=0.1)  # beta * margin = 1
    assert told.loss == pytest.approx(math.log(1 + math.exp(-1)))
    assert told.margin == pytest.approx(1.0)
    assert told.accuracy == 1.0
    assert told.chosen[0] == pytest.approx(0.1 / (1 + math.e))


@given(chosen=st.lists(NATS, min_size=1, max_size=4), gap=st.floats(-50, 50), beta=st.floats(0.01, 1.0))
def test_the_weights_are_the_slope_of_the_loss(chosen: list[float], gap: float, beta: float) -> None:
    rejected = [each - gap for each in chosen]
    told = preference.dpo(chosen, rejected, beta)
    bit = 1e-4
    up = preference.dpo([chosen[0] + bit, *chosen[1:]], rejected, beta).loss
    down = preference.dpo([chosen[0] - bit, *chosen[1:]], rejected, beta).loss
    assert (up - down) / (2 * bit) == pytest.approx(-told.chosen[0], abs=1e-5)


def test_a_margin_that_no_exponential_holds_is_still_a_number() -> None:
    told = preference.dpo([1e6, -1e6], [-1e6, 1e6], beta=1.0)
    assert told.loss == pytest.approx(1e6)
    assert told.chosen == pytest.approx((0.0, 0.5))


def test_everyone_meets_everyone_in_both_orders() -> None:
    assert list(preference.ordered_pairs(3)) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


@given(st.data(), st.integers(2, 5))
def test_the_mean_of_a_round_robin_is_a_half_whatever_the_judge_says(data: st.DataObject, count: int) -> None:
    shares = st.sampled_from([0.0, 0.5, 1.0])
    rates = preference.win_rates(count, [(*pair, data.draw(shares)) for pair in preference.ordered_pairs(count)])
    assert sum(rates) / count == pytest.approx(0.5)


def test_a_judge_that_only_likes_what_stands_first_moves_nobody() -> None:
    assert preference.win_rates(3, [(*pair, 1.0) for pair in preference.ordered_pairs(3)]) == [0.5, 0.5, 0.5]


def test_the_share_that_each_won_is_as_by_hand() -> None:
    assert preference.win_rates(3, [(0, 1, 1.0), (1, 0, 0.0), (2, 0, 0.5)]) == pytest.approx([2.5 / 3, 0.0, 0.5])


def order(**given: object) -> Order:
    tuning = Tuning(usd_per_mtok_train=2.0, usd_per_mtok_sample=3.0, usd_per_mtok_prefill=1.0)
    told: dict[str, object] = {"experiment": "x", "run_id": "r", "tuning": tuning, "steps": 4, "until": 10} | given
    return Order(**told)  # type: ignore[arg-type]


def a_step(step: int) -> Tokens:
    return Tokens(trained=1000 * (step + 1), sampled=100, prefilled=10)


def test_an_estimate_is_the_sum_over_the_steps_that_are_left() -> None:
    told = estimate.estimate(order(first_step=8), a_step)
    assert (told.steps, told.chunks, told.trained, told.sampled, told.prefilled) == (2, 1, 19_000, 200, 20)
    assert told.usd == pytest.approx((19_000 * 2 + 200 * 3 + 20) / 1e6)
    assert estimate.estimate(order(), a_step).chunks == 3


def test_what_is_measured_is_counted_once_for_each_chunk() -> None:
    told = estimate.estimate(order(), a_step, Tokens(sampled=7, prefilled=5))  # ten steps, four a chunk
    assert (told.trained, told.sampled, told.prefilled) == (55_000, 10 * 100 + 3 * 7, 10 * 10 + 3 * 5)


def test_there_is_room_for_a_step_only_with_what_comes_behind_it() -> None:
    purse = Purse(order(tokens_left=100))
    behind = Tokens(sampled=10, prefilled=20)
    assert purse.has_room(Tokens(trained=70), behind)
    assert not purse.has_room(Tokens(trained=71), behind)


def test_where_a_recipe_does_not_count_a_step_asks_for_as_much_as_the_largest_so_far() -> None:
    purse = Purse(order(tokens_left=100))
    assert purse.has_room(None, None), "of the first nothing is known"
    purse.begin()
    purse.ask(sampled=55)
    purse.take(sampled=5)
    purse.remember()
    assert purse.has_room(None, Tokens(prefilled=40))
    assert not purse.has_room(None, Tokens(prefilled=41)), "samples may be longer this time"
    assert purse.has_room(Tokens(trained=95), None)
    with pytest.raises(Spent):
        purse.ask(sampled=96)


def test_an_estimate_without_all_prices_names_no_money() -> None:
    assert estimate.estimate(order(tuning=Tuning(usd_per_mtok_train=2.0)), a_step).usd is None


def test_a_step_is_taken_only_where_the_budget_holds_it() -> None:
    step, used = Tokens(trained=100), Tokens(trained=900)
    assert estimate.fits(order(tokens_left=1000), used, step)
    assert not estimate.fits(order(tokens_left=999), used, step)
    assert estimate.fits(order(usd_left=0.002), used, step)
    assert not estimate.fits(order(usd_left=0.0019), used, step)
    assert estimate.fits(order(), used, step)
