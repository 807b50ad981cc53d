"""A training in chunks from its first to its last, and all that may happen to it in between."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from lab.core import event, layout
from lab.core.chunk import Ends
from lab.core.errors import LabError
from lab.core.run import FAILED, SUCCESS
from lab.core.view import ACTIVE, AWAITING, COMPLETED, PAUSED
from lab.scheduler import decisions, inspect, launching, refresh
from lab.scheduler.results import costs
from lab.scheduler.step import PROBLEM
from lab.store import reading
from lab.store.verify import verify
from tests.scheduler.chaining.trainings import NAME, SPACE, Training
from tests.scheduler.labs import a_lab, derived, tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.launch import Exit


@pytest.fixture
def training(tmp_path: Path) -> Training:
    return Training(tmp_path)


def spans(training: Training) -> list[tuple[int, int]]:
    return [(run.chunk.first_step, run.chunk.next_step) for run in training.runs if run.chunk is not None]


# -- to its end --------------------------------------------------------------------------------------------------------


def test_chunks_follow_each_other_to_the_end_of_the_training(training: Training) -> None:
    view = training.run(5)
    assert (view.phase, view.phase_reason) == (COMPLETED, "the training is finished")
    assert [run.outcome for run in training.runs] == [SUCCESS] * 3
    assert spans(training) == [(0, 10), (10, 20), (20, 30)]
    chunks = [run.chunk for run in training.runs]
    assert [chunk.parent if chunk else "" for chunk in chunks] == ["", *(run.run_id for run in training.runs[:2])]
    assert training.chain.final
    assert training.chain.external_path == "tinker://s3:train:0/external_weights/final"
    assert (training.chain.trained, training.chain.sampled, training.chain.prefilled) == (3000, 300, 30)
    assert verify(training.root).damage == ()


def test_an_end_that_was_killed_before_it_was_measured_is_measured_by_a_run_of_no_steps(training: Training) -> None:
    training.run(2)
    training.behaves(save_and_die_at=30)
    assert training.run(1).phase == ACTIVE
    assert "It is chunk 4, of no step: " in page_of(training, layout.NEXT)
    training.behaves()
    view = training.run(2)
    assert (view.phase, view.phase_reason) == (COMPLETED, "the training is finished")
    assert [(run.outcome, run.value is None) for run in training.runs[2:]] == [(FAILED, True), (SUCCESS, False)]
    assert "its state of step 30 is saved" in training.runs[2].reason
    order = training.seen[-1].order
    assert (order.steps, order.first_step, order.until, order.parent) == (0, 30, 30, training.runs[2].run_id)
    assert (training.chain.chunks, training.chain.measured) == (3, True)


def test_a_service_that_is_away_ends_no_training(tmp_path: Path) -> None:
    training = Training(tmp_path, stop_conditions={"max_consecutive_failures": 3}, max_iterations_total=4)
    training.behaves(exit=5)
    view = training.run(5)
    assert (view.phase, view.failure_streak, view.iterations) == (ACTIVE, 0, 0)
    assert [step.kind for step in training.take(now=False)] == []
    assert len(training.runs) == 5, "it waits"
    assert training.run(4).phase == PAUSED
    assert len(training.runs) == 8
    assert training.view.phase_reason.startswith("the service was not there 8 times in a row; the last: ")
    training.behaves()
    decisions.resume(training.root, NAME, reason="", actor="ann")
    assert training.run(4).phase_reason == "the training is finished"


def test_each_chunk_is_told_where_the_last_one_ended_and_reads_it_from_the_ledger_too(training: Training) -> None:
    training.run(2)
    first, second = (each.order for each in training.seen)
    assert (first.state_path, first.number, first.steps, first.until) == ("", 1, 10, 30)
    assert (second.state_path, second.first_step) == ("tinker://s1:train:0/weights/000010", 10)
    assert (second.parent, second.params) == (training.runs[0].run_id, {"lr": 0.1})
    one, other = training.told(event.CHUNK_DECIDED)
    assert (one.run_id, one.generation, one.facts["parent"]) == (training.runs[0].run_id, 1, "")
    assert other.run_id == training.runs[1].run_id == second.run_id
    wanted = {"number": 2, "first_step": 10, "last_step": 20, "until": 30, "parent": one.run_id, "tokens": 1110}
    assert wanted.items() <= other.facts.items()
    assert other.facts["value"] == other.facts["best"] == pytest.approx(1.5)
    assert other.reason == f"chunk 2, steps 10 to 20 of 30, from {one.run_id}"
    assert all(each.what != event.CHUNK_DECIDED for each in training.view.decisions)


def test_a_local_service_is_asked_with_a_key_of_no_worth_and_told_nothing_of_us(training: Training) -> None:
    training.run(1)
    told = training.seen[0].environ
    assert told == {
        "TINKER_BASE_URL": training.url, "TINKER_API_KEY": "tml-local", "TINKER_TELEMETRY": "0",
    }  # fmt: skip


def test_the_seal_tells_the_order_and_the_tables_tell_the_steps(training: Training) -> None:
    training.run(1)
    path = training.root.layout.run(NAME, training.runs[0].run_id)
    assert b"training: chunk 1, steps 0 to 10 of 30, from the base model" in (
        reading.read(f"{path}/{layout.PLAN}") or b""
    )
    line = reading.read(training.root.layout.page(NAME, "metrics.jsonl")) or b""
    assert b'"next_step":10' in line
    assert b'"tokens":1110' in line
    assert "chunk 1: steps 0 to 10 of 30" in training.runs[0].note


def test_one_that_its_recipe_ends_early_is_finished(training: Training) -> None:
    training.behaves(length=15)
    view = training.run(4)
    assert (view.phase, spans(training)) == (COMPLETED, [(0, 10), (10, 15)])


@pytest.mark.parametrize("silent", [False, True])
def test_one_that_its_recipe_ended_early_is_at_its_end_also_when_somebody_resumes_it(
    tmp_path: Path, silent: bool
) -> None:
    training = Training(tmp_path, tinker={"kl_limit": 0.5}, stop_conditions={"max_consecutive_failures": 1})
    training.behaves(length=15)
    training.run(1)
    training.behaves(length=15, kl=0.75)
    assert training.run(2).phase_reason == "kl is above its limit"
    training.behaves(length=15, silent=silent)  # a recipe that cannot measure tells nothing of no step
    decisions.resume(training.root, NAME, reason="", actor="ann")
    view = training.run(3)
    assert (view.phase, view.phase_reason) == (COMPLETED, "the training is finished")
    assert spans(training) == [(0, 10), (10, 15), (15, 15)]
    assert (training.chain.chunks, training.chain.external_path) == (2, "tinker://s2:train:0/external_weights/final")


def test_an_early_end_that_has_no_value_is_measured_again_when_somebody_resumes_it(training: Training) -> None:
    training.run(1)
    training.behaves(length=15, save_and_die_at=15)
    training.run(1)
    training.behaves(length=15, silent=True)
    view = training.run(2)
    assert view.phase == COMPLETED
    assert "its end has no value" in view.phase_reason
    training.behaves(length=15)
    decisions.resume(training.root, NAME, reason="", actor="ann")
    assert training.run(2).phase_reason == "the training is finished"
    assert training.chain.measured


def test_a_service_that_is_away_while_an_early_end_is_measured_does_not_make_it_longer(training: Training) -> None:
    training.run(1)
    training.behaves(length=15, save_and_die_at=15)
    training.run(1)
    training.behaves(exit=5)
    training.run(7)
    training.behaves(length=15)
    assert training.run(2).phase_reason == "the training is finished"
    assert spans(training)[-1] == (15, 15)


def test_more_steps_make_a_finished_training_go_on(training: Training) -> None:
    training.run(4)
    training.edit(tinker={"base_url": training.url, "base_model": "tiny", "steps": 45, "chunk_steps": 10})
    decisions.resume(training.root, NAME, reason="", actor="ann")
    view = training.run(3)
    assert (view.phase, spans(training)[3:]) == (COMPLETED, [(30, 40), (40, 45)])


# -- what goes wrong ---------------------------------------------------------------------------------------------------


def test_a_chunk_that_fails_is_made_again_from_the_last_state(training: Training) -> None:
    training.run(1)
    training.behaves(exit=1, once=True)
    training.run(2)
    assert [run.outcome for run in training.runs] == [SUCCESS, FAILED, SUCCESS]
    assert "the service said no" in training.runs[1].reason
    again = training.order(training.runs[2].run_id)
    assert (again.number, again.first_step, again.state_path) == (3, 10, "tinker://s1:train:0/weights/000010")
    assert spans(training) == [(0, 10), (10, 10), (10, 20)]


def test_a_chunk_that_is_killed_costs_its_steps_and_its_tokens_count(training: Training) -> None:
    training.run(1)
    training.behaves(die_at=14, once=True)
    training.run(1)
    killed = training.runs[1]
    assert (killed.outcome, spans(training)[1]) == (FAILED, (10, 10))
    assert "signal 9" in killed.reason
    assert killed.chunk is not None
    assert killed.chunk.trained == 400
    assert (training.chain.next_step, training.chain.trained) == (10, 1400)
    training.run(2)
    assert training.chain.next_step == 30


def test_a_state_that_was_saved_before_the_kill_is_not_lost(training: Training) -> None:
    training.behaves(save_and_die_at=7, once=True)
    training.run(1)
    assert training.runs[0].outcome == FAILED
    assert (training.chain.next_step, training.chain.chunks) == (7, 1)
    training.run(1)
    assert training.order(training.runs[1].run_id).state_path == "tinker://s1:train:0/weights/000007"


def test_three_failures_in_a_row_hand_it_to_a_person(training: Training) -> None:
    training.behaves(exit=1)
    assert training.run(5).phase == AWAITING
    assert len(training.runs) == 3


def test_a_loss_that_is_not_finite_pauses_it_and_resuming_goes_on_from_the_last_good_state(training: Training) -> None:
    training.run(1)
    training.behaves(nan_at=13, once=True)
    view = training.run(2)
    assert (view.phase, len(training.runs)) == (PAUSED, 2)
    assert "nll is not finite" in view.phase_reason
    assert training.runs[1].chunk is not None
    assert training.runs[1].chunk.trouble == "nll is not finite"
    decisions.resume(training.root, NAME, reason="", actor="ann")
    view = training.run(1)
    assert (view.phase, training.chain.next_step, training.chain.trouble) == (ACTIVE, 20, "")


def test_a_kl_above_the_limit_pauses_it_and_resuming_is_not_undone_at_once(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"kl_limit": 0.5})
    training.behaves(kl=0.75)
    view = training.run(2)
    assert (view.phase, view.phase_reason, len(training.runs)) == (PAUSED, "kl is above its limit", 1)
    decisions.resume(training.root, NAME, reason="", actor="ann")
    assert decisions.foreseen(training.root, NAME) == ""
    training.behaves(kl=0.25)
    assert training.run(1).phase == ACTIVE
    assert (training.chain.next_step, training.chain.kl) == (20, 0.25)


def test_a_run_that_writes_its_own_order_is_judged_by_the_labs(training: Training) -> None:
    training.run(1)
    training.behaves(forge=True)
    training.run(1)
    made = training.runs[1]
    assert made.chunk is not None
    assert (made.chunk.number, made.chunk.first_step) == (2, 10)
    assert training.order(made.run_id).number == 2
    assert verify(training.root).damage == ()


def test_a_recipe_that_tells_no_metric_does_not_spend_its_whole_budget(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"chunk_steps": 5})
    training.behaves(silent=True)
    view = training.run(6)
    assert (view.phase, view.phase_reason) == (AWAITING, "3 failures in a row")
    assert spans(training) == [(0, 5), (5, 10), (10, 15)]


# -- limits ------------------------------------------------------------------------------------------------------------


def test_a_budget_of_tokens_shortens_the_last_chunk_and_then_ends_it(tmp_path: Path) -> None:
    training = Training(tmp_path, stop_conditions={"budget_tokens": 1700})  # 111 a step
    view = training.run(4)
    assert (view.phase, view.phase_reason) == (COMPLETED, "token budget used")
    assert spans(training) == [(0, 10), (10, 15)]
    assert training.seen[1].order.tokens_left == 590
    assert view.tokens <= 1700


def test_a_budget_of_money_does_the_same_by_the_prices(tmp_path: Path) -> None:
    prices = {"usd_per_mtok_train": 1000.0, "usd_per_mtok_sample": 0.0, "usd_per_mtok_prefill": 0.0}
    training = Training(tmp_path, tinker=prices, stop_conditions={"budget_cost": 1.35})  # 0.1 a step
    view = training.run(4)
    assert (view.phase, view.phase_reason) == (COMPLETED, "cost budget used")
    assert spans(training) == [(0, 10), (10, 13)]
    assert view.cost == pytest.approx(1.3)
    assert training.runs[0].cost == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("limit", "why", "runs"),
    [
        ({"stop_conditions": {"target": 1.5}}, "target reached", 1),
        (
            {"stop_conditions": {"plateau_after_consecutive_low_signal_runs": 1}, "metric_direction": "maximize"},
            "plateau",
            2,
        ),
    ],
)
def test_chunks_are_held_to_every_limit_of_an_experiment(
    tmp_path: Path, limit: dict[str, object], why: str, runs: int
) -> None:
    training = Training(tmp_path, **limit)  # type: ignore[arg-type]
    view = training.run(4)
    assert (view.phase, view.phase_reason, len(training.runs)) == (COMPLETED, why, runs)


def test_what_a_chunk_saved_and_used_counts_where_the_lab_itself_refused_to_read_on(
    training: Training, monkeypatch: pytest.MonkeyPatch
) -> None:
    supervised = launching.supervised

    def refused(*given: object, **named: object) -> Exit:
        supervised(*given, **named)  # type: ignore[arg-type]  # as it was asked
        raise LabError("its box cannot be closed")

    training.behaves(forge=1)  # it is judged by what it was ordered all the same
    monkeypatch.setattr(launching, "supervised", refused)
    training.run(1)
    (run,) = training.runs
    assert (run.outcome, run.reason) == (FAILED, "its box cannot be closed")
    assert spans(training) == [(0, 10)]
    assert (training.chain.begun, training.chain.next_step, training.view.tokens) == (1, 10, 1110)


def test_only_a_state_that_no_lost_run_can_bring_back_may_be_let_go(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"keep_days": 7})
    training.run(3)
    training.edit(
        tinker={"base_url": training.url, "base_model": "tiny", "steps": 50, "chunk_steps": 10, "keep_days": 7}
    )
    decisions.resume(training.root, NAME, actor="ann", reason="more")
    training.run(2)
    one, two = (f"tinker://s{number}:train:0/weights/0000{number}0" for number in (1, 2))
    # Never the state that it goes on from: where a chunk is lost that has saved, the chain still stands on that one.
    assert [each.order.let_go for each in training.seen] == ["", "", one, two, ""], "its end is what it was trained for"


def test_fewer_steps_than_it_has_end_it(training: Training) -> None:
    training.run(1)
    training.edit(tinker={"base_url": training.url, "base_model": "tiny", "steps": 8})
    view = training.run(1)
    assert (view.phase, view.phase_reason, len(training.runs)) == (COMPLETED, "step budget used", 1)


# -- stages ------------------------------------------------------------------------------------------------------------


def test_a_finished_stage_moves_on_and_the_next_one_is_told_what_it_left(tmp_path: Path) -> None:
    training = Training(
        tmp_path, tinker={"steps": 10}, fidelity_tiers=["sft", "rl"], fidelity_promotion_rule="when-finished"
    )
    view = training.run(1)
    assert (view.phase, view.tier) == (ACTIVE, "rl")
    view = training.run(1)
    assert (view.phase, view.phase_reason) == (COMPLETED, "the training is finished")
    told = training.seen[1].order
    said = page_of(training, layout.SUMMARY)
    assert said.index("Training in the tier sft") < said.index("Training in the tier rl")
    assert (told.tier, told.number, told.first_step, told.state_path) == ("rl", 1, 0, "")
    assert told.earlier["sft"] == Ends(
        state_path="tinker://s1:train:0/weights/000010",
        sampler_path="tinker://s1:train:0/sampler_weights/final",
        external_path="tinker://s1:train:0/external_weights/final",
    )


# -- parameters --------------------------------------------------------------------------------------------------------


def test_a_space_that_was_narrowed_since_sends_it_back_to_its_defaults_and_says_so(training: Training) -> None:
    training.run(1)
    training.edit(search_space={"lr": {"low": 0.3, "high": 1.0, "default": 0.5}})
    training.run(1)
    assert training.seen[1].order.params == {"lr": 0.5}
    assert "outside of the space" in training.told(event.CHUNK_DECIDED)[1].reason


def test_parameters_stay_those_of_the_last_chunk_though_the_default_was_edited(training: Training) -> None:
    training.run(1)
    training.edit(search_space={"lr": {**SPACE["lr"], "default": 0.9}})
    training.run(1)
    assert training.seen[1].order.params == {"lr": 0.1}


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ({"tinker": {"base_model": "other", "steps": 30, "chunk_steps": 10}}, "tinker.base_model is other now"),
        ({"seed": 8}, "seed is 8 now, and the training in the tier default was begun with 7"),
        ({"search_space": {**SPACE, "lora_rank": {"value": 32}}}, "search_space.lora_rank is 32 now"),
    ],
)
def test_what_a_training_was_begun_with_stays_so(tmp_path: Path, edit: dict[str, object], told: str) -> None:
    training = Training(tmp_path, seed=7, search_space={**SPACE, "lora_rank": {"value": 16}})
    training.run(1)
    before = training.spec
    training.edit(**edit)
    refused = [step for step in training.take() if step.kind == PROBLEM]
    assert told in refused[0].what
    assert len(training.runs) == 1
    training.edit(**before)
    assert training.run(2).phase == COMPLETED
    assert spans(training) == [(0, 10), (10, 20), (20, 30)]


def test_a_stage_trains_the_model_that_the_one_before_it_trained(tmp_path: Path) -> None:
    training = Training(tmp_path, fidelity_tiers=["sft", "rl"], fidelity_promotion_rule="when-finished")
    training.run(3)
    training.edit(tinker={"base_url": training.url, "base_model": "other", "steps": 30, "chunk_steps": 10})
    refused = [step for step in training.take() if step.kind == PROBLEM]
    assert "the training in the tier sft was begun with tiny" in refused[0].what
    assert len(training.runs) == 3


def test_a_tokenizer_that_is_not_there_is_refused_before_anything_is_claimed(tmp_path: Path) -> None:
    training = Training(tmp_path, tinker={"tokenizer": "tok"})
    refused = [step for step in training.take() if step.kind == PROBLEM]
    assert "tokenizer.json" in refused[0].what
    assert os.listdir(training.root.layout.runs(NAME)) == []
    (training.workspace / "tok").mkdir()
    (training.workspace / "tok" / "tokenizer.json").write_text("{}")
    training.run(1)
    assert training.seen[0].order.tokenizer == str(training.workspace / "tok")


# -- a search of whole trainings ---------------------------------------------------------------------------------------


def test_with_a_strategy_each_run_is_a_whole_training(tmp_path: Path) -> None:
    training = Training(tmp_path, strategy="random", seed=7)
    training.run(2)
    assert [run.outcome for run in training.runs] == [SUCCESS, SUCCESS]
    assert spans(training) == [(0, 30), (0, 30)]
    orders = [each.order for each in training.seen]
    assert [(each.number, each.steps, each.state_path) for each in orders] == [(0, 30, "")] * 2
    assert orders[0].params != orders[1].params
    assert training.told(event.CHUNK_DECIDED) == []
    assert training.view.tokens == 6660
    assert "trainings" not in json.loads(page_of(training, layout.STATUS))
    assert "- Training: 6,000 tokens trained" in page_of(training, layout.SUMMARY)


# -- the pages ---------------------------------------------------------------------------------------------------------


def page_of(training: Training, name: str) -> str:
    return (reading.read(training.root.layout.page(NAME, name)) or b"").decode()


def test_the_pages_say_how_far_it_is_and_what_comes_next(training: Training) -> None:
    assert "It is chunk 1: steps 0 to 10 of 30." in page_of(training, layout.NEXT)
    wanted = f"- Trains: tiny at {training.url}, 30 steps in chunks of 10"
    assert wanted in page_of(training, layout.RUNBOOK)
    training.run(2)
    wanted = "- Training: 2 chunks, step 20 of at most 30; 2,000 tokens trained, 200 sampled, 20 read"
    assert wanted in page_of(training, layout.SUMMARY)
    assert "It is chunk 3: steps 20 to 30 of 30." in page_of(training, layout.NEXT)
    told = json.loads(page_of(training, layout.STATUS))["trainings"]["default"]
    assert (told["chunks"], told["next_step"], told["steps"], told["final"]) == (2, 20, 30, False)
    assert (told["tokens"], told["run"]) == (2220, training.runs[1].run_id)
    training.run(2)
    assert "3 chunks, step 30, finished" in page_of(training, layout.SUMMARY)
    assert "It is chunk" not in page_of(training, layout.NEXT)


def test_an_experiment_that_trains_nothing_remotely_has_no_word_of_it_on_its_pages(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "plain")
    for name in (layout.STATUS, layout.SUMMARY, layout.NEXT):
        assert b"raining" not in (reading.read(root.layout.page("plain", name)) or b"")


def test_what_chunks_took_is_in_the_sums_of_the_experiment_and_of_the_lab(tmp_path: Path) -> None:
    prices = {"usd_per_mtok_train": 1000.0, "usd_per_mtok_sample": 0.0, "usd_per_mtok_prefill": 0.0}
    training = Training(tmp_path, tinker=prices)
    training.run(1)
    training.behaves(die_at=14, once=True)
    training.run(1)
    of_it, _ = costs.of(training.root, NAME)
    assert of_it.spending.total.tokens == 1554
    assert of_it.spending.total.usd == pytest.approx(1.4)
    assert of_it.spending.wasted.tokens == 444
    assert not any("no tokens are known" in remark for remark in of_it.spending.remarks)
    of_all, _ = costs.of_lab(training.root)
    assert of_all.total.tokens == 1554
    assert of_all.total.usd == pytest.approx(1.4)


def test_a_chunk_is_shown_with_its_state_and_its_tokens(training: Training) -> None:
    training.run(2)
    shown = "\n".join(inspect.run(training.root, training.runs[1].run_id).lines)
    assert f"training: chunk 2, steps 10 to 20, from {training.runs[0].run_id}" in shown
    assert "state: tinker://s2:train:0/weights/000020" in shown
    assert "tokens: 1,000 trained, 100 sampled, 10 read" in shown


# -- the law -----------------------------------------------------------------------------------------------------------


def test_pages_are_written_again_from_seals_and_ledger_to_the_same_bytes(training: Training) -> None:
    training.run(1)
    training.behaves(die_at=14, once=True)
    training.run(2)
    refresh.everything(training.root)
    before = tree(training.root.layout.root)
    for name in derived(training.root):
        os.unlink(training.root.layout.place(name))
    refresh.everything(training.root)
    assert tree(training.root.layout.root) == before
