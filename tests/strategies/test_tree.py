"""The tree: the contract, and what is special about it."""

from __future__ import annotations

import msgspec

from lab.core.origin import Origin
from lab.core.run import FAILED, SUCCESS
from lab.core.trial import History, Trial, luck
from lab.strategies.tree import Node, Tree, grown
from lab.testing.strategies import FUNCTIONS, SPACES, LearnerContract, bowl, simulated


class TestTree(LearnerContract):
    strategy = Tree()


def depth(node: Node) -> int:
    return 0 if node.parent is None else 1 + depth(node.parent)


def test_lines_of_descent_go_deep() -> None:
    over, function = FUNCTIONS["sphere"]
    _, history = simulated(Tree(), over, lambda params, _: function(params, 0), 80)
    nodes = grown(history)
    assert max(map(depth, nodes)) >= 8
    best = min(nodes, key=lambda node: node.trial.value or 0.0)
    assert depth(best) >= 5


def test_each_proposal_says_what_it_is_and_what_it_was_made_from() -> None:
    over = SPACES["conditions"]
    steps, history = simulated(Tree(), over, bowl(over, failing=0.3), 80)
    known = {trial.run_id: trial for trial in history.trials}
    kinds = set()
    for step in steps:
        word, _, run = step.proposal.note.partition(" ")
        kinds.add(word)
        assert step.proposal.parents == ((run,) if run else ())
        if word == "improve":
            assert known[run].outcome == SUCCESS
        if word == "repair":
            assert known[run].outcome == FAILED
    assert kinds == {"draft", "improve", "repair"}
    repaired = [step.proposal.parents for step in steps if step.proposal.note.startswith("repair")]
    assert len(set(repaired)) == len(repaired)


def test_a_record_that_makes_circles_makes_none_here() -> None:
    one = Trial(run_id="A", params={"x": 0.1}, value=1.0, outcome=SUCCESS, origin=Origin(parents=("B",)))
    other = Trial(run_id="B", params={"x": 0.2}, value=2.0, outcome=SUCCESS, origin=Origin(parents=("A",)))
    own = Trial(run_id="C", params={"x": 0.3}, value=2.0, outcome=SUCCESS, origin=Origin(parents=("C",)))
    nodes = grown(History(trials=(one, other, own), number=3))
    assert [depth(node) for node in nodes] == [0, 1, 0]


def test_a_repair_lies_between_what_failed_and_what_it_came_from() -> None:
    over = SPACES["one dimension"]
    good = [Trial(run_id=f"G{k}", params={"x": 0.2 + k / 1000}, value=float(k), outcome=SUCCESS) for k in range(8)]
    bad = Trial(run_id="BAD", params={"x": 0.9}, outcome=FAILED, origin=Origin(parents=("G0",)))
    history = History(trials=(*good, bad), number=9)
    repairs = [
        proposal
        for number in range(60)
        if (proposal := Tree().propose(over, msgspec.structs.replace(history, number=number), luck(0, number))).parents
        == ("BAD",)
    ]
    assert repairs
    assert all(0.2 < float(each.params["x"] or 0) < 0.9 for each in repairs)
