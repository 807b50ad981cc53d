"""A study that is a code loop: its own baseline, its last kept change, and both commits measured again elsewhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.record import parse
from lab.research.evaluated import FILE, Evaluated
from lab.research.order import Order
from lab.research.phases import evaluation, training
from lab.research.phases.evaluation import Repeats
from lab.research.phases.training import Runs
from lab.research.studies import sealed
from lab.research.trained import FILE as TRAINING_FILE
from lab.research.trained import Trained
from tests.research import tasks
from tests.scheduler.loop.live import NAME, a_loop

if TYPE_CHECKING:
    from pathlib import Path

MORE = "fidelity_tiers: [choose, report]\nreport_validation_command: sh measure.sh 1000\n"
MEASURE = 'echo "METRIC cost=$(($(cat value) + ${1:-0} + ${LAB_SEED:-0} % 10))"\n'


def test_the_last_change_that_was_kept_is_compared_with_the_code_as_it_was(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=MORE, files={"value": "50\n", "measure.sh": MEASURE})
    root = loop.root
    tasks.an_experiment(root, tmp_path, tasks.PROJECT_SPEC)
    loop.propose(":", "echo 40 > value", "echo 60 > value")
    built = tasks.a_built(NAME, metric="cost")
    order = Order(phase="training", worker="runs", idea="bowl")
    running = tasks.begun(root, order)
    plan = tasks.a_plan(runs=3)
    task = tasks.a_task(root, running, "training", files=tasks.given(built=built), project=plan)
    Runs().work(task)
    trained = parse(Trained, task.out.read(TRAINING_FILE) or b"", TRAINING_FILE)
    assert list(training.problems(order, task.out, task)) == []
    tasks.ended(root, running)
    rows = {row.run.run_id: row.run for row in sealed.rows(root, NAME, "choose")}
    assert [rows[each.run_id].verdict for each in trained.made] == ["keep", "keep", "discard"]
    assert (trained.baseline, trained.best) == (trained.made[0].run_id, trained.made[1].run_id)
    order = Order(phase="evaluation", worker="repeats", idea="bowl")
    files = tasks.given(built=built, trained=trained)
    task = tasks.a_task(root, tasks.begun(root, order), "evaluation", files=files, project=plan)
    Repeats().work(task)
    made = parse(Evaluated, task.out.read(FILE) or b"", FILE)
    assert list(evaluation.problems(order, task.out, task)) == []
    assert (made.candidate.of, made.gain, made.is_better) == (trained.best, 10.0, True)
    assert [each.value for each in made.baseline.made] == [1051.0, 1052.0, 1053.0]
    assert loop.view().tier == "choose"
    assert loop.state().best is not None
