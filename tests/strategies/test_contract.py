"""The contract itself: each fault that a strategy can have is found by the test that is there for it."""

from __future__ import annotations

from random import Random as Luck
from typing import TYPE_CHECKING

import pytest

from lab.core import assignment
from lab.core.errors import BadInput
from lab.core.trial import Proposal
from lab.strategies.random_ import Random
from lab.testing.strategies import SPACES, LearnerContract, StrategyContract

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.space import Space
    from lab.core.trial import History


class Leaves(Random):
    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        params = dict(super().propose(space, history, rng).params)
        if history.number == 17 and "x" in params:
            params["x"] = 1e9
        return Proposal(params=params)


class Repeats(Random):
    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        return Proposal(params=assignment.draw(space, Luck(history.number % 20)))


class Remembers(Random):
    def __init__(self) -> None:
        self.asked = 0

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        self.asked += 1
        return Proposal(params=assignment.draw(space, Luck(self.asked)))


class Hashes(Random):
    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        return Proposal(params=assignment.draw(space, Luck(hash(f"{history.number}"))))


class Climbs(Random):
    """Takes the largest value for the best, whatever is looked for."""

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        best = max((trial.value or 0.0 for trial in history.trials), default=0.0)
        return Proposal(params=assignment.draw(space, Luck(f"{best}/{history.number}")))


class Scores(Random):
    """Counts on a value of every trial."""

    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        if history.ended and history.ended[-1].value is None:
            raise TypeError("no value")
        return super().propose(space, history, rng)


class GivesUp(Random):
    def propose(self, space: Space, history: History, rng: Luck) -> Proposal:
        if history.number == 30:
            raise BadInput("enough")
        return super().propose(space, history, rng)


def one_test(found: StrategyContract) -> dict[str, Callable[[], None]]:
    return {
        "leaves": lambda: found.test_every_proposal_is_a_new_point_of_the_space("floats"),
        "repeats": lambda: found.test_every_proposal_is_a_new_point_of_the_space("floats"),
        "remembers": found.test_the_same_question_has_the_same_answer_whatever_was_asked_in_between,
        "resumes": found.test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been,
        "hashes": found.test_another_process_proposes_the_same,
        "climbs": lambda: found.test_the_largest_is_looked_for_as_the_smallest_is("conditions"),
        "scores": lambda: found.test_a_search_in_which_everything_fails_goes_on(minimize=True),
        "gives up": lambda: found.test_every_proposal_is_a_new_point_of_the_space("floats"),
        "pending": found.test_what_is_being_tried_is_not_proposed_again,
        "exhausts": lambda: found.test_a_small_space_is_tried_out_and_then_said_to_be(1),
    }


@pytest.mark.parametrize(
    ("fault", "strategy"),
    [
        ("leaves", Leaves()),
        ("repeats", Repeats()),
        ("remembers", Remembers()),
        ("resumes", Remembers()),
        ("hashes", Hashes()),
        ("climbs", Climbs()),
        ("scores", Scores()),
        ("gives up", GivesUp()),
        ("pending", Repeats()),
        ("exhausts", Repeats()),
    ],
)
def test_a_fault_is_found(fault: str, strategy: Random) -> None:
    class Checked(StrategyContract):
        pass

    Checked.strategy = strategy
    with pytest.raises((AssertionError, TypeError, BadInput, pytest.fail.Exception)):
        one_test(Checked())[fault]()


def test_chance_is_no_learner() -> None:
    class Checked(LearnerContract):
        strategy = Random()

    with pytest.raises(AssertionError):
        Checked().test_it_finds_more_than_chance("sphere", minimize=True, failing=0.0)


def test_the_spaces_of_the_contract_are_of_every_kind() -> None:
    kinds = {parameter.kind for over in SPACES.values() for parameter in over.parameters}
    assert kinds == {"float", "int", "choice", "bool", "fixed"}
    assert any(over.constraints for over in SPACES.values())
    assert any(parameter.when for over in SPACES.values() for parameter in over.parameters)
    assert any(parameter.log for over in SPACES.values() for parameter in over.parameters)
