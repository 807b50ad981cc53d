"""What a training in chunks is after each of its runs, and what the policy makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import allowance, history, policy, spec
from lab.core import chain as chains
from lab.core.chain import Chain
from lab.core.chunk import IS_SPENT, IS_UNAVAILABLE, Chunk
from lab.core.history import Item
from lab.core.policy import Escalate, Finish, Move, Pause, Proceed, Promote, Wait
from lab.core.record import page, parse
from lab.core.run import CANCELLED, CRASH, FAILED, SUCCESS, TIMEOUT, Run
from lab.core.seal import Anchor, Seal
from lab.core.view import ACTIVE, View

if TYPE_CHECKING:
    from lab.core.spec_fields import Spec

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PARAMS = {"lr": 0.1}


def a_chunk(number: int, first: int, after: int, **more: object) -> Chunk:
    saved = (
        {"state_path": f"tinker://r{number}/weights/{after:06d}", "model_run": f"r{number}"} if after > first else {}
    )
    told = {"number": number, "first_step": first, "next_step": after, "params": PARAMS, **saved, **more}
    return msgspec.convert(told, Chunk)


def a_run(number: int, chunk: Chunk | None, outcome: str = SUCCESS, **more: object) -> Run:
    value = 1.0 / number if outcome == SUCCESS else None
    ended = f"2026-01-01T00:00:{number:02d}Z"
    told = {
        "run_id": f"RUN-20260101-000000-{number:06d}-scout", "experiment": "chat", "outcome": outcome, "value": value,
        "metric": "nll", "direction": "minimize", "started_at": "2026-01-01T00:00:00Z", "ended_at": ended, **more,
    }  # fmt: skip
    run = msgspec.convert(told, Run)
    return run if chunk is None else msgspec.structs.replace(run, trained=chunk)


def a_spec(**more: object) -> Spec:
    tinker = {"base_model": "tiny", "steps": 30, "chunk_steps": 10, **more.pop("tinker", {})}  # type: ignore[dict-item]
    given = {"id": "chat", "metric": "nll", "metric_direction": "minimize", "cadence": "0", "executor": "tinker"}
    return spec.parse({**given, "tinker": tinker, **more})


def seen(*runs: Run, tier: str = "default", resumed: bool = False) -> View:
    view = history.begin("chat", direction="minimize", tier=tier, spec="s")
    view.phase = ACTIVE
    for place, run in enumerate(runs):
        view = history.fold(view, [Item(key=(1, 1, f"{place:04d}"), ts=run.ended_at, run=run, generation=place + 1)])
    if resumed:
        view.runs_since_opened = view.failure_streak = 0
    return view


def decided(view: View, written: Spec) -> Move:
    return policy.decide(view, written, NOW)


def whole(*chunks: Chunk, **more: object) -> View:
    return seen(*(a_run(place + 1, each) for place, each in enumerate(chunks)), **more)  # type: ignore[arg-type]


# -- the chain ---------------------------------------------------------------------------------------------------------


def test_a_chain_goes_on_from_the_last_state_that_was_saved() -> None:
    chain = whole(a_chunk(1, 0, 10, trained=5), a_chunk(2, 10, 20, trained=7, sampled=1)).chain
    assert chain is not None
    assert (chain.next_step, chain.chunks, chain.begun, chain.tokens) == (20, 2, 2, 13)
    assert (chain.state_path, chain.model_run) == ("tinker://r2/weights/000020", "r2")
    assert chain.run_id.endswith("000002-scout")
    assert chain.params == PARAMS


@pytest.mark.parametrize("outcome", [FAILED, CANCELLED])
def test_a_state_counts_whatever_became_of_the_run_that_saved_it(outcome: str) -> None:
    chain = seen(a_run(1, a_chunk(1, 0, 10, trained=5), outcome)).chain
    assert chain is not None
    assert (chain.next_step, chain.chunks, chain.tokens) == (10, 1, 5)


def test_a_chunk_that_saved_nothing_moves_nothing_but_was_paid() -> None:
    before = whole(a_chunk(1, 0, 10, trained=5))
    after = history.fold(
        before, [Item(key=(2, 1, "x"), ts="2026", run=a_run(2, a_chunk(2, 10, 10, trained=3), FAILED))]
    )
    assert before.chain is not None
    assert after.chain is not None
    assert (after.chain.next_step, after.chain.state_path) == (10, before.chain.state_path)
    assert (after.chain.chunks, after.chain.begun, after.chain.tokens) == (1, 2, 8)


def test_a_state_that_is_older_than_the_chains_does_not_take_it_back() -> None:
    chain = whole(a_chunk(1, 0, 10), a_chunk(2, 10, 20), a_chunk(3, 0, 5)).chain
    assert chain is not None
    assert (chain.next_step, chain.chunks, chain.begun) == (20, 2, 3)


def test_what_was_fixed_before_step_0_stays_fixed_though_the_chunk_that_fixed_it_died() -> None:
    fixed = {"reference": "tinker://r1/sampler_weights/ref"}
    chain = seen(a_run(1, a_chunk(1, 0, 0, fixed=fixed), FAILED), a_run(2, a_chunk(2, 0, 10))).chain
    assert chain is not None
    assert chain.fixed == fixed


def test_what_is_fixed_is_never_replaced_by_what_a_later_chunk_says_of_it() -> None:
    fixed, other = ({"reference": f"tinker://r1/sampler_weights/{name}"} for name in ("ref", "other"))
    view = whole(a_chunk(1, 0, 10, fixed=fixed), a_chunk(2, 10, 20, fixed=other), a_chunk(3, 20, 20, fixed=other))
    assert view.chain is not None
    assert view.chain.fixed == fixed


def test_a_chain_knows_what_it_was_begun_with_from_the_first_chunk_that_left_something() -> None:
    lost = a_chunk(1, 0, 0, base_model="lost", seed=1)
    begun, later = (a_chunk(n, 10 * n - 20, 10 * n - 10, base_model=f"m{n}", seed=n) for n in (2, 3))
    chain = seen(a_run(1, lost, FAILED), a_run(2, begun), a_run(3, later)).chain
    assert chain is not None
    assert (chain.base_model, chain.seed) == ("m2", 2)
    fixed = seen(a_run(1, msgspec.structs.replace(lost, fixed={"reference": "r"}), FAILED), a_run(2, begun)).chain
    assert fixed is not None
    assert (fixed.base_model, fixed.seed) == ("lost", 1)


def test_whole_trainings_of_a_search_are_no_chain_but_their_tokens_count() -> None:
    view = seen(a_run(1, a_chunk(0, 0, 30, final=True, trained=5)), a_run(2, a_chunk(0, 0, 30, trained=6)))
    assert view.chain == Chain(trained=11)
    assert view.tokens == 11


def test_folding_runs_one_by_one_or_all_at_once_gives_the_same_chain() -> None:
    runs = [a_run(1, a_chunk(1, 0, 10, trained=5)), a_run(2, a_chunk(2, 10, 10, trained=3), FAILED)]
    runs.append(a_run(3, a_chunk(3, 10, 20, kl=0.5)))
    items = [Item(key=(1, 1, f"{place:04d}"), ts=run.ended_at, run=run) for place, run in enumerate(runs)]
    at_once = history.fold(history.begin("chat", direction="minimize", tier="default", spec="s"), items)
    one_by_one = history.begin("chat", direction="minimize", tier="default", spec="s")
    for item in items:
        one_by_one = history.fold(one_by_one, [item])
    assert at_once == one_by_one
    assert msgspec.json.decode(msgspec.json.encode(at_once), type=View) == at_once


def test_a_run_that_trained_nothing_remotely_is_sealed_as_it_always_was() -> None:
    made = Seal(run=a_run(1, None), generation=1, anchor=Anchor(), sealed_at="", sealed_by="me", files={})
    assert b'"chunk"' not in page(made)
    assert parse(Seal, page(made), "x").run.chunk is None
    chunk = a_chunk(1, 0, 10)
    remote = msgspec.structs.replace(made, run=a_run(1, chunk))
    assert b'"chunk"' in page(remote)
    assert parse(Seal, page(remote), "x").run.chunk == chunk


def test_the_chain_before_is_left_as_it_was() -> None:
    before = Chain(next_step=10, state_path="x", chunks=1)
    chains.fold(before, a_run(2, None), a_chunk(2, 10, 20))
    assert before == Chain(next_step=10, state_path="x", chunks=1)


# -- the policy --------------------------------------------------------------------------------------------------------


def test_a_training_goes_on_until_it_is_finished() -> None:
    assert decided(whole(a_chunk(1, 0, 10)), a_spec()) == Proceed(tier="default")
    done = decided(whole(a_chunk(1, 0, 20), a_chunk(2, 20, 30, final=True, trained=9)), a_spec())
    assert done == Finish(
        reason="the training is finished", facts={"chunks": 2, "step": 30, "steps": 30, "tokens": 9}
    )  # fmt: skip


def test_a_training_whose_end_has_no_value_is_said_to_have_none() -> None:
    killed = a_run(1, a_chunk(1, 0, 30, final=True), FAILED, reason="it was killed by signal 9")
    asked = a_run(2, a_chunk(2, 30, 30), FAILED, reason="it was killed by signal 15")
    done = decided(seen(killed, asked), a_spec())
    assert isinstance(done, Finish)
    assert done.reason == "the training is finished, and its end has no value: it was killed by signal 15"
    both = [msgspec.structs.replace(run, tier="sft") for run in (killed, asked)]
    handed = decided(seen(*both, tier="sft"), a_spec(fidelity_tiers=["sft", "rl"]))
    assert isinstance(handed, Escalate)
    assert "its end has no value" in handed.reason


def test_the_end_of_a_training_without_a_value_is_measured_once_and_again_when_somebody_resumes_it() -> None:
    killed, asked = a_run(1, a_chunk(1, 0, 30, final=True), FAILED), a_run(2, a_chunk(2, 30, 30), FAILED)
    for runs, resumed in [((killed,), False), ((killed, asked), True), ((killed,), True)]:
        view = seen(*runs, resumed=resumed)
        assert decided(view, a_spec()) == Proceed(tier="default")
        assert allowance.steps_of_next(view, a_spec(), "default") == 0
    assert isinstance(decided(seen(killed, asked), a_spec()), Finish)
    away = a_run(2, a_chunk(2, 30, 30, halted=IS_UNAVAILABLE), FAILED, ended_at="2025-12-31T23:59:50Z")
    assert isinstance(decided(seen(killed, away), a_spec()), Wait)
    assert allowance.steps_of_next(seen(killed, resumed=True), a_spec(tinker={"steps": 50}), "default") == 10


def test_a_training_is_over_where_no_step_of_it_is_left_and_not_where_chunks_are_ordered() -> None:
    early = a_chunk(1, 0, 12, final=True)
    assert allowance.is_over(whole(early), a_spec(), "default")
    assert allowance.is_over(whole(a_chunk(1, 0, 30)), a_spec(), "default")
    assert not allowance.is_over(whole(a_chunk(1, 0, 12)), a_spec(), "default")
    resumed = whole(early, resumed=True)
    failed = a_run(2, a_chunk(2, 12, 12), FAILED)
    for view in (resumed, history.fold(resumed, [Item(key=(2, 1, "x"), ts="2026", run=failed)])):
        assert decided(view, a_spec()) == Proceed(tier="default")
        assert not allowance.is_over(view, a_spec(), "default")


def test_a_training_that_was_made_longer_is_not_finished_by_a_chunk_that_failed() -> None:
    view = whole(a_chunk(1, 0, 30, final=True), resumed=True)
    failed = a_run(2, a_chunk(2, 30, 30), FAILED)
    after = history.fold(view, [Item(key=(2, 1, "x"), ts="2026", run=failed)])
    assert decided(after, a_spec(tinker={"steps": 50})) == Proceed(tier="default")


def test_what_measures_an_end_is_no_chunk_more_and_keeps_what_was_made_of_it() -> None:
    end = a_chunk(1, 0, 30, final=True, external_path="tinker://r1/external_weights/final")
    again = msgspec.structs.replace(end, number=2, first_step=30, external_path="")
    chain = seen(a_run(1, end, FAILED), a_run(2, again)).chain
    assert chain is not None
    assert (chain.chunks, chain.final, chain.measured) == (1, True, True)
    assert chain.external_path == end.external_path


def test_one_that_its_recipe_ended_early_is_finished_too_and_goes_on_when_somebody_wants_more_steps() -> None:
    early = whole(a_chunk(1, 0, 12, final=True))
    assert isinstance(decided(early, a_spec()), Finish)
    assert decided(whole(a_chunk(1, 0, 12, final=True), resumed=True), a_spec()) == Proceed(tier="default")
    assert isinstance(decided(whole(a_chunk(1, 0, 30, final=True), resumed=True), a_spec()), Finish)
    longer = a_spec(tinker={"steps": 50})
    assert decided(whole(a_chunk(1, 0, 30, final=True), resumed=True), longer) == Proceed(tier="default")


def test_a_training_at_its_end_was_not_ended_by_the_number_of_its_runs() -> None:
    exactly = a_spec(max_iterations_total=3)
    first, second = a_run(1, a_chunk(1, 0, 10)), a_run(2, a_chunk(2, 10, 20))
    done = decided(seen(first, second, a_run(3, a_chunk(3, 20, 30, final=True))), exactly)
    assert isinstance(done, Finish)
    assert done.reason == "the training is finished"
    killed = a_run(3, a_chunk(3, 20, 30, final=True), FAILED)
    assert decided(seen(first, second, killed), exactly) == Proceed(tier="default")
    short = decided(seen(first, second, a_run(3, a_chunk(3, 20, 29))), exactly)
    assert isinstance(short, Finish)
    assert short.reason == "max iterations"


def test_a_plateau_ends_the_stage_of_a_training_and_in_the_last_one_all_of_it() -> None:
    staged = a_spec(
        fidelity_tiers=["sft", "rl"], fidelity_promotion_rule="when-finished",
        stop_conditions={"plateau_after_consecutive_low_signal_runs": 2},
    )  # fmt: skip
    for tier, kind in (("sft", Promote), ("rl", Finish)):
        flat = [a_run(n, a_chunk(n, n - 1, n), value=1.0, tier=tier) for n in (1, 2, 3)]
        move = decided(seen(*flat, tier=tier), staged)
        assert isinstance(move, kind)
        assert "plateau" in move.reason
    nothing = [a_run(n, a_chunk(n, 0, 0), FAILED, tier="sft") for n in (1, 2)]
    assert isinstance(decided(seen(*nothing, tier="sft"), staged), Finish)


def test_fewer_steps_than_it_has_behind_it_end_it() -> None:
    move = decided(whole(a_chunk(1, 0, 20)), a_spec(tinker={"steps": 15}))
    assert isinstance(move, Finish)
    assert (move.reason, move.facts["step"], move.facts["steps"]) == ("step budget used", 20, 15)


def test_a_finished_stage_moves_on_by_itself_or_to_a_person() -> None:
    tiers = {"fidelity_tiers": ["sft", "rl"]}
    done = seen(a_run(1, a_chunk(1, 0, 30, final=True), tier="sft"), tier="sft")
    move = decided(done, a_spec(**tiers, fidelity_promotion_rule="when-finished"))
    assert isinstance(move, Promote)
    assert (move.tier, move.facts["step"]) == ("rl", 30)
    handed = decided(done, a_spec(**tiers))
    assert isinstance(handed, Escalate)
    assert handed.facts["next"] == "rl"
    half = seen(a_run(1, a_chunk(1, 0, 20), tier="sft"), tier="sft")
    assert decided(half, a_spec(**tiers, fidelity_promotion_rule="when-finished")) == Proceed(tier="sft")


def test_trouble_pauses_it_once_for_each_chunk_that_has_it() -> None:
    bad = a_chunk(1, 0, 10, trouble="loss is not finite")
    move = decided(whole(bad), a_spec())
    assert isinstance(move, Pause)
    assert "loss is not finite" in move.reason
    assert decided(whole(bad, resumed=True), a_spec()) == Proceed(tier="default")
    assert decided(whole(bad, a_chunk(2, 10, 20)), a_spec()) == Proceed(tier="default")
    # Also where the run failed of it, and where it was its last chunk.
    assert isinstance(decided(seen(a_run(1, a_chunk(1, 0, 0, trouble="nan"), FAILED)), a_spec()), Pause)
    assert isinstance(decided(whole(a_chunk(1, 0, 30, final=True, trouble="nan")), a_spec()), Pause)


def test_a_kl_above_its_limit_pauses_it_until_somebody_resumes() -> None:
    limited = a_spec(tinker={"kl_limit": 0.5})
    move = decided(whole(a_chunk(1, 0, 10, kl=0.75)), limited)
    assert isinstance(move, Pause)
    assert (move.facts["kl"], move.facts["max"]) == (0.75, 0.5)
    assert decided(whole(a_chunk(1, 0, 10, kl=0.75), resumed=True), limited) == Proceed(tier="default")
    assert decided(whole(a_chunk(1, 0, 10, kl=0.5)), limited) == Proceed(tier="default")
    assert decided(whole(a_chunk(1, 0, 10, kl=0.75)), a_spec()) == Proceed(tier="default")


@pytest.mark.parametrize(("budget", "goes_on"), [(100, False), (109, False), (110, True)])
def test_tokens_that_bear_no_further_step_end_it(budget: int, goes_on: bool) -> None:
    move = decided(
        whole(a_chunk(1, 0, 10, trained=60, sampled=30, prefilled=10)),
        a_spec(stop_conditions={"budget_tokens": budget}),
    )
    assert isinstance(move, Proceed) == goes_on
    if not goes_on:
        assert isinstance(move, Finish)
        assert move.reason == "token budget used"
        assert move.facts["max"] == budget


def test_a_step_that_would_take_more_than_is_left_is_not_tried_over_and_over() -> None:
    limited = a_spec(stop_conditions={"budget_tokens": 115})
    paid, refused = a_chunk(1, 0, 10, trained=100), a_run(2, a_chunk(2, 10, 10, halted=IS_SPENT), FAILED)
    assert isinstance(decided(whole(paid), limited), Proceed)  # 15 are left, and 10 is what a step takes, on average
    used = decided(seen(a_run(1, paid), refused), limited)
    assert isinstance(used, Finish)
    assert used.reason == "token budget used"
    assert isinstance(decided(seen(a_run(1, paid), refused, resumed=True), limited), Proceed)


def test_a_budget_without_room_for_the_first_step_is_used() -> None:
    refused = seen(a_run(1, a_chunk(1, 0, 0, halted=IS_SPENT), FAILED))
    move = decided(refused, a_spec(stop_conditions={"budget_tokens": 50, "max_consecutive_failures": 1}))
    assert move == Finish(reason="token budget used", facts={"tokens": 0, "max": 50})
    money = decided(refused, a_spec(stop_conditions={"budget_cost": 0.01}))
    assert move != money == Finish(reason="cost budget used", facts={"cost": 0.0, "max": 0.01})


def test_trainings_side_by_side_had_shares_and_the_next_has_all_before_the_budget_is_used() -> None:
    search = a_spec(
        strategy="random", max_parallel=3, stop_conditions={"budget_tokens": 1000, "max_consecutive_failures": 1},
        search_space={"lr": {"type": "float", "low": 0.1, "high": 1.0}},
    )  # fmt: skip
    refused = [a_run(place, a_chunk(0, 0, 0, halted=IS_SPENT), FAILED) for place in range(1, 5)]
    assert isinstance(decided(seen(*refused[:3]), search), Proceed)
    assert isinstance(decided(seen(*refused), search), Finish)
    assert isinstance(policy.decide(seen(*refused), search, NOW, slots=4, at_once=True), Proceed)  # four had shares


def test_a_service_that_is_away_ends_no_training_and_is_asked_again_later_and_later() -> None:
    limited = a_spec(stop_conditions={"max_consecutive_failures": 3})
    away = [a_run(n, a_chunk(n, 0, 0, halted=IS_UNAVAILABLE), FAILED, reason="nobody answers") for n in range(1, 9)]
    waits = []
    for count in range(1, 8):
        view, ended = seen(*away[:count]), datetime.fromisoformat(away[count - 1].ended_at)
        move = policy.decide(view, limited, ended)
        assert isinstance(move, Wait), count
        assert "nobody answers" in move.reason
        assert move.until is not None
        waits.append((move.until - ended).total_seconds())
        assert isinstance(policy.decide(view, limited, move.until), Proceed)
        assert isinstance(policy.decide(view, limited, ended, at_once=True), Proceed)
    assert waits == [60 * 2**n for n in range(7)]
    paused = decided(seen(*away), limited)
    assert isinstance(paused, Pause)
    assert paused.reason == "the service was not there 8 times in a row; the last: nobody answers"
    assert isinstance(decided(seen(*away, resumed=True), limited), Proceed)
    back = seen(*away, a_run(9, a_chunk(9, 0, 10)))
    assert back.chain is not None
    assert (back.chain.halts, back.failure_streak, back.iterations) == (0, 0, 1)


def test_too_many_failures_pause_a_training_in_chunks_and_end_a_search() -> None:
    limit = {"stop_conditions": {"max_consecutive_failures": 3}}
    failing = seen(*(a_run(place, a_chunk(place, 0, 0), FAILED) for place in (1, 2, 3)))
    assert decided(failing, a_spec(**limit)) == Pause(
        reason="too many failures in a row", facts={"failures": 3, "max": 3}
    )  # fmt: skip
    search = a_spec(strategy="random", search_space={"lr": {"type": "float", "low": 0.1, "high": 1.0}}, **limit)
    assert isinstance(decided(failing, search), Finish)


def test_the_tokens_of_all_tiers_count_and_so_do_those_of_failed_chunks() -> None:
    runs = (
        a_run(1, a_chunk(1, 0, 30, final=True, trained=60), tier="sft"),
        a_run(2, a_chunk(1, 0, 0, trained=40), FAILED, tier="rl"),
    )
    limited = a_spec(fidelity_tiers=["sft", "rl"], stop_conditions={"budget_tokens": 100})
    assert decided(seen(*runs, tier="rl"), limited) == Finish(
        reason="token budget used", facts={"tokens": 100, "max": 100}
    )  # fmt: skip


def test_money_that_bears_no_further_step_ends_it() -> None:
    prices = {"usd_per_mtok_train": 1000.0, "usd_per_mtok_sample": 0.0, "usd_per_mtok_prefill": 0.0}
    run = a_run(1, a_chunk(1, 0, 10, trained=1000), cost=1.0)  # 0.1 a step
    move = decided(seen(run), a_spec(tinker=prices, stop_conditions={"budget_cost": 1.05}))
    assert isinstance(move, Finish)
    assert move.reason == "cost budget used"
    assert move.facts["cost_a_step"] == pytest.approx(0.1)
    assert isinstance(decided(seen(run), a_spec(tinker=prices, stop_conditions={"budget_cost": 1.15})), Proceed)


def test_the_other_limits_hold_for_a_chain_as_for_any_experiment() -> None:
    view = whole(a_chunk(1, 0, 10), a_chunk(2, 10, 20))
    assert decided(view, a_spec(max_iterations_total=2, tinker={"chunk_steps": 20})) == Finish(
        reason="max iterations", facts={"runs": 2, "max": 2}
    )
    reached = decided(view, a_spec(stop_conditions={"target": 0.5}))
    assert isinstance(reached, Finish)
    assert reached.reason == "target reached"
    worse = seen(*(a_run(place, a_chunk(place, 0, place), value=1.0) for place in (1, 2, 3)))
    flat = decided(worse, a_spec(stop_conditions={"plateau_after_consecutive_low_signal_runs": 2}))
    assert isinstance(flat, Finish)
    assert flat.reason == "plateau"
    failing = seen(*(a_run(place, a_chunk(place, 0, 0), FAILED) for place in (1, 2, 3)))
    assert isinstance(decided(failing, a_spec()), Escalate)


@pytest.mark.parametrize("outcome", [CRASH, TIMEOUT])
def test_what_moved_the_training_on_is_no_failure_in_a_row(outcome: str) -> None:
    slow = [a_run(place, a_chunk(place, place - 1, place), outcome) for place in range(1, 8)]
    assert decided(seen(*slow), a_spec()) == Proceed(tier="default")
    stuck = [a_run(place, a_chunk(place, 7, 7), outcome) for place in range(8, 11)]
    assert seen(*slow, *stuck).failure_streak == 3
    assert isinstance(decided(seen(*slow, *stuck), a_spec()), Escalate)
    assert isinstance(decided(seen(*slow, *stuck, a_run(11, a_chunk(11, 7, 8), outcome)), a_spec()), Proceed)


def test_chunks_that_save_and_have_no_value_are_failures_in_a_row() -> None:
    blind = seen(*(a_run(place, a_chunk(place, place - 1, place), FAILED) for place in (1, 2, 3)))
    assert isinstance(decided(blind, a_spec()), Escalate)
    assert isinstance(decided(blind, a_spec(stop_conditions={"max_consecutive_failures": 3})), Pause)
    one = seen(a_run(1, a_chunk(1, 0, 10), FAILED), a_run(2, a_chunk(2, 10, 20)))
    assert one.failure_streak == 0


def test_a_service_that_is_away_is_no_plateau() -> None:
    flat = a_spec(stop_conditions={"plateau_after_consecutive_low_signal_runs": 3})
    away = [a_run(n, a_chunk(n, 10, 10, halted=IS_UNAVAILABLE), FAILED) for n in range(2, 6)]
    assert isinstance(decided(seen(a_run(1, a_chunk(1, 0, 10)), *away), flat), Proceed | Wait)


def test_steps_that_are_lost_with_the_service_again_and_again_are_failures() -> None:
    lost = [a_run(n, a_chunk(n, 0, 0, halted=IS_UNAVAILABLE, trained=9), FAILED) for n in (1, 2, 3)]
    assert isinstance(policy.decide(seen(*lost), a_spec(), NOW, at_once=True), Escalate)
    kept = [a_run(n, a_chunk(n, n - 1, n, halted=IS_UNAVAILABLE, trained=9), FAILED) for n in (1, 2, 3)]
    assert isinstance(policy.decide(seen(*kept), a_spec(), NOW, at_once=True), Proceed)


def test_a_search_of_whole_trainings_is_no_chain_for_the_policy() -> None:
    search = a_spec(strategy="random", search_space={"lr": {"type": "float", "low": 0.1, "high": 1.0}})
    done = whole(a_chunk(0, 0, 30, final=True, trouble="nan", trained=60))
    assert isinstance(decided(done, search), Proceed)
    was_a_chain = whole(a_chunk(1, 0, 30, final=True, trouble="nan"))  # before its SPEC was given a strategy
    assert isinstance(decided(was_a_chain, search), Proceed)
    assert isinstance(decided(was_a_chain, msgspec.structs.replace(search, max_iterations_total=1)), Finish)
    bears_two = msgspec.structs.replace(search, max_parallel=4, stop_conditions=spec.StopConditions(budget_tokens=130))
    assert isinstance(policy.decide(done, bears_two, NOW, under_way=1), Proceed)
    assert isinstance(policy.decide(done, bears_two, NOW, under_way=2), Wait)
    limited = msgspec.structs.replace(search, stop_conditions=spec.StopConditions(budget_tokens=60))
    assert isinstance(decided(done, limited), Finish)
