"""Which phase comes next, decided without a disk: rounds, ideas, gates, releases, and an end whatever is said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput
from lab.core.run import Run
from lab.core.seal import Anchor, Seal, SealedFile
from lab.core.view import Pursuit, Said
from lab.research import declared
from lab.research.decision import Decision
from lab.research.order import SEND, digest
from lab.research.project import Iteration, Project, Publish
from lab.research.walk.pipeline import RELEASE, Due, Over, Ready, Walk
from lab.research.work.inputs import Done

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.research.declared import Phase
    from lab.research.order import Order
    from lab.research.walk.pipeline import Next

HASH = "ab" * 32


class Board:
    """Runs as they were made, with no disk behind them. `edits` stand for what the user changed of a phase's inputs."""

    def __init__(self, *decisions: str, ideas: tuple[str, ...] = ("one", "two"), wanted: str = "") -> None:
        self.decisions, self.wanted, self._ideas = decisions, wanted, ideas
        self.edits: dict[str, str] = {}
        self.runs: list[Done] = []

    def inputs(self, phase: Phase, order: Order, by_phase: Mapping[str, Done]) -> str:
        told = {"given": {key: done.run_id for key, done in by_phase.items()}, "edit": self.edits.get(phase.name, "")}
        return digest({**told, "phase": phase.name, "round": order.round, "idea": order.idea, "step": order.step})

    def done(self, order: Order) -> Done | None:
        return next((each for each in reversed(self.runs) if each.order.inputs == order.inputs), None)

    def ideas(self, by_phase: Mapping[str, Done]) -> tuple[str, ...]:
        return self._ideas if "ideation" in by_phase else ()

    def decision(self, done: Done) -> Decision:
        how = self.decisions[done.order.round - 1] if done.order.round <= len(self.decisions) else "keep"
        told = Decision(decision="keep", reason="goal_met", why="so", round=done.order.round, idea=done.order.idea)
        return msgspec.structs.replace(told, decision=how, next_idea=self.wanted)

    def begun(self, number: int, after: int) -> bool:
        return any(each.order.round >= number and each.seal.generation <= after for each in self.runs)

    def make(self, due: Due) -> None:
        """The run that does what is due."""
        number = len(self.runs) + 1
        name = f"RUN-{number:03}"
        run = Run(run_id=name, experiment="proj", outcome="success", tier=due.phase.name, started_at="")
        files = {RELEASE: SealedFile(sha256=HASH, size=2)}
        seal = Seal(run=run, generation=number, anchor=Anchor(), sealed_at="", sealed_by="", files=files)
        self.runs.append(Done(path=f"/{name}", order=due.order, seal=seal))

    @property
    def log(self) -> list[str]:
        return [f"{each.order.phase[:4]}{each.order.round}{each.order.idea[:1]}" for each in self.runs]


def project(**more: object) -> Project:
    return msgspec.convert({"mode": "A", "topic": "t", **more}, Project)


def comes(board: Board, given: Project, pursuit: Pursuit | None = None) -> Next:
    return Walk(given, declared.planned(given), board, pursuit).next()


def to_end(board: Board, given: Project, pursuit: Pursuit | None = None, most: int = 200) -> Next:
    for _ in range(most):
        found = comes(board, given, pursuit)
        if not isinstance(found, Due) or found.asks:
            return found
        board.make(found)
    raise AssertionError(board.log)


def test_one_round_goes_through_every_phase_once() -> None:
    board = Board()
    assert to_end(board, project()) == Over(rounds=1, decision="keep")
    assert board.log == ["lite1", "idea1", "impl1o", "trai1o", "eval1o", "iter1o", "writ1o", "publ1o"]


def test_refining_trains_again_with_the_same_idea() -> None:
    board = Board("refine")
    assert to_end(board, project()) == Over(rounds=2, decision="keep")
    assert board.log[3:] == ["trai1o", "eval1o", "iter1o", "trai2o", "eval2o", "iter2o", "writ2o", "publ2o"]


def test_a_pivot_implements_the_next_idea() -> None:
    board = Board("pivot")
    to_end(board, project())
    assert board.log[5:] == ["iter1o", "impl2t", "trai2t", "eval2t", "iter2t", "writ2t", "publ2t"]


def test_a_pivot_goes_to_the_idea_that_it_names_and_never_back_to_one() -> None:
    board = Board("pivot", "pivot", "pivot", ideas=("one", "two", "three"), wanted="three")
    to_end(board, project(iteration=msgspec.to_builtins(Iteration(max_rounds=9))))
    assert [each for each in board.log if each.startswith("impl")] == ["impl1o", "impl2t", "impl3t"]
    ideas = [each.order.idea for each in board.runs if each.order.phase == "implementation"]
    assert ideas == ["one", "three", "two"]
    assert board.log[-2:] == ["writ3t", "publ3t"]  # none was left


