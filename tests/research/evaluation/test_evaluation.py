"""The candidate beside the baseline: what is measured, what is made of it, and what is found out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, Interrupted, LabError
from lab.core.record import page, parse
from lab.core.run import FAILED, SUCCESS
from lab.research.evaluated import FILE, Evaluated, Side
from lab.research.order import Order
from lab.research.phases import evaluation
from lab.research.phases.evaluation import Repeats
from lab.research.phases.training import Runs
from lab.research.rounds.weighed import judged
from lab.research.studies import sealed
from lab.research.trained import FILE as TRAINING_FILE
from lab.research.trained import Made, Trained
from lab.scheduler import decisions
from lab.scheduler.search.burst import Burst
from lab.scheduler.search.burst import Order as BurstOrder
from lab.scheduler.search.plan import Wanted
from tests.research import tasks
from tests.research.forging import put_in_place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.research.worker import Task
    from lab.store.root import Root

TRAINING = Order(phase="training", worker="runs", idea="bowl")
ORDER = Order(phase="evaluation", worker="repeats", idea="bowl")
PLAN = tasks.a_plan(runs=3)


def a_training(root: Root) -> Trained:
    running = tasks.begun(root, TRAINING)
    task = tasks.a_task(root, running, "training", project=PLAN)
    Runs().work(task)
    tasks.ended(root, running)
    return parse(Trained, task.out.read(TRAINING_FILE) or b"", TRAINING_FILE)


def a_task(root: Root, trained: Trained, **more: object) -> Task:
    running = tasks.begun(root, ORDER)
    options: dict[str, object] = {"files": tasks.given(trained=trained), "project": PLAN, **more}
    return tasks.a_task(root, running, "evaluation", **options)  # type: ignore[arg-type]


def told(task: Task) -> Evaluated:
    return parse(Evaluated, task.out.read(FILE) or b"", FILE)


def an_evaluation(place: Path, **more: object) -> tuple[Task, Evaluated]:
    root = tasks.a_project(place, **more)  # type: ignore[arg-type]
    task = a_task(root, a_training(root))
    Repeats().work(task)
    return task, told(task)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, Evaluated]:
    """One that nobody changes."""
    return an_evaluation(tmp_path_factory.mktemp("evaluated"))


def test_both_sides_are_measured_by_turns_with_seeds_that_nothing_was_chosen_with(
    evaluated: tuple[Task, Evaluated],
) -> None:
    task, made = evaluated
    rows = sealed.rows(task.root, tasks.STUDY, "report")
    origins = [row.run.origin.parents[0] for row in rows if row.run.origin is not None]
    base, best = made.baseline.of, made.candidate.of
    assert origins == [base, best, best, base, base, best]
    assert [each.seed for each in made.baseline.made] == [1, 2, 3]
    assert [each.seed for each in made.candidate.made] == [1, 2, 3]
    assert {row.manifest.seed for row in sealed.rows(task.root, tasks.STUDY, "choose") if row.manifest} == {7}
    assert (made.tier, made.selected_in) == ("report", "choose")
    assert made.is_better
    assert made.low is not None
    assert made.gain is not None
    assert made.high is not None
    assert made.low < made.gain < made.high
    assert made.sure == pytest.approx(1 - 0.05 / 3)


def test_what_an_evaluation_tells_is_believed_with_the_seals_and_without(evaluated: tuple[Task, Evaluated]) -> None:
    task, _ = evaluated
    assert list(evaluation.problems(ORDER, task.out, task)) == []
    assert list(evaluation.problems(ORDER, task.out, None)) == []


def test_without_a_training_it_tells_of_every_run_that_it_chose_from(evaluated: tuple[Task, Evaluated]) -> None:
    before, made = evaluated
    plan = msgspec.structs.replace(PLAN, mode="E", proceed_from=tasks.STUDY)
    task = tasks.a_task(before.root, tasks.begun(before.root, ORDER), "evaluation", files={}, project=plan)
    Repeats().work(task)
    rows = sealed.rows(task.root, tasks.STUDY, "choose")
    assert [each.run_id for each in told(task).among] == [row.run.run_id for row in rows]
    assert told(task).candidate.of == made.candidate.of
    assert made.among == ()
    assert list(evaluation.problems(ORDER, task.out, task)) == []


def forged(made: Evaluated, at: int, **more: object) -> Evaluated:
    rows = list(made.candidate.made)
    rows[at] = msgspec.structs.replace(rows[at], **more)
    return again(made, tuple(rows))


def again(made: Evaluated, rows: tuple[Made, ...]) -> Evaluated:
    """With the sums put right, as a careful forger would."""
    side = evaluation._counted(msgspec.structs.replace(made.candidate, made=rows))
    return evaluation._again(msgspec.structs.replace(made, candidate=side))


def huge(made: Evaluated) -> Made:
    return msgspec.structs.replace(made.candidate.made[2], value=-1e308)


FORGERIES: dict[str, tuple[Callable[[Evaluated], Evaluated], str]] = {
    "a better measurement": (lambda made: forged(made, 0, value=0.5), "is not as it was sealed"),
    "one seed for all": (lambda made: forged(made, 1, seed=1), "are not all different"),
    "seeds that were picked": (lambda made: forged(made, 0, seed=99), "are not the first 3"),
    "two measurements": (lambda made: again(made, made.candidate.made[:2]), "has 2 measurements"),
    "the baseline's own": (lambda made: again(made, made.baseline.made), "on both sides"),
    "a gain of its own": (lambda made: msgspec.structs.replace(made, gain=99.0), "gain do not follow"),
    "a verdict of its own": (lambda made: msgspec.structs.replace(made, is_better=False), "is_better do not follow"),
    "a narrower interval": (lambda made: evaluation._again(msgspec.structs.replace(made, sure=0.5)), "for one round"),
    "silence about the seed": (lambda made: msgspec.structs.replace(made, remarks=("all is well",)), "remarks do not"),
    "no number": (lambda made: again(made, (*made.candidate.made[:2], huge(made))), "too large to be compared"),
    "runs that it was not chosen from": (
        lambda made: msgspec.structs.replace(made, among=made.candidate.made),
        "chosen from are not those of the study",
    ),
    "a choice among runs that it is none of": (
        lambda made: msgspec.structs.replace(made, among=made.candidate.made),
        "none of the runs that it says were chosen from",
    ),
    "the tier of the choice": (lambda made: msgspec.structs.replace(made, tier="choose"), "chosen in the same tier"),
    "another candidate": (
        lambda made: msgspec.structs.replace(made, candidate=msgspec.structs.replace(made.candidate, of="RUN-1")),
        "training found others",
    ),
    "other parameters": (
        lambda made: msgspec.structs.replace(
            made, candidate=msgspec.structs.replace(made.candidate, params={"x": 0.5})
        ),
        "are not those that it was sealed with",
    ),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_an_evaluation_that_somebody_made_up_is_found_out(evaluated: tuple[Task, Evaluated], what: str) -> None:
    task, made = evaluated
    forge, said = FORGERIES[what]
    with put_in_place(task.out, FILE, page(forge(made))):
        assert said in " | ".join(evaluation.problems(ORDER, task.out, task))


def test_after_a_kill_what_was_measured_is_not_measured_again(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    trained = a_training(root)

    def measured() -> list[str]:
        return [row.run.run_id for row in sealed.rows(root, tasks.STUDY, "report") if row.run.outcome == SUCCESS]

    first = a_task(root, trained, interrupted=lambda: "SIGINT" if len(measured()) >= 2 else "")
    with pytest.raises(Interrupted):
        Repeats().work(first)
    before = measured()
    assert len(before) == 2
    second = a_task(root, trained)
    Repeats().work(second)
    made = told(second)
    assert len(measured()) == 6
    assert before == [made.baseline.made[0].run_id, made.candidate.made[0].run_id]
    assert list(evaluation.problems(ORDER, second.out, second)) == []


def test_where_the_beginning_was_the_best_there_is_no_candidate_and_no_gain(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path, edit=("default: -1.5", "default: 0.5"))
    task = a_task(root, a_training(root))
    Repeats().work(task)
    made = told(task)
    assert (made.candidate, made.gain, made.is_better, len(made.baseline.made)) == (Side(of=""), None, False, 3)
    assert "there is no candidate" in made.why
    assert list(evaluation.problems(ORDER, task.out, task)) == []


def test_where_nothing_differs_from_itself_the_difference_is_what_it_is(tmp_path: Path) -> None:
    task, made = an_evaluation(tmp_path, spread=0.0)
    assert made.low == made.gain == made.high
    assert (made.noise, made.is_better) == (0.0, True)
    assert "equal to the last digit" in made.why
    assert ["does not heed its seed" in each for each in made.remarks] == [True]
    assert list(evaluation.problems(ORDER, task.out, task)) == []


def test_what_was_chosen_in_the_tier_that_is_reported_is_not_evaluated(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    chosen = msgspec.structs.replace(a_training(root), tier="report")
    with pytest.raises(BadInput, match="which is the tier that is reported") as refused:
        Repeats().work(a_task(root, chosen))
    assert "evaluation: tier" in refused.value.fix
    assert sealed.rows(root, tasks.STUDY, "report") == []


def test_a_tier_in_which_somebody_has_searched_reports_nothing(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    decisions.set_tier(root, tasks.STUDY, "report", reason="a look", actor="ann")
    order = BurstOrder(experiment=tasks.STUDY, runs=2)
    burst = Burst(root, order, Wanted(), tell=lambda _: None, interrupted=str)
    burst.prepare()
    burst.run()
    decisions.set_tier(root, tasks.STUDY, "choose", reason="back", actor="ann")
    with pytest.raises(BadInput, match=r"was searched in report too \(1 runs"):  # the baseline is no choice
        Repeats().work(a_task(root, a_training(root)))


def test_a_side_that_cannot_be_measured_is_no_result(tmp_path: Path) -> None:
    dead = "import sys\nif sys.argv[2] == 'report': sys.exit(3)\n" + tasks.PROGRAM
    root = tasks.a_project(tmp_path, program=dead)
    task = a_task(root, a_training(root))
    with pytest.raises(LabError, match=r"was measured 0 times in 6 runs, and was to be 3 times; .*\(failed\)"):
        Repeats().work(task)
    assert task.out.read(FILE) is None
    assert {row.run.outcome for row in sealed.rows(root, tasks.STUDY, "report")} == {FAILED}


def test_a_person_who_pauses_a_study_is_heeded_and_what_is_at_its_end_is_reported(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    trained = a_training(root)
    decisions.pause(root, tasks.STUDY, reason="look first", actor="ann")
    with pytest.raises(BadInput, match=r"proj-bowl is paused \(look first\)"):
        Repeats().work(a_task(root, trained))
    assert sealed.rows(root, tasks.STUDY, "report") == []
    decisions.pause(root, tasks.STUDY, reason="", actor="ann")
    decisions.resume(root, tasks.STUDY, reason="", actor="ann")
    decisions.pause(root, tasks.STUDY, reason="kl is above its limit", actor="policy")
    Repeats().work(a_task(root, trained))


def test_no_more_is_measured_than_the_study_has_a_budget_for(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    trained = a_training(root)
    with open(root.layout.spec(tasks.STUDY), "a", encoding="utf-8") as file:
        file.write("stop_conditions: {budget_hours: 0.000001}\n")
    with pytest.raises(LabError, match=r"budget_hours: .* are used"):
        Repeats().work(a_task(root, trained))
    assert sealed.rows(root, tasks.STUDY, "report") == []


def made_of(name: str, *values: float) -> Side:
    rows = tuple(
        Made(run_id=f"{name}{at}", outcome=SUCCESS, tier="report", seal="", value=value, wall_s=1.0, seed=at)
        for at, value in enumerate(values)
    )
    return evaluation._counted(Side(of=name, made=rows))


def verdict(baseline: Side, candidate: Side, sure: float = 0.95) -> Evaluated:
    source = Trained(experiment="e", metric="loss", direction="minimize", tier="choose", made=())
    return judged(source, "report", baseline, candidate, sure)


def test_the_interval_is_that_of_welch() -> None:
    made = verdict(made_of("b", 5.0, 5.1, 5.3), made_of("c", 4.0, 4.4, 4.2))
    gain = (5.0 + 5.1 + 5.3) / 3 - 4.2
    error = math.sqrt((0.02333333333 + 0.04) / 3)
    assert made.gain == pytest.approx(gain)
    assert made.low == pytest.approx(gain - 3.182446 * error, rel=1e-5)  # t of 3 degrees, what is over 3.7 is let go
    assert (made.is_better, made.is_worse) == (True, False)


def test_what_is_better_goes_by_the_interval_and_not_by_the_means() -> None:
    baseline = made_of("b", 5.0, 6.0, 4.0)
    assert not verdict(baseline, made_of("c", 4.5, 5.5, 3.9)).is_better
    assert verdict(baseline, made_of("c", 1.0, 1.2, 0.8)).is_better
    assert verdict(baseline, made_of("c", 9.0, 9.2, 9.1)).is_worse
    close = made_of("c", 1.4, 2.0, 2.6)
    assert verdict(baseline, close).is_better
    assert not verdict(baseline, close, sure=0.999).is_better


def test_a_difference_that_rounding_may_be_is_none() -> None:
    made = verdict(made_of("b", 5.0, 5.0, 5.0), made_of("c", *[5 - 1e-13] * 3))
    assert (made.is_better, made.is_worse) == (False, False)
    assert made.gain == pytest.approx(1e-13, rel=0.2)
    assert "less than a billionth of the values" in made.why
    assert verdict(made_of("b", 5.0, 5.0, 5.0), made_of("c", *[5 - 1e-7] * 3)).is_better


def test_a_candidate_that_took_no_time_beside_the_baseline_is_told() -> None:
    baseline, candidate = made_of("b", 5.0, 5.1, 5.3), made_of("c", 4.0, 4.4, 4.2)
    at_once = tuple(msgspec.structs.replace(each, wall_s=0.017) for each in candidate.made)
    made = verdict(baseline, msgspec.structs.replace(candidate, made=at_once))
    assert made.remarks == (
        "the candidate took 0.017 s, where the baseline took 1 s: look whether it did the same work",
    )
    assert verdict(baseline, candidate).remarks == ()
