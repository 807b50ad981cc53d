from __future__ import annotations

import pytest

from lab.core import spec
from lab.core.errors import BadInput
from lab.core.spec_tuning import is_chain
from lab.core.tuning import LOCAL_URL, Tuning

PRICES = {"usd_per_mtok_train": 3, "usd_per_mtok_sample": 2, "usd_per_mtok_prefill": 1}
PAID = {"base_model": "tiny", "base_url": "https://paid.example.org/"}


def written(tinker: object = None, **more: object) -> spec.Spec:
    return spec.parse({"id": "chat", "executor": "tinker", "tinker": tinker or {"base_model": "tiny"}, **more})


def refusal(tinker: object = None, **more: object) -> str:
    with pytest.raises(BadInput) as refused:
        written(tinker, **more)
    return refused.value.what


def test_a_training_in_chunks_is_written_as_a_map_of_its_own() -> None:
    found = written({"base_model": "tiny", "steps": "40", "chunk_steps": 10.0, "kl_limit": 0.5})
    assert found.tinker == Tuning(base_model="tiny", steps=40, chunk_steps=10, kl_limit=0.5)
    assert found.tinker.url == LOCAL_URL
    assert is_chain(found)
    assert not is_chain(written(strategy="random", max_parallel=4))
    assert spec.decode(spec.encode(found)) == found


def test_what_is_misspelt_in_it_is_told_with_what_was_meant() -> None:
    assert "did you mean chunk_steps" in refusal({"base_model": "tiny", "chunk_step": 10})
    assert "tinker.steps" in refusal({"base_model": "tiny", "steps": 0})
    assert "begin it with http" in refusal({"base_model": "tiny", "base_url": "paid.example.org"})


def test_a_model_to_train_must_be_named() -> None:
    assert "base_model: NAME" in refusal({"steps": 10})
    with pytest.raises(BadInput, match="trains a model"):
        spec.parse({"id": "chat", "executor": "tinker"})


@pytest.mark.parametrize("url", ["http://127.0.0.1:9", "http://127.8.0.1", "http://localhost:9/x", "http://[::1]:80"])
def test_a_service_on_this_machine_needs_no_budget(url: str) -> None:
    found = written({"base_model": "tiny", "base_url": url}).tinker
    assert found is not None
    assert found.is_local


@pytest.mark.parametrize("url", ["https://127.example.org", "https://localhost.example.org", "https://10.0.0.1:8765"])
def test_any_other_service_is_taken_for_one_that_is_paid_for(url: str) -> None:
    assert "is paid for" in refusal({"base_model": "tiny", "base_url": url})


@pytest.mark.parametrize("url", ["http://127.example.org", "http://10.0.0.1:8765"])
def test_a_key_is_not_to_go_to_another_machine_in_the_open(url: str) -> None:
    assert "for everybody to read" in refusal({**PAID, "base_url": url}, stop_conditions={"budget_tokens": 5})


def test_a_paid_service_needs_a_limit_that_the_lab_can_keep() -> None:
    assert "nothing says how much may be spent" in refusal(PAID)
    assert "nothing says how much" in refusal({**PAID, **PRICES}, stop_conditions={"budget_hours": 5})
    assert written({**PAID, **PRICES}, stop_conditions={"budget_cost": 5}).stop_conditions.budget_cost == 5
    assert written(PAID, stop_conditions={"budget_tokens": 1000}).stop_conditions.budget_tokens == 1000


@pytest.mark.parametrize("prices", [{}, {"usd_per_mtok_train": 3}, {"usd_per_mtok_train": 3, "usd_per_mtok_sample": 2}])
@pytest.mark.parametrize("beside", [{}, {"budget_tokens": 1000}])
def test_money_that_cannot_be_told_from_tokens_is_no_limit(prices: dict[str, int], beside: dict[str, int]) -> None:
    """Ten million tokens that are sampled at no price are 0 USD, whatever the limit is."""
    told = refusal({**PAID, **prices}, stop_conditions={"budget_cost": 5, **beside})
    assert "budget_cost cannot be held where a price is missing" in told
    here = {"base_model": "tiny", "base_url": LOCAL_URL, **prices}
    assert written(here, stop_conditions={"budget_cost": 5, **beside}).stop_conditions.budget_cost == 5


def test_a_chain_has_one_run_at_a_time_and_moves_on_when_it_is_finished() -> None:
    assert "one run at a time" in refusal(max_parallel=2)
    assert "when-finished" in refusal(fidelity_promotion_rule="asha")
    assert "when-finished" in refusal(fidelity_promotion_rule="after-success-streak")
    assert "early_stop" in refusal(early_stop="median")
    assert written(fidelity_promotion_rule="when-finished").fidelity_promotion_rule == "when-finished"
    with pytest.raises(BadInput, match="in chunks"):
        spec.parse({"id": "chat", "fidelity_promotion_rule": "when-finished"})


def test_a_chain_begins_at_the_defaults_of_its_space() -> None:
    rate = {"type": "float", "low": 1e-5, "high": 1e-2, "log": True}
    assert "defaults" in refusal(search_space={"lr": rate})
    assert written(search_space={"lr": {**rate, "default": 1e-4}}).search_space is not None
    assert written(search_space={"lr": rate}, strategy="random").search_space is not None
    assert written(search_space={"lr": {"value": 0.1}}).search_space is not None  # there is one point, and no choice


def test_the_rank_of_an_adapter_is_no_choice_of_a_chunk() -> None:
    ranks = {"lora_rank": {"choices": [8, 16], "default": 8}}
    assert "lora_rank stays as it is" in refusal(search_space=ranks)
    assert "lora_rank stays as it is" in refusal(search_space={"lora_rank": {"low": 1, "high": 8, "default": 2}})
    assert written(search_space=ranks, strategy="random").search_space is not None
    assert written(search_space={"lora_rank": {"value": 8}}).search_space is not None


def test_a_review_asks_a_model_and_looks_at_chunks() -> None:
    asked = {"base_model": "tiny", "review": True}
    assert "llm" in refusal(asked)
    assert "strategy" in refusal(asked, llm={"model": "m"}, strategy="random")
    assert written(asked, llm={"model": "m"}).llm is not None


def test_as_many_runs_as_a_training_has_chunks_and_more_are_made_where_nobody_says_how_many() -> None:
    long = {"base_model": "tiny", "steps": 400, "chunk_steps": 10}
    found = written(long)
    assert found.max_iterations_total == 80
    assert spec.decode(spec.encode(found)) == found
    assert written(long, fidelity_tiers=["sft", "rl"]).max_iterations_total == 160
    assert written({**long, "steps": 30}).max_iterations_total == 20
    assert written(long, strategy="random").max_iterations_total == 20


def test_fewer_runs_than_a_training_has_chunks_would_end_it_without_its_weights() -> None:
    long = {"base_model": "tiny", "steps": 405, "chunk_steps": 10}
    told = refusal(long, max_iterations_total=40)
    assert "40 runs end the training before its last step" in told
    assert "41 chunks; take it out (82 then)" in told
    assert written(long, max_iterations_total=41).max_iterations_total == 41
    assert written(long, strategy="random", max_iterations_total=2).max_iterations_total == 2
