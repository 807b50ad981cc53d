"""The study of a project: open to its phases, and to no turn of cron between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import policy
from lab.core.view import ACTIVE, COMPLETED, OPEN_PHASES, PAUSED, QUEUED
from lab.research.order import Order as Phase
from lab.research.studies import lent
from lab.research.studies.driving import Drive
from lab.research.study import opened
from lab.scheduler import create, decisions, refresh
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from lab.store import bundles
from tests.research import tasks
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.research.worker import Task
    from lab.scheduler.step import Step


@pytest.fixture
def task(tmp_path: Path) -> Task:
    root = tasks.a_project(tmp_path)
    running = tasks.begun(root, Phase(phase="training", worker="runs"))
    return tasks.a_task(root, running, "training")


def study(task: Task) -> View:
    with task.root.section(tasks.STUDY):
        return refresh.current(task.root, tasks.STUDY)[0]


def test_it_is_paused_after_a_phase_and_opened_for_the_next(task: Task) -> None:
    name = lent.take(task)
    assert (name, study(task).phase) == (tasks.STUDY, QUEUED)
    lent.give_back(task, name)
    assert (study(task).phase, f"labctl research run {tasks.PROJECT}" in study(task).phase_reason) == (PAUSED, True)
    lent.take(task)
    assert study(task).phase in (QUEUED, ACTIVE)


def test_what_a_person_paused_or_its_policy_ended_stays_so(task: Task) -> None:
    decisions.pause(task.root, tasks.STUDY, reason="look at it first", actor="ann")
    lent.give_back(task, lent.take(task))
    assert (study(task).phase, study(task).phase_reason) == (PAUSED, "look at it first")
    decisions.complete(task.root, tasks.STUDY, reason="enough", actor="ann")
    lent.give_back(task, lent.take(task))
    assert study(task).phase == COMPLETED


def test_a_person_pauses_what_its_project_has_paused_and_that_lasts(task: Task) -> None:
    lent.give_back(task, lent.take(task))
    assert study(task).lent == tasks.PROJECT
    assert decisions.pause(task.root, tasks.STUDY, reason="look at it first", actor="ann").changed
    lent.give_back(task, lent.take(task))
    assert (study(task).phase, study(task).phase_reason, study(task).lent) == (PAUSED, "look at it first", "")


def test_an_experiment_that_the_user_had_before_is_left_as_it_is(task: Task) -> None:
    root, running = task.root, tasks.begun(task.root, Phase(phase="evaluation", worker="repeats"))
    of_mode_e = tasks.a_task(root, running, "evaluation", files={})
    lent.give_back(of_mode_e, lent.take(of_mode_e))
    assert study(task).phase == QUEUED


def cron(task: Task) -> list[Step]:
    """A turn of the crank over the whole lab, at any hour."""
    turn = Turn(task.root, Request(now=True, max_runs=3), tell=lambda _: None, interrupted=str)
    turn.take()
    return [each for each in turn.steps if each.experiment == tasks.STUDY]


def runs(task: Task) -> int:
    return len(bundles.names(task.root, tasks.STUDY))


def test_nothing_but_its_project_begins_runs_of_it_while_it_is_lent_nor_after_a_kill(task: Task) -> None:
    lent.give_back(task, tasks.STUDY)
    name = lent.take(task)  # and whoever took it is killed
    decisions.pause(task.root, tasks.PROJECT, reason="enough for today", actor="ann")
    cron(task)
    assert (study(task).phase in OPEN_PHASES, runs(task)) == (True, 0)
    burst = Burst(task.root, Order(experiment=name, runs=1), Wanted(), tell=lambda _: None, interrupted=str)
    burst.prepare()
    burst.run()
    assert (runs(task), f"the project {tasks.PROJECT} makes its runs" in burst.stopped) == (0, True)
    lent.take(task)
    its = Drive(task, opened(task.root, tasks.a_plan(), name), after=0, strategy="random").up_to(1)
    assert (its.counted, runs(task)) == (1, 1)
    lent.give_back(task, name)
    cron(task)
    assert runs(task) == 1


def test_what_failures_ended_is_tried_again_by_its_project_alone_and_a_plateau_is_an_end(task: Task) -> None:
    for reason, phase in ((policy.FAILED_TOO_OFTEN, QUEUED), ("plateau", COMPLETED)):
        lent.give_back(task, lent.take(task))
        lent.take(task)
        seen = study(task)
        with task.root.section(tasks.STUDY):
            decisions.carry_out(task.root, seen, policy.Finish(reason=reason), actor="policy")
        assert (study(task).phase, study(task).lent) == (COMPLETED, tasks.PROJECT)
        lent.give_back(task, tasks.STUDY)  # which leaves it closed
        assert (lent.take(task), study(task).phase, study(task).lent) == (tasks.STUDY, phase, tasks.PROJECT)


def test_a_person_takes_a_study_from_its_project_by_opening_it(task: Task) -> None:
    lent.give_back(task, tasks.STUDY)
    lent.take(task)
    assert study(task).lent == tasks.PROJECT
    assert decisions.resume(task.root, tasks.STUDY, reason="", actor="ann").changed
    assert study(task).lent == ""
    cron(task)
    assert runs(task) > 0


def test_a_study_is_lent_from_the_moment_it_is_made(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab")
    place = tmp_path / "SPEC.yaml"
    place.write_text("id: of-it\nexecutor: stub\ndurability: fast\n")
    create.experiment(root, str(place), actor="research", lent="proj")
    with root.section("of-it"):
        assert refresh.current(root, "of-it")[0].lent == "proj"
