"""What a search takes from what models have said: which candidates still count, and when a model is asked again."""

from __future__ import annotations

import msgspec

from lab.core import space
from lab.core.advice import Advice, Candidate
from lab.core.model import Model
from lab.core.spec import Spec
from lab.core.tuning import Tuning
from lab.llm.exchange import STOPPED, TIMEOUT
from lab.scheduler.search.asking import advice
from lab.scheduler.search.asking.asks import Asked

SPACE = space.parse({"x": {"low": 0.0, "high": 1.0}, "n": {"low": 1, "high": 9, "type": "int"}})
MODEL = Model(model="m", fallback="random", share=0.5)


def asked(number: int, *params: dict[str, float], trial: int = 0, problem: str = "", **more: object) -> Asked:
    name = f"ASK-{number:06}"
    made = Asked(
        ask=name, experiment="hunt", tier="default", number=trial, seen=trial, seed=1, of=advice.digest(MODEL),
        transport="openai", model="m", template="t", asked_at="", answered_at="", problem=problem,
        what="no answer in 90 s" if problem else "",
        candidates=tuple(Candidate(ask=name, params=dict(each)) for each in params),
    )  # fmt: skip
    return msgspec.structs.replace(made, **more)


def of(*asks: Asked, trial: int = 0, used: tuple[str, ...] = (), model: Model = MODEL, tier: str = "default") -> Advice:
    """Of these asks, the oldest first."""
    return advice.of(asks[::-1], model, SPACE, tier, trial, used)


def test_the_newest_answer_comes_first() -> None:
    told = of(asked(1, {"x": 0.1, "n": 1}), asked(2, {"x": 0.2, "n": 2}, {"x": 0.3, "n": 3}))
    assert [each.ask for each in told.candidates] == ["ASK-000002", "ASK-000002", "ASK-000001"]
    assert (told.problem, told.fallback, told.share) == ("", "random", 0.5)


def test_what_is_no_point_of_the_space_as_it_is_now_is_passed_over() -> None:
    told = of(asked(1, {"x": 3.0, "n": 1}, {"x": 0.5}, {"n": 2, "x": 0.25}))
    assert [each.params for each in told.candidates] == [{"x": 0.25, "n": 2}]
    assert list(told.candidates[0].params) == ["x", "n"]


def test_each_tier_has_its_own_advice() -> None:
    told = of(asked(1, {"x": 0.5, "n": 1}, tier="final"), asked(2, problem=TIMEOUT, tier="final"))
    assert told == Advice(fallback="random", share=0.5)


def test_a_failure_is_told_until_a_run_has_it_in_its_bundle() -> None:
    failed = asked(1, problem=TIMEOUT, trial=3)
    assert (of(failed, trial=3).problem, of(failed, trial=3).ask) == (TIMEOUT, "ASK-000001")
    assert (of(failed, trial=9).ask) == "ASK-000001"  # somebody skipped it, or was killed
    assert of(failed, trial=4, used=("ASK-000001",)).problem == ""


def waits(failures: int) -> int:
    """For how many trials a model is left alone after so many failures in a row, the first one's run included."""
    asks = [asked(k + 1, problem=TIMEOUT, trial=101 - failures + k) for k in range(failures)]
    used = tuple(each.ask for each in asks)
    return next(k for k in range(99) if not of(*asks, trial=100 + k, used=used).problem)


def test_a_model_that_goes_on_failing_is_asked_more_and_more_rarely_but_never_given_up() -> None:
    assert [waits(count) for count in range(1, 9)] == [1, 2, 4, 8, 16, 32, 32, 32]


def test_who_waits_is_told_for_what_and_until_when() -> None:
    told = of(*(asked(k, problem=TIMEOUT, trial=10 + k) for k in (1, 2, 3)), trial=14, used=("ASK-000003",))
    assert told.ask == ""
    assert told.what == "no answer in 90 s (ASK-000003, the failure number 3 in a row); asked again from trial 17"


