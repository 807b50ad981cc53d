"""The rule of iteration, with numbers in its hands."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.research.decision import KEEP, PIVOT, REFINE, STOP, Decision, Past
from lab.research.idea import Kill
from lab.research.rounds import rule
from lab.research.rounds.rule import Ruling, Standing

KILL = Kill(gain_below=0.05, after_runs=8)
BARE = Standing(round=1, idea="a", believable=4, predicted=1.0, kill=KILL, ideas_left=("b",), max_rounds=3, patience=2)


def decided(**more: object) -> Decision:
    return rule.decide(msgspec.structs.replace(BARE, **more))


def better(gain: float) -> dict[str, object]:
    return {"gain": gain, "low": gain / 2, "high": gain * 2, "is_better": True}


def noise(gain: float) -> dict[str, object]:
    return {"gain": gain, "low": gain - 1, "high": gain + 1}


WORSE: dict[str, object] = {"gain": -1.0, "low": -2.0, "high": -0.5, "is_worse": True}
FOUND = Past(round=1, idea="a", gain=0.4, is_better=True)
NOTHING = Past(round=1, idea="a", gain=0.1)
CASES: list[tuple[dict[str, object], tuple[str, str]]] = [
    (better(1.0), (KEEP, "goal_met")),
    ({**better(0.2), "predicted": None}, (KEEP, "goal_met")),
    (better(0.5), (REFINE, "below_prediction")),
    ({**better(0.5), "round": 3}, (KEEP, "budget_exhausted")),
    ({**better(0.5), "spent": "budget_hours"}, (KEEP, "budget_exhausted")),
    ({**better(0.04), "believable": 8}, (PIVOT, "killed")),
    ({**better(0.04), "believable": 7}, (REFINE, "below_prediction")),
    (noise(0.3), (REFINE, "within_noise")),
    ({}, (REFINE, "within_noise")),
    ({"believable": 8}, (PIVOT, "killed")),
    ({**noise(0.04), "believable": 9}, (PIVOT, "killed")),
    ({**noise(0.04), "believable": 9, "ideas_left": ()}, (STOP, "killed")),
    ({**noise(0.3), "round": 2, "past": (NOTHING,)}, (PIVOT, "stagnation")),
    ({**noise(0.3), "round": 2, "past": (NOTHING,), "ideas_left": ()}, (STOP, "stagnation")),
    ({**noise(0.3), "round": 2, "past": (msgspec.structs.replace(NOTHING, idea="z"),)}, (REFINE, "within_noise")),
    ({**noise(0.3), "round": 2, "past": (FOUND,)}, (REFINE, "within_noise")),
    ({**noise(0.3), "round": 3, "past": (NOTHING,), "patience": 9}, (STOP, "budget_exhausted")),
    ({**noise(0.3), "spent": "budget_hours"}, (STOP, "budget_exhausted")),
    (WORSE, (PIVOT, "worse")),
    ({**WORSE, "ideas_left": ()}, (STOP, "worse")),
    ({**WORSE, "round": 2, "past": (FOUND,), "ideas_left": ()}, (KEEP, "worse")),
    ({**better(0.04), "believable": 8, "ideas_left": ()}, (STOP, "killed")),
    ({**better(0.04), "round": 3}, (STOP, "budget_exhausted")),
    ({**better(0.04), "predicted": 0.03}, (REFINE, "below_prediction")),
    ({**better(0.04), "kill": None, "round": 3}, (KEEP, "budget_exhausted")),
    ({**WORSE, "round": 2, "past": (msgspec.structs.replace(FOUND, least=0.5),), "ideas_left": ()}, (STOP, "worse")),
]


@pytest.mark.parametrize(("known", "wanted"), CASES)
def test_each_case_has_its_decision_and_its_reason(known: dict[str, object], wanted: tuple[str, str]) -> None:
    made = decided(**known)
    assert (made.decision, made.reason) == wanted
    assert made.by == rule.RULE


def test_what_an_earlier_round_found_is_kept_when_nothing_follows() -> None:
    made = decided(**WORSE, round=2, past=(FOUND,), ideas_left=())
    assert (made.decision, made.kept_round) == (KEEP, 1)
    assert "round 1 (a) is kept, with a gain of 0.4" in made.why


def test_a_gain_that_the_idea_was_not_to_be_kept_for_is_not_kept_and_is_told_once() -> None:
    past = (Past(round=1, idea="a", gain=0.01, is_better=True, least=0.05),)
    made = decided(**better(0.04), round=3, past=past)
    assert made.why.endswith(
        "; in round 1 a gain below 0.05 was not to be kept; in round 3 a gain below 0.05 was not to be kept"
    )
    assert made.kept_round == 0
    killed = decided(**better(0.04), believable=8, ideas_left=())
    assert killed.why.count("0.05") == 1


def test_of_an_idea_without_any_gain_no_gain_is_told() -> None:
    assert "after 8 runs no run is better than the baseline, where the idea" in decided(believable=8).why


@pytest.mark.parametrize(
    ("ruling", "more", "wanted"),
    [
        (STOP, better(9.0), (STOP, "human_stop", "ann")),
        (KEEP, noise(0.1), (KEEP, "human", "ann")),
        (REFINE, WORSE, (REFINE, "human", "ann")),
        (PIVOT, better(9.0), (PIVOT, "human", "ann")),
        (REFINE, {"spent": "budget_hours"}, (REFINE, "human", "ann")),
        (REFINE, {"round": 3}, (STOP, "budget_exhausted", "rule")),
        (PIVOT, {"ideas_left": ()}, (STOP, "stagnation", "rule")),
    ],
)
def test_a_persons_word_goes_before_the_rule_and_not_beyond_the_rounds(
    ruling: str, more: dict[str, object], wanted: tuple[str, str, str]
) -> None:
    made = decided(**more, ruling=Ruling(decision=ruling, why="I looked at it", by="ann"))
    assert (made.decision, made.reason, made.by) == wanted
    assert "I looked at it" in made.why


numbers = st.floats(-3, 3) | st.none()


@given(
    st.lists(st.tuples(numbers, st.floats(0.01, 3), st.integers(0, 20)), min_size=25, max_size=25),
    st.integers(1, 20),
    st.integers(1, 20),
    st.integers(0, 3),
)
def test_whatever_is_measured_it_comes_to_an_end_and_keeps_only_what_was_better(
    rounds: list[tuple[float | None, float, int]], most: int, patience: int, ideas: int
) -> None:
    left = [f"idea-{number}" for number in range(ideas)]
    past, idea, number, made = list[Past](), "first", 0, None
    for gain, margin, believable in rounds:
        number += 1
        is_better = gain is not None and gain > margin
        known = Standing(
            round=number, idea=idea, believable=believable, gain=gain,
            low=None if gain is None else gain - margin, high=None if gain is None else gain + margin,
            is_better=is_better, is_worse=gain is not None and gain < -margin, predicted=2.0, kill=KILL,
            past=tuple(past), ideas_left=tuple(left), max_rounds=most, patience=patience,
        )  # fmt: skip
        made = rule.decide(known)
        past.append(Past(round=number, idea=idea, gain=gain, is_better=is_better, least=KILL.gain_below))
        if made.decision not in (REFINE, PIVOT):
            break
        if made.decision == PIVOT:
            assert made.next_idea in left
            idea = made.next_idea
            left.remove(idea)
    assert made is not None
    assert number <= most
    assert made.decision in (KEEP, STOP)
    worth = {each.round for each in past if each.is_better and (each.gain or 0.0) >= KILL.gain_below}
    assert (made.decision == KEEP) == bool(worth)
    assert made.decision == STOP or made.kept_round in worth