@pytest.mark.parametrize("how", ["keep", "stop"])
def test_keeping_and_stopping_go_on_to_the_writing(how: str) -> None:
    board = Board(how)
    to_end(board, project())
    assert board.log[-2:] == ["writ1o", "publ1o"]


@pytest.mark.parametrize("how", ["refine", "pivot"])
def test_no_decision_makes_more_rounds_than_the_project_has(how: str) -> None:
    board = Board(*[how] * 50, ideas=tuple(f"idea-{number}" for number in range(50)))
    found = to_end(board, project(iteration={"max_rounds": 3}))
    assert found == Over(rounds=3, decision=how)
    assert sum(each.startswith("trai") for each in board.log) == 3


def test_what_comes_after_the_rounds_builds_on_all_of_them() -> None:
    board = Board("pivot")
    to_end(board, project())
    given = board.runs[-2].order.given
    assert {"round-1/evaluation", "evaluation", "round-1/implementation", "implementation"} <= set(given)
    assert given["round-1/evaluation"] != given["evaluation"]


def test_an_edit_makes_what_is_about_it_due_again_and_what_builds_on_that() -> None:
    board = Board()
    to_end(board, project())
    made = len(board.runs)
    board.edits["evaluation"] = "more seeds"
    to_end(board, project())
    assert board.log[made:] == ["eval1o", "iter1o", "writ1o", "publ1o"]


def test_taking_an_edit_back_does_nothing_again() -> None:
    board = Board()
    to_end(board, project())
    board.edits["writing"] = "another title"
    to_end(board, project())
    made = len(board.runs)
    board.edits.clear()
    assert isinstance(comes(board, project()), Over)
    assert len(board.runs) == made


def test_a_gate_asks_before_its_phase_until_a_person_passed_exactly_this() -> None:
    board, given = Board(), project(gates={"training": "approve"})
    found = to_end(board, given)
    assert isinstance(found, Due)
    assert (found.phase.name, found.asks) == ("training", True)
    passed = Pursuit(passed=(found.order.inputs,))
    assert isinstance(to_end(board, given, passed), Over)
    board.edits["training"] = "more runs"
    again = comes(board, given, passed)
    assert isinstance(again, Due)
    assert (again.phase.name, again.asks) == ("training", True)


def test_a_release_waits_for_its_own_hash_and_for_nothing_else() -> None:
    board, given = Board(), project(publish=msgspec.to_builtins(Publish(to="git", remote="r")))
    assert to_end(board, given) == Ready(release=HASH, run_id="RUN-008")
    assert to_end(board, given, Pursuit(released=("cd" * 32,), passed=("x",))) == Ready(release=HASH, run_id="RUN-008")
    sent = Pursuit(released=("cd" * 32, HASH))
    found = comes(board, given, sent)
    assert isinstance(found, Due)
    assert (found.order.step, found.order.release, found.asks) == (SEND, HASH, False)
    assert found.order.given["publishing"] == "RUN-008"
    assert to_end(board, given, sent) == Over(rounds=1, decision="keep", sent=HASH)
    assert len(board.runs) == 9


def test_nothing_is_offered_where_there_is_nowhere_to_send_it() -> None:
    assert isinstance(to_end(Board(), project(), Pursuit(released=(HASH,))), Over)


def test_a_persons_ruling_on_a_round_is_decided_again_until_the_next_round_has_begun() -> None:
    board = Board()
    to_end(board, project())
    ruling = Pursuit(ruling=Said(text="once more", ruled="refine", after=8), said=Said(text="mind it", after=9))
    due = comes(board, project(), ruling)
    assert isinstance(due, Due)
    assert due.phase.name == "iteration"
    later = Pursuit(ruling=Said(text="once more", ruled="refine", after=5))  # before that iteration: it heard it
    assert isinstance(comes(board, project(), later), Over)
    words = Pursuit(said=Said(text="mind the units", after=8))
    assert isinstance(comes(board, project(), words), Over)


def test_one_phase_is_done_again_alone() -> None:
    board = Board("refine")
    to_end(board, project())
    walk = Walk(project(), declared.planned(project()), board)
    due = walk.again("training")
    assert (due.phase.name, due.order.round, due.asks) == ("training", 2, False)
    with pytest.raises(BadInput, match="no phase training"):
        Walk(project(skip=["training"]), declared.planned(project(skip=["training"])), board).again("training")
    with pytest.raises(BadInput, match="not done"):
        Walk(project(), declared.planned(project()), Board()).again("writing")


def test_mode_e_begins_at_the_training_and_has_no_ideas() -> None:
    board, given = Board("pivot"), project(mode="E", proceed_from="old")
    found = to_end(board, given)
    assert isinstance(found, Over)
    assert board.log == ["trai1", "eval1", "iter1", "writ1", "publ1"]
