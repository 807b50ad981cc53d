"""The strategies that propose what a model has said: the contract, and what is special about them."""

from __future__ import annotations

import msgspec
import pytest

from lab.core import space
from lab.core.advice import Advice, Candidate
from lab.core.errors import BadInput, Exhausted, Unadvised
from lab.core.run import SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies import door
from lab.strategies.hybrid import Hybrid
from lab.strategies.llm import Llm
from lab.strategies.portfolio import Portfolio
from lab.testing.advised import Advised
from lab.testing.strategies import StrategyContract

SPACE = space.parse({"x": {"low": 0.0, "high": 1.0}, "n": {"low": 1, "high": 9, "type": "int"}})
ONE, TWO = {"x": 0.25, "n": 3}, {"x": 0.5, "n": 4}


class AdvisedLlm(Advised):
    kind = Llm


class AdvisedHybrid(Advised):
    kind = Hybrid


class TestLlm(StrategyContract):
    strategy = AdvisedLlm()


class TestHybrid(StrategyContract):
    strategy = AdvisedHybrid()
    trials = 30


def said(*params: dict[str, float], **more: object) -> Advice:
    made = tuple(
        Candidate(ask="ASK-000007", params=dict(each), note="why", parents=("RUN-1",), base=1.0, expected=0.5)
        for each in params
    )
    return msgspec.structs.replace(Advice(candidates=made), **more)


def history(advice: Advice | None, *tried: dict[str, float], number: int = 0) -> History:
    trials = tuple(
        Trial(run_id=f"RUN-{k}", params=dict(params), value=float(k), outcome=SUCCESS) for k, params in enumerate(tried)
    )
    return History(trials=trials, advice=advice, number=number or len(trials))


def test_the_first_candidate_that_was_not_tried_is_proposed_with_all_that_was_said_of_it() -> None:
    made = Llm().propose(SPACE, history(said(ONE, TWO), ONE), luck(0, 0))
    assert made.params == TWO
    assert (made.note, made.parents, made.ask, made.base, made.expected) == ("why", ("RUN-1",), "ASK-000007", 1.0, 0.5)


def test_a_model_that_was_not_asked_is_asked_first() -> None:
    with pytest.raises(Unadvised):
        Llm().propose(SPACE, history(said()), luck(0, 0))
    with pytest.raises(Unadvised):
        Llm().propose(SPACE, history(said(ONE), ONE), luck(0, 0))


def test_a_model_is_not_asked_about_a_space_that_is_tried_out() -> None:
    small = space.parse({"n": {"low": 1, "high": 2, "type": "int"}})
    with pytest.raises(Exhausted):
        Llm().propose(small, history(said(), {"n": 1}, {"n": 2}), luck(0, 0))


def test_a_fallback_never_passes_for_the_model() -> None:
    advice = said(problem="model-timeout", what="no answer in 90 s", ask="ASK-000003", fallback="random")
    made = Llm().propose(SPACE, history(advice), luck(0, 0))
    assert (made.arm, made.ask, made.expected) == ("random", "ASK-000003", None)
    assert made.note.endswith("random in the model's place: model-timeout: no answer in 90 s")


def test_candidates_that_are_left_are_used_up_before_a_fallback() -> None:
    advice = said(ONE, problem="model-timeout", what="no answer", ask="ASK-000008")
    assert Llm().propose(SPACE, history(advice), luck(0, 0)).params == ONE


@pytest.mark.parametrize("fallback", ["llm", "hybrid"])
def test_a_fallback_that_waits_for_the_model_is_refused(fallback: str) -> None:
    with pytest.raises(BadInput, match=r"llm\.fallback"):
        Llm().propose(SPACE, history(said(fallback=fallback)), luck(0, 0))


@pytest.mark.parametrize("name", sorted(door.ADVISED))
def test_without_a_model_in_the_spec_it_says_so(name: str) -> None:
    with pytest.raises(BadInput, match="SPEC names none"):
        door.find(name).propose(SPACE, history(None), luck(0, 0))


def test_a_portfolio_waits_for_the_model_and_does_not_pass_it_over() -> None:
    arms = Portfolio(arms=("llm", "random"), rotate=True)
    with pytest.raises(Unadvised):
        arms.propose(SPACE, history(said()), luck(0, 0))
    assert arms.propose(SPACE, history(said(ONE)), luck(0, 0)).arm == "llm"


def hybrid_arms(share: float) -> list[str]:
    advice = said(*({"x": k / 1000, "n": 1} for k in range(200)), share=share)
    found = []
    for number in range(100):
        made = Hybrid().propose(SPACE, history(advice, number=number), luck(1, number))
        found.append(made.arm)
    return found


def test_the_model_makes_its_share_of_a_hybrid() -> None:
    assert set(hybrid_arms(0.0)) == {"evolution"}
    assert set(hybrid_arms(1.0)) == {"llm"}
    assert 20 < hybrid_arms(0.4).count("llm") < 60


def test_a_hybrid_asks_only_where_it_is_the_models_turn_and_for_the_same_trial_always() -> None:
    turns = [number for number in range(40) if luck(3, number).random() < 0.3]
    for number in range(40):
        given = history(said(share=0.3), number=number)
        if number in turns:
            with pytest.raises(Unadvised):
                Hybrid().propose(SPACE, given, luck(3, number))
        else:
            assert Hybrid().propose(SPACE, given, luck(3, number)).arm == "evolution"


def test_evolution_takes_the_place_of_a_model_that_fails_in_a_hybrid() -> None:
    advice = said(problem="model-failing", what="it answered 500", ask="ASK-000002", share=1.0)
    made = Hybrid().propose(SPACE, history(advice), luck(0, 0))
    assert (made.arm, made.ask) == ("evolution", "ASK-000002")
    assert "in the model's place: model-failing" in made.note