def test_workers_who_asked_at_the_same_time_have_failed_once() -> None:
    """None of them could know of the others: a burst with six jobs on a dead endpoint would leave it for 32 runs."""
    asks = [asked(k + 1, problem=TIMEOUT, trial=100) for k in range(6)]
    used = tuple(each.ask for each in asks)
    assert of(*asks, trial=100, used=used).what.endswith("the failure number 1 in a row); asked again from trial 101")
    assert of(*asks, trial=101, used=used).problem == ""
    overlapping = [
        asked(
            k + 1,
            problem=TIMEOUT,
            trial=100 + k,
            asked_at=f"2026-01-01T00:00:0{k}Z",
            answered_at="2026-01-01T00:01:00Z",
        )
        for k in range(6)
    ]
    assert "number 1 in a row" in of(*overlapping, trial=105, used=used).what


def test_each_of_the_questions_that_failed_at_the_same_time_gets_into_a_bundle() -> None:
    asks = [asked(k + 1, problem=TIMEOUT, trial=100) for k in range(3)]
    told, used = [], ["ASK-000009"]
    for _ in asks:
        told.append(of(*asks, trial=100, used=tuple(used)).ask)
        used.append(told[-1])
    assert sorted(told) == [each.ask for each in asks]
    assert of(*asks, trial=100, used=tuple(used)).ask == ""


def test_an_answer_ends_the_row_of_failures() -> None:
    asks = [asked(k, problem=TIMEOUT, trial=10) for k in (1, 2, 3)]
    used = tuple(f"ASK-{k:06}" for k in range(9))
    answered = asked(4, {"x": 0.5, "n": 1}, trial=10)
    assert of(*asks, answered, trial=10, used=used).problem == ""
    assert of(*asks, answered, asked(5, problem=TIMEOUT, trial=10), trial=11, used=used).problem == ""


def test_another_model_is_not_blamed_for_this_ones_failures() -> None:
    failed = asked(1, problem=TIMEOUT)
    for other in ({"model": "another"}, {"base_url": "http://127.0.0.1:1/v1"}, {"max_calls": 999}):
        assert of(failed, model=msgspec.structs.replace(MODEL, **other)).problem == ""


def test_a_person_who_interrupted_it_says_nothing_against_a_model() -> None:
    assert of(asked(1, problem=STOPPED)).problem == ""
    assert of(asked(1, problem=TIMEOUT), asked(2, problem=STOPPED)).ask == "ASK-000001"


def test_who_stops_without_the_model_is_never_told_to_go_on_without_it() -> None:
    assert of(asked(1, problem=TIMEOUT), model=msgspec.structs.replace(MODEL, fallback="stop")).problem == ""


def test_problems_are_those_of_who_asks_a_model_and_of_nobody_else() -> None:
    assert advice.problems(("random", "perturb"), None, {}) == []
    assert "SPEC names none" in advice.problems(("random", "llm"), None, {})[0]
    good = Model(model="m", base_url="http://127.0.0.1:1/v1")
    assert advice.problems(("hybrid",), good, {}) == []
    assert advice.problems(("llm",), msgspec.structs.replace(good, fallback="stop"), {}) == []
    assert "llm.fallback" in advice.problems(("llm",), msgspec.structs.replace(good, fallback="hybrid"), {})[0]
    assert "peturb" in advice.problems(("llm",), msgspec.structs.replace(good, fallback="peturb"), {})[0]


def test_what_the_reviewer_of_a_training_said_is_no_advice_to_a_search() -> None:
    reviews = (asked(1, {"x": 0.5, "n": 1}, about="RUN-1"), asked(2, problem=TIMEOUT, about="RUN-2"))
    assert of(*reviews) == Advice(fallback="random", share=0.5)


def test_a_reviewer_that_cannot_be_asked_is_told_of_beforehand() -> None:
    model = Model(model="m", base_url="http://127.0.0.1:1/v1", api_key_env="NO_SUCH_KEY")
    reviewed = Spec(id="train", executor="tinker", llm=model, tinker=Tuning(base_model="b", review=True))
    assert "NO_SUCH_KEY is not set" in advice.problems_of(reviewed, {})[0]
    unasked = msgspec.structs.replace(reviewed, tinker=Tuning(base_model="b"))
    assert advice.problems_of(unasked, {}) == []
