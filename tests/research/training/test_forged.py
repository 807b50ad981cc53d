"""Bundles that somebody put among the runs of a study, or wrote anew: no phase believes them, and each is named."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.layout import ARTIFACTS
from lab.core.record import page, parse
from lab.research.built import FILE as BUILT
from lab.research.evaluated import FILE as EVALUATION
from lab.research.evaluated import Evaluated
from lab.research.order import Order
from lab.research.phases.evaluation import Repeats
from lab.research.phases.training import Runs
from lab.research.studies import sealed
from lab.research.trained import FILE, Trained
from lab.research.walk import cited, vouched
from lab.research.work.inputs import Done
from lab.store import bundles
from tests.research import forging, tasks
from tests.research.training.test_training import FIRST, a_round

if TYPE_CHECKING:
    from pathlib import Path

    from lab.research.worker import Task
    from lab.store.root import Root

PLANTED = "RUN-29990101-000000-000000-scout"
SECOND = Order(phase="evaluation", worker="repeats", idea="bowl")


def done(root: Root, phase: str, order: Order, name: str, data: bytes) -> Done:
    """A sealed run of the project that left this."""
    running = tasks.begun(root, order)
    root.files.create(f"{running.path}/{ARTIFACTS}/{name}", data)
    seal = tasks.ended(root, running)
    assert phase == order.phase
    return Done(path=running.path, order=order, seal=seal)


def evaluated(root: Root, trained: Trained) -> Evaluated:
    running = tasks.begun(root, SECOND)
    task = tasks.a_task(root, running, "evaluation", files=tasks.given(trained=trained))
    Repeats().work(task)
    tasks.ended(root, running)
    return parse(Evaluated, task.out.read(EVALUATION) or b"", EVALUATION)


@pytest.fixture
def trained(tmp_path: Path) -> tuple[Task, Trained]:
    return a_round(tasks.a_project(tmp_path))


def test_a_run_that_the_ledger_does_not_know_is_no_measurement_and_is_named(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    running = tasks.begun(root, FIRST)
    said: list[str] = []
    task = tasks.a_task(root, running, "training", said=said, project=tasks.a_plan(runs=2))
    Runs().work(task)
    real = parse(Trained, task.out.read(FILE) or b"", FILE)
    forging.planted(root, tasks.STUDY, real.best, PLANTED, -99.0)
    Runs().work(task)
    again = parse(Trained, task.out.read(FILE) or b"", FILE)
    assert again.made == real.made
    assert (again.best, again.disowned) == (real.best, (PLANTED,))
    assert f"{PLANTED} of {tasks.STUDY} does not count: the ledger knows of no such run" in said
    assert sealed.row(root, tasks.STUDY, PLANTED) is None


def test_a_seal_that_nobody_can_read_is_not_read(trained: tuple[Task, Trained]) -> None:
    task, made = trained
    place = task.root.layout.run(tasks.STUDY, PLANTED)
    task.root.files.create(f"{place}/SEAL.json", b"{")
    assert [each.run.run_id for each in sealed.rows(task.root, tasks.STUDY, made.tier)] == [
        each.run_id for each in made.made
    ]


def test_a_measurement_that_was_sealed_anew_is_made_again(trained: tuple[Task, Trained]) -> None:
    task, made = trained
    first = evaluated(task.root, made)
    victim = first.baseline.made[0].run_id
    forging.resealed(task.root, tasks.STUDY, victim, 99.0)
    assert dict(vouched.disowned(task.root, tasks.STUDY)) == {
        victim: "its seal is not the one that the ledger recorded"
    }
    again = evaluated(task.root, made)
    assert again.baseline.values == first.baseline.values
    assert victim not in {each.run_id for each in again.baseline.made}


def test_what_tells_of_runs_holds_only_while_those_are_there_as_they_were(trained: tuple[Task, Trained]) -> None:
    task, made = trained
    root = task.root
    told = evaluated(root, made)
    built = tasks.a_built(smoke_run=made.baseline)
    phases = [
        done(root, "implementation", Order(phase="implementation", worker="study"), BUILT, page(built)),
        done(root, "training", FIRST, FILE, page(made)),
        done(root, "evaluation", SECOND, EVALUATION, page(told)),
    ]
    assert [cited.trouble(root, each) for each in phases] == ["", "", ""]
    measured, chosen = told.candidate.made[0].run_id, made.made[1].run_id
    forging.resealed(root, tasks.STUDY, measured, -9.0)
    wrong = f"the seal of {measured} of {tasks.STUDY} is not the one that the ledger recorded"
    assert [cited.trouble(root, each) for each in phases] == ["", "", wrong]
    root.files.discard_folder(root.layout.run(tasks.STUDY, chosen))
    assert [cited.trouble(root, each) for each in phases] == ["", f"{chosen} of {tasks.STUDY} is gone", wrong]
    forging.resealed(root, tasks.STUDY, made.baseline, 99.0)
    assert f"the seal of {made.baseline}" in cited.trouble(root, phases[0])


def test_a_table_with_a_seal_of_its_own_is_not_the_ledgers(trained: tuple[Task, Trained]) -> None:
    task, made = trained
    rows = (msgspec.structs.replace(made.made[0], seal="a" * 64), *made.made[1:])
    phase = done(task.root, "training", FIRST, FILE, page(msgspec.structs.replace(made, made=rows)))
    said = f"{made.made[0].run_id} of {tasks.STUDY} is not in the ledger as it was told of"
    assert cited.trouble(task.root, phase) == said
    assert bundles.load_seal(phase.path) is not None
