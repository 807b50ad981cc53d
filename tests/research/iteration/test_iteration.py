"""The decision of a round, as a phase leaves it: from what was sealed, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.record import page, parse
from lab.core.run import FAILED
from lab.research.decision import FILE, Decision
from lab.research.evaluated import Evaluated, Side
from lab.research.order import Order
from lab.research.phases import iteration
from lab.research.phases.iteration import Rules
from lab.research.project import Iteration, Project
from lab.research.trained import Made, Trained
from tests.research import tasks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.research.worker import Task
    from lab.store.root import Root

IDEA = """\
name: {name}
hypothesis: the least lies elsewhere
metric: loss
direction: minimize
predicted_gain: 1.0
kill: {{gain_below: 0.0, after_runs: 8}}
"""
IDEAS = {f"ideation/ideas/{at}-{name}.yaml": IDEA.format(name=name).encode() for at, name in enumerate(("bowl", "hat"))}
MADE = tuple(Made(run_id=f"RUN-{at}", outcome="success", tier="choose", seal="", value=1.0) for at in range(4))


def evaluated(gain: float | None, margin: float = 0.1, number: int = 1, idea: str = "bowl") -> Evaluated:
    bare = Evaluated(
        experiment=tasks.STUDY, metric="loss", direction="minimize", tier="report", selected_in="choose",
        baseline=Side(of="RUN-0"), candidate=Side(of="RUN-1"), round=number, idea=idea,
    )  # fmt: skip
    if gain is None:
        return bare
    better = {"is_better": gain > margin, "is_worse": gain < -margin}
    return msgspec.structs.replace(bare, gain=gain, low=gain - margin, high=gain + margin, **better)


def a_round(root: Root, found: Evaluated, **more: object) -> Task:
    """The iteration of a round whose evaluation is sealed."""
    order = Order(phase="evaluation", worker="repeats", round=found.round, idea=found.idea)
    running = tasks.begun(root, order)
    tasks.a_task(root, running, "evaluation").out.write("evaluation.json", page(found))
    tasks.ended(root, running)
    mine = msgspec.structs.replace(order, phase="iteration", worker="rules")
    trained = Trained(experiment=tasks.STUDY, metric="loss", direction="minimize", tier="choose", made=MADE)
    files = {**tasks.given(trained=trained, evaluated=found), **IDEAS}
    task = tasks.a_task(root, tasks.begun(root, mine), "iteration", files=files, project=tasks.a_plan(patience=2))
    task = msgspec.structs.replace(task, **more)
    Rules().work(task)
    return task


def told(task: Task) -> Decision:
    return parse(Decision, task.out.read(FILE) or b"", FILE)


def test_rounds_without_a_gain_lead_to_the_next_idea_and_then_to_the_end(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    first, second = a_round(root, evaluated(0.01)), a_round(root, evaluated(0.02, number=2))
    assert (told(first).decision, told(first).rounds_left) == ("refine", 2)
    assert (told(second).decision, told(second).reason, told(second).next_idea) == ("pivot", "stagnation", "hat")
    third = a_round(root, evaluated(0.03, number=3, idea="hat"))
    assert (told(third).decision, told(third).reason) == ("stop", "budget_exhausted")
    assert [(each.round, each.idea, each.gain) for each in told(third).past] == [(1, "bowl", 0.01), (2, "bowl", 0.02)]
    for task in (first, second, third):
        assert list(iteration.problems(task.order, task.out, task)) == []
        assert list(iteration.problems(task.order, task.out, None)) == []


def test_a_person_decides_where_one_has_ruled(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    task = a_round(root, evaluated(5.0), ruled="stop", steering="this is known already")
    assert (told(task).decision, told(task).reason, told(task).by) == ("stop", "human_stop", "a person")
    assert "this is known already" in told(task).why
    assert list(iteration.problems(task.order, task.out, task)) == []
    unasked = msgspec.structs.replace(task, ruled="")
    assert "no person has said stop" in " ".join(iteration.problems(task.order, task.out, unasked))


FORGERIES: dict[str, tuple[Callable[[Decision], Decision], str]] = {
    "another decision": (
        lambda made: msgspec.structs.replace(made, decision="keep", kept_round=1, reason="goal_met"),
        "by the rule it is refine (within_noise), and it says keep (goal_met)",
    ),
    "another gain": (lambda made: msgspec.structs.replace(made, gain=9.0), "by the rule it is refine"),
    "a person's name": (lambda made: msgspec.structs.replace(made, by="ann", reason="human"), "no person has said"),
    "a round too many": (lambda made: msgspec.structs.replace(made, rounds_left=0), "refine in the last round"),
    "no next idea": (lambda made: msgspec.structs.replace(made, decision="pivot"), "a pivot names the next idea"),
}


@pytest.fixture(scope="module")
def undecided(tmp_path_factory: pytest.TempPathFactory) -> Task:
    return a_round(tasks.a_project(tmp_path_factory.mktemp("undecided")), evaluated(0.01))


@pytest.mark.parametrize("what", FORGERIES)
def test_a_decision_that_somebody_made_up_is_found_out(undecided: Task, what: str) -> None:
    forge, said = FORGERIES[what]
    made, kept = told(undecided), undecided.out.read(FILE) or b""
    undecided.out.write(FILE, page(forge(made)))
    try:
        assert said in " | ".join(iteration.problems(undecided.order, undecided.out, undecided))
    finally:
        undecided.out.write(FILE, kept)


def test_a_project_whose_hours_do_not_bear_another_round_ends(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    with open(root.layout.spec(tasks.PROJECT), "a", encoding="utf-8") as file:
        file.write("stop_conditions: {budget_hours: 0.0005}\n")  # 1.8 s; the evaluation took one
    made = told(a_round(root, evaluated(0.01)))
    assert (made.decision, made.reason) == ("stop", "budget_exhausted")
    assert made.spent.startswith("budget_hours: 0.0002778 of 0.0005 are used")


def test_an_evaluation_that_failed_is_no_past(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    order = Order(phase="evaluation", worker="repeats", round=1, idea="bowl")
    running = tasks.begun(root, order)
    tasks.a_task(root, running, "evaluation").out.write("evaluation.json", page(evaluated(7.0)))
    tasks.ended(root, running, FAILED)
    assert told(a_round(root, evaluated(0.01, number=2))).past == ()


def test_patience_that_no_project_can_lose_is_told_beforehand(tmp_path: Path) -> None:
    project = Project(mode="B", iteration=Iteration(max_rounds=1, patience=2))
    lacks = list(Rules().lacks(tasks.a_place(tasks.a_project(tmp_path), "iteration", project)))
    assert [each.is_fatal for each in lacks] == [False]


@pytest.mark.parametrize(("most", "decision"), [(9, "stop"), (10, "refine")])
def test_a_project_whose_runs_do_not_bear_another_round_goes_on_to_its_paper(
    most: int, decision: str, tmp_path: Path
) -> None:
    root = tasks.a_project(tmp_path)
    spec = tmp_path / "lab/experiments/proj/SPEC.yaml"
    spec.write_text(f"{spec.read_text()}max_iterations_total: {most}\n")
    found = told(a_round(root, evaluated(0.01)))
    assert found.decision == decision
    assert found.spent == (
        "" if decision == "refine" else "max_iterations_total: 5 of 9 are used, and another round would take 5"
    )
