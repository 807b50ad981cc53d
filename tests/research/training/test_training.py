"""What a round of training makes, and what it believes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical
from lab.core.errors import BadInput, Interrupted, LabError
from lab.core.record import page, parse
from lab.core.run import CANCELLED, SUCCESS, Run
from lab.research import study
from lab.research.order import Order
from lab.research.phases import training
from lab.research.phases.training import Runs
from lab.research.project import Project
from lab.research.studies import attempts, sealed
from lab.research.studies.attempts import BEGUN, Begun
from lab.research.trained import FILE, Made, Trained
from lab.scheduler import cycle
from lab.store import experiments, leases, machine
from tests.research import tasks
from tests.research.forging import put_in_place
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.research.worker import Task
    from lab.store.root import Root

FIRST = Order(phase="training", worker="runs", idea="bowl")


def a_round(root: Root, order: Order = FIRST, **more: object) -> tuple[Task, Trained]:
    """One that ends well."""
    running = tasks.begun(root, order)
    task = tasks.a_task(root, running, "training", **more)  # type: ignore[arg-type]
    Runs().work(task)
    return task, told(task)


def told(task: Task) -> Trained:
    return parse(Trained, task.out.read(FILE) or b"", FILE)


def runs(root: Root) -> list[Run]:
    return [row.run for row in sealed.rows(root, tasks.STUDY, "choose")]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Task, Trained]:
    """A round that nobody changes."""
    return a_round(tasks.a_project(tmp_path_factory.mktemp("trained")))


def test_the_beginning_is_measured_first_and_then_the_search_goes_on(trained: tuple[Task, Trained]) -> None:
    task, made = trained
    found = sealed.rows(task.root, tasks.STUDY, "choose")
    assert [each.run_id for each in made.made] == [row.run.run_id for row in found]
    assert (made.runs, len(made.made), made.stopped) == (4, 4, "")
    assert found[0].params == {"x": -1.5}
    assert (made.baseline, made.made[0].is_baseline) == (found[0].run.run_id, True)
    values = {each.run_id: each.value for each in made.made}
    assert values[made.best] == min(value for value in values.values() if value is not None)
    assert made.gain == (values[made.baseline] or 0) - (values[made.best] or 0)


def test_what_a_round_tells_is_believed_with_the_seals_and_without(trained: tuple[Task, Trained]) -> None:
    task, _ = trained
    assert list(training.problems(FIRST, task.out, task)) == []
    assert list(training.problems(FIRST, task.out, None)) == []


def forged(made: Trained, at: int, **more: object) -> Trained:
    rows = list(made.made)
    rows[at] = msgspec.structs.replace(rows[at], **more)
    return msgspec.structs.replace(made, made=tuple(rows))


FORGERIES: dict[str, tuple[Callable[[Trained], Trained], str]] = {
    "a better value": (lambda made: forged(made, 1, value=0.1), "is not as it was sealed"),
    "another seal": (lambda made: forged(made, 1, seal="0" * 64), "is not as it was sealed"),
    "a run that took longer": (lambda made: forged(made, 1, wall_s=9.0), "is not as it was sealed"),
    "a run that nobody made": (lambda made: forged(made, 1, run_id="RUN-20260101-000000-000000-scout"), "not sealed"),
    "a failure left out": (lambda made: msgspec.structs.replace(made, made=(made.made[0], *made.made[2:])), "left out"),
    "a gain of its own": (lambda made: msgspec.structs.replace(made, gain=99.0), "gain 99.0 is not that of"),
    "another best": (lambda made: msgspec.structs.replace(made, best=made.made[1].run_id, gain=None), "by the seals"),
    "another round": (lambda made: msgspec.structs.replace(made, round=2), "is of round 2"),
    "another study": (lambda made: msgspec.structs.replace(made, experiment=tasks.PROJECT), "the study is proj-bowl"),
    "the tier that is reported": (lambda made: msgspec.structs.replace(made, tier="report"), "another tier"),
}


@pytest.mark.parametrize("what", FORGERIES)
def test_a_table_that_somebody_made_up_is_found_out(trained: tuple[Task, Trained], what: str) -> None:
    task, made = trained
    forge, said = FORGERIES[what]
    with put_in_place(task.out, FILE, page(forge(made))):
        assert said in " | ".join(training.problems(FIRST, task.out, task))


def test_after_a_kill_only_what_is_missing_is_made(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    running = tasks.begun(root, FIRST)
    task = tasks.a_task(root, running, "training", interrupted=lambda: "SIGINT" if len(runs(root)) >= 2 else "")
    with pytest.raises(Interrupted):
        Runs().work(task)
    assert task.out.read(FILE) is None
    tasks.killed(root, running)
    before = [run.run_id for run in runs(root) if run.outcome != CANCELLED]
    assert len(before) == 2
    _, made = a_round(root)
    assert made.runs == 4
    assert [each.run_id for each in made.made if each.outcome != CANCELLED][:2] == before
    assert sum(run.outcome != CANCELLED for run in runs(root)) == 4


def test_what_a_killed_attempt_held_out_of_sight_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_FIRST_NAMESPACE", 0)  # as in a container, which cannot see who lives beside it
    root = tasks.a_project(tmp_path)
    running = tasks.begun(root, FIRST)
    task = tasks.a_task(root, running, "training")
    unseen = msgspec.structs.replace(me(), pid_namespace=1)  # as its processes are in a namespace of their own
    assert attempts.take_up(task, tasks.STUDY, 0) == 0
    begun = parse(Begun, task.out.read(BEGUN) or b"", BEGUN)
    task.out.write(BEGUN, page(msgspec.structs.replace(begun, owner=unseen)))
    in_flight = cycle.begin(root, tasks.STUDY, owner=msgspec.structs.replace(unseen, name="other"), params={"x": 0.0})
    assert leases.survey(root, tasks.STUDY).held
    tasks.killed(root, running)
    _, made = a_round(root, for_s=20.0)
    assert made.runs == 4
    assert in_flight.manifest.run_id not in {each.run_id for each in made.made}


def test_another_round_of_the_same_idea_adds_to_the_same_study(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    running = tasks.begun(root, FIRST)
    Runs().work(tasks.a_task(root, running, "training", project=tasks.a_plan(runs=2)))
    tasks.ended(root, running)
    second = msgspec.structs.replace(FIRST, round=2)
    _, made = a_round(root, second, project=tasks.a_plan(runs=2))
    assert (made.runs, len(made.made), made.round) == (2, 4, 2)
    assert made.baseline == made.made[0].run_id


def test_a_round_in_which_no_run_took_any_time_has_failed_and_says_so(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    task = tasks.a_task(root, tasks.begun(root, FIRST), "training", project=tasks.a_plan(runs=2, min_run_s=60.0))
    with pytest.raises(LabError, match=r"of 2 runs none may be believed: .* it says success after .* less than 60 s"):
        Runs().work(task)
    assert task.out.read(FILE) is None


@pytest.mark.parametrize(
    ("wall_s", "baseline_s", "min_run_s", "believed"),
    [(3.46, 600.0, 0.01, False), (7.0, 600.0, 0.01, True), (0.05, 8.0, 0.01, False), (0.017, 3.02, 0.001, False),
     (0.05, 1.9, 0.01, True), (0.005, 0.02, 0.01, False),
     (3.46, 600.0, 0.0, True)],
)  # fmt: skip
def test_a_run_is_believed_by_its_time_and_by_that_of_the_beginning(
    wall_s: float, baseline_s: float, min_run_s: float, believed: bool
) -> None:
    run = Run(run_id="RUN-1", experiment="e", outcome=SUCCESS, value=1.0, wall_s=wall_s)
    assert (not sealed.doubt(run, sealed.least_s(min_run_s, baseline_s))) == believed


def test_a_run_that_took_a_twentieth_of_the_time_is_believed_and_told() -> None:
    assert sealed.quick("RUN-2", 0.1, 3.0) == (
        "RUN-2 took 0.1 s, where the baseline took 3 s: look whether it did the same work"
    )
    assert (sealed.quick("RUN-2", 0.2, 3.0), sealed.quick("RUN-2", 0.01, 0.4)) == ("", "")


def test_a_value_that_has_no_square_is_nobodys_best() -> None:
    run = Run(run_id="RUN-1", experiment="e", outcome=SUCCESS, value=-1e308, wall_s=9.0)
    assert sealed.doubt(run, 0.0) == "its value -1e+308 is too large to be compared"


def test_a_success_without_a_number_is_nobodys_best() -> None:
    run = Run(run_id="RUN-1", experiment="e", outcome=SUCCESS, value=None, wall_s=9.0)
    assert "no number" in sealed.doubt(run, 0.0)
    void = Made(run_id="a", outcome=SUCCESS, tier="t", seal="", value=0.1, void="no time")
    other = Made(run_id="b", outcome=SUCCESS, tier="t", seal="", value=0.5)
    assert sealed.best(study.SEARCH, "minimize", (void, other)) == other
    assert "the baseline alone" in sealed.failing((msgspec.structs.replace(other, is_baseline=True), void))
    assert "none measured the beginning" in sealed.failing((other, other))


def test_what_the_policy_of_the_study_decides_is_heeded_and_told(tmp_path: Path) -> None:
    stop = "stop_conditions: {plateau_after_consecutive_low_signal_runs: 1}\n"
    _, made = a_round(tasks.a_project(tmp_path, more=stop))
    assert (made.runs, made.wanted) == (2, 4)
    assert made.stopped == "it is completed (plateau)"


def test_a_round_whose_time_is_up_tells_of_what_it_has(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path, more="max_parallel: 2\n")
    _, made = a_round(root, project=tasks.a_plan(runs=5000), for_s=2.5)
    assert 2 <= made.runs < 5000
    assert made.stopped == "the budget of the phase is used up"
    assert made.baseline


def test_a_study_that_others_searched_before_is_measured_at_its_beginning(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    early = cycle.begin(root, tasks.STUDY, owner=me(), params={"x": 1.0})
    cycle.finish(root, early, tasks.an_end(1.25))
    _, made = a_round(root, project=tasks.a_plan(runs=2))
    assert made.baseline == made.made[1].run_id
    assert (made.runs, len(made.made)) == (2, 3)
    row = sealed.row(root, tasks.STUDY, made.baseline)
    assert row is not None
    assert row.params == {"x": -1.5}


def test_an_evaluator_that_was_changed_meanwhile_makes_the_round_void(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path)
    script = tmp_path / "study" / "bowl.py"
    built = tasks.a_built(
        folder=str(tmp_path / "study"),
        frozen={"bowl.py": canonical.digest(script.read_bytes())},
        mutable=("SPEC.yaml",),
    )

    def edit() -> str:
        if len(runs(root)) == 1:
            script.write_text("print(0.0)\n")
        return ""

    task = tasks.a_task(
        root, tasks.begun(root, FIRST), "training", files=tasks.given(built=built), interrupted=edit,
        project=tasks.a_plan(runs=2),
    )  # fmt: skip
    with pytest.raises(LabError, match=r"what measures was changed while it was measured.*bowl\.py was changed"):
        Runs().work(task)
    assert task.out.read(FILE) is None


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[choose, report]", "[choose]", "it has one tier"),
        ("[choose, report]", "[choose, report]\ninitial_fidelity_tier: report", "which is the one that is reported"),
        ("[choose, report]", "[choose, report]\nfidelity_promotion_rule: asha", "moves it to other tiers by itself"),
        ("[choose, report]", "[choose, report]\nreport_metric: other", "measure different metrics"),
        ("{tier}", "choose", "so on the same data"),
        ("{tier} {seed}\n", "x {seed}\nreport_time_budget: 1h\n", "so on the same data"),
        (", default: -1.5", "", "no parameters with defaults"),
    ],
)
def test_a_study_that_cannot_be_reported_of_is_refused_before_anything_runs(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    root = tasks.a_project(tmp_path, edit=(old, new))
    with pytest.raises(BadInput) as refused:
        Runs().work(tasks.a_task(root, tasks.begun(root, FIRST), "training"))
    assert said in refused.value.what
    assert refused.value.fix
    assert runs(root) == []


def test_what_a_study_lacks_is_told_beforehand(tmp_path: Path) -> None:
    root = tasks.a_project(tmp_path, edit=("[choose, report]", "[choose]"))
    project = Project(mode="E", proceed_from=tasks.STUDY)
    place = tasks.a_place(root, "training", project)
    assert ["one tier" in each.what for each in Runs().lacks(place)] == [True]
    own = tasks.a_place(root, "training", Project(mode="B", study="study"), folder=str(tmp_path))
    (tmp_path / "study" / "SPEC.yaml").write_text(
        "id: s\nexecutor: training\nfidelity_tiers: [a, b]\nsearch_space: {x: {low: 0, high: 1}}\n"
    )
    lacks = list(Runs().lacks(own))
    assert any("no defaults" in each.what for each in lacks)
    assert any("so on the same data" in each.what and each.is_fatal for each in lacks)
    assert experiments.load(root, tasks.STUDY).spec is not None
