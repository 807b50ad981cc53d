"""A point that was not tried: offered, drawn, or listed."""

from __future__ import annotations

import pytest

from lab.core import assignment, space
from lab.core.errors import BUSY, BadInput, Exhausted
from lab.core.trial import History, Trial
from lab.strategies.fresh import ATTEMPTS, fresh


def tried(*points: assignment.Params, pending: bool = False) -> History:
    outcome = "" if pending else "success"
    trials = [Trial(run_id=f"R{k}", params=point, value=1.0, outcome=outcome) for k, point in enumerate(points)]
    return History(trials=tuple(trials), number=len(trials))


DICE = space.parse({"n": {"low": 1, "high": 6, "type": "int"}})


def test_the_first_offer_that_is_new_and_meets_the_constraints_is_taken() -> None:
    over = space.parse({"parameters": {"n": {"low": 1, "high": 6, "type": "int"}}, "constraints": ["n != 2"]})
    offers = iter(range(1, 7))
    assert fresh(over, tried({"n": 1}), lambda _: {"n": next(offers)}) == {"n": 3}


def test_offers_are_numbered_and_given_up_after_a_while() -> None:
    asked: list[int] = []

    def offer(attempt: int) -> assignment.Params:
        asked.append(attempt)
        return {"n": 1}

    assert fresh(DICE, tried({"n": 1}), offer) != {"n": 1}
    assert asked == list(range(ATTEMPTS))


@pytest.mark.parametrize("pending", [True, False])
def test_the_last_point_that_is_left_is_found(*, pending: bool) -> None:
    over = space.parse({"x": {"low": 1, "high": 4096, "type": "int", "log": True}})
    points: list[assignment.Params] = [{"x": x} for x in range(1, 4097) if x != 4000]
    assert fresh(over, tried(*points, pending=pending), lambda _: {"x": 7}) == {"x": 4000}


def test_when_none_is_left_it_says_so() -> None:
    points: list[assignment.Params] = [{"n": n} for n in range(1, 7)]
    history = tried(*points)
    with pytest.raises(Exhausted, match="in 6 trials") as caught:
        fresh(DICE, history, lambda _: {"n": 1})
    assert caught.value.exit_code == BUSY
    assert caught.value.fix


def test_points_that_break_a_constraint_are_none_that_are_left() -> None:
    over = space.parse({"parameters": {"n": {"low": 1, "high": 6, "type": "int"}}, "constraints": ["n < 3"]})
    with pytest.raises(Exhausted):
        fresh(over, tried({"n": 1}, {"n": 2}), lambda _: {"n": 5})


def test_conditions_are_seen_to_when_points_are_listed() -> None:
    over = space.parse(
        {
            "gate": {"type": "bool"},
            "depth": {"low": 0.0, "high": 1.0, "step": 0.25, "when": {"gate": True}},
            "k": {"type": "fixed", "value": "x"},
        }
    )
    found: list[assignment.Params] = []
    for _ in range(6):
        found.append(fresh(over, tried(*found), lambda _: {"gate": False, "k": "x"}))
    with pytest.raises(Exhausted):
        fresh(over, tried(*found), lambda _: {"gate": False, "k": "x"})
    assert all(over.check(point) == () for point in found)


def test_a_float_without_a_step_is_never_exhausted() -> None:
    over = space.parse({"x": {"low": 0, "high": 1}})
    assert fresh(over, tried({"x": 0.5}), lambda _: {"x": 0.5}) != {"x": 0.5}


def test_an_impossible_space_is_refused() -> None:
    over = space.parse({"parameters": {"x": {"low": 0, "high": 1}}, "constraints": ["x > 1"]})
    with pytest.raises(BadInput, match="x > 1"):
        fresh(over, History(), lambda _: {"x": 0.5})
