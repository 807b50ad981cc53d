"""Where a round begins: what was measured of the study before, and whether that says anything."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, LabError
from lab.core.run import FAILED
from lab.research.phases import training
from lab.research.phases.training import Runs
from lab.research.project import Project, Training
from lab.research.work import noted
from lab.scheduler import cycle, decisions
from tests.research import tasks
from tests.research.training.test_training import FIRST, a_round, runs, told
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.research.worker import Task
    from lab.store.root import Root

DEFAULTS = {"x": -1.5}


def a_run(root: Root, params: Mapping[str, object], value: float | None = 5.0, **more: str) -> str:
    """One of the study that somebody made before the round."""
    running = cycle.begin(root, tasks.STUDY, owner=me(), params=params)
    return cycle.finish(root, running, tasks.an_end(value, **more)).run.run_id


def test_the_run_that_showed_that_the_study_works_is_the_baseline_of_its_first_round_and_of_no_other(
    tmp_path: Path,
) -> None:
    root = tasks.a_project(tmp_path)
    smoke = a_run(root, DEFAULTS)
    given = {"files": tasks.given(built=tasks.a_built(smoke_run=smoke)), "project": tasks.a_plan(runs=3)}
    running = tasks.begun(root, FIRST)
    first = tasks.a_task(root, running, "training", **given)  # type: ignore[arg-type]
    Runs().work(first)
    tasks.ended(root, running)
    assert (told(first).runs, told(first).anew, len(told(first).made), told(first).baseline) == (3, 2, 3, smoke)
    assert list(training.problems(FIRST, first.out, first)) == []
    _, second = a_round(root, msgspec.structs.replace(FIRST, round=2), **given)
    assert (second.runs, second.anew, len(second.made)) == (3, 3, 6)


def test_a_round_that_is_done_once_more_counts_what_is_sealed_and_says_so(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    for anew in (2, 0):
        running = tasks.begun(root, FIRST)
        said: list[str] = []
        task = tasks.a_task(root, running, "training", project=tasks.a_plan(runs=2), said=said)
        Runs().work(task)
        tasks.ended(root, running)
        assert (told(task).runs, told(task).anew) == (2, anew)
        assert ("what is sealed counts: nothing was measured anew" in said) == (anew == 0)
        assert ("nothing was measured anew" in noted.of("training", task.out)) == (anew == 0)


def test_a_beginning_that_failed_is_measured_again(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    failed = a_run(root, DEFAULTS, None, outcome=FAILED)
    task, made = a_round(root, project=tasks.a_plan(runs=2))
    assert made.made[0].run_id == failed
    assert (made.baseline, made.runs) == (made.made[1].run_id, 2)
    assert list(training.problems(FIRST, task.out, task)) == []


def test_a_round_whose_candidates_all_failed_makes_others_once_what_they_lacked_was_mended(tmp_path: Path) -> None:
    there = f"os.path.exists({str(tmp_path / 'mended')!r})"
    flaw = f"import os, sys\nif sys.argv[1] != '-1.5' and not {there}: sys.exit(3)\n"
    root = tasks.a_project(tmp_path, program=flaw + tasks.PROGRAM)
    for made in (3, 5):  # an attempt makes no more than were wanted
        running = tasks.begun(root, FIRST)
        with pytest.raises(LabError, match="the baseline alone may be believed"):
            Runs().work(tasks.a_task(root, running, "training", project=tasks.a_plan(runs=3)))
        tasks.ended(root, running, FAILED)
        assert len(runs(root)) == made
    (tmp_path / "mended").touch()
    task, trained = a_round(root, project=tasks.a_plan(runs=3))
    assert (len(trained.made), len(trained.believable), trained.runs, trained.anew) == (7, 3, 7, 2)
    assert list(training.problems(FIRST, task.out, task)) == []


def test_a_round_without_a_beginning_has_one_run_more_when_it_is_done_again(tmp_path: Path) -> None:
    flaw = (
        f"import os, sys\nif sys.argv[1] == '-1.5' and not os.path.exists({str(tmp_path / 'mended')!r}): sys.exit(3)\n"
    )
    root = tasks.a_project(tmp_path, program=flaw + tasks.PROGRAM)
    running = tasks.begun(root, FIRST)
    with pytest.raises(LabError, match="none measured the beginning"):
        Runs().work(tasks.a_task(root, running, "training", project=tasks.a_plan(runs=3)))
    tasks.ended(root, running, FAILED)
    before = len(runs(root))
    (tmp_path / "mended").touch()
    _, made = a_round(root, project=tasks.a_plan(runs=3))
    assert len(runs(root)) == before + 1
    assert made.baseline == made.made[-1].run_id


def test_what_was_made_by_another_program_or_spec_is_told_of_an_experiment_that_is_gone_on_from(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    first, second = a_run(root, DEFAULTS), a_run(root, {"x": 0.5}, 1.0)
    project = Project(mode="E", proceed_from=tasks.STUDY, training=Training(runs=2))
    later_s = time.time() + 1
    os.utime(tmp_path / "study" / "bowl.py", (later_s, later_s))
    with open(root.layout.spec(tasks.STUDY), "a", encoding="utf-8") as file:
        file.write("kill_grace_s: 3\n")
    _, made = a_round(root, files={}, project=project)
    assert (made.baseline, made.best) == (first, second)
    by_spec, by_program = made.remarks
    assert by_spec.startswith(f"2 of 4 runs were made by another SPEC than the one of now, such as {second}: ")
    assert by_program.startswith("4 of 4 runs were made before bowl.py was last changed, such as ")


def test_a_round_of_one_run_is_refused_beforehand(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    project = Project(mode="B", study="study", training=Training(runs=1))
    lacks = list(Runs().lacks(tasks.a_place(root, "training", project, folder=str(tmp_path))))
    assert [each.fix for each in lacks if "training.runs is 1" in each.what] == [
        "write 2 or more, such as the usual 12"
    ]


def of_mode_e(root: Root, **order: object) -> Task:
    """The training of a project that goes on with the study, as it was there before."""
    plan = Project(mode="E", proceed_from=tasks.STUDY, training=Training(runs=2, strategy="random"))
    running = tasks.begun(root, msgspec.structs.replace(FIRST, **order))
    return tasks.a_task(root, running, "training", files={}, project=plan)


def lacks(task: Task, phase: str = "training") -> list[str]:
    place = tasks.a_place(task.root, phase, task.project)
    return [f"{each.what}; {each.fix}" for each in Runs().lacks(place) if tasks.STUDY in each.what]


def test_an_experiment_that_makes_no_runs_is_no_round_of_who_goes_on_with_it(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    a_run(root, DEFAULTS)
    a_run(root, {"x": 1.0}, 1.25)
    task = of_mode_e(root)
    decisions.pause(root, tasks.STUDY, reason="look first", actor="ann")
    with pytest.raises(BadInput, match=r"none of 2 runs was made: proj-bowl is paused \(look first\)") as refused:
        Runs().work(task)
    assert (refused.value.fix, len(runs(root)), task.out.read("training.json")) == ("labctl resume proj-bowl", 2, None)
    assert ["is paused (look first)" in each and "skip: [training, iteration]" in each for each in lacks(task)] == [
        True
    ]
    assert len(lacks(task, "evaluation")) == 1  # it holds for measurements too
    decisions.complete(root, tasks.STUDY, reason="enough", actor="ann")
    assert (len(lacks(task)), lacks(task, "evaluation")) == (1, [])
    decisions.lend(root, tasks.STUDY, to="other", reason="its phase", actor="research")
    assert ["is the study of the project other" in each for each in (*lacks(task), *lacks(task, "evaluation"))] == [
        True, True,
    ]  # fmt: skip
    with pytest.raises(BadInput, match="is the study of the project other"):
        Runs().work(of_mode_e(root))
    decisions.resume(root, tasks.STUDY, reason="", actor="ann")
    assert lacks(task) == []
    later = of_mode_e(root)
    Runs().work(later)
    assert told(later).runs == 2


def test_a_later_round_without_a_run_is_told_and_does_not_fail(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    a_run(root, DEFAULTS)
    a_run(root, {"x": 1.0}, 1.25)
    decisions.complete(root, tasks.STUDY, reason="enough", actor="policy")
    task = of_mode_e(root, round=2)
    Runs().work(task)
    assert (told(task).runs, told(task).stopped) == (0, "it is completed (enough)")
    decisions.resume(root, tasks.STUDY, reason="", actor="ann")
    decisions.pause(root, tasks.STUDY, reason="look first", actor="ann")
    with pytest.raises(BadInput, match="look first"):
        Runs().work(of_mode_e(root, round=3))
