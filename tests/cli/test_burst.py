"""burst, swarm and board, as people and cron type them: real processes, real programs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM, TRACE, process, runs_of
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root
    from tests.cli.labs import Labctl

pytestmark = pytest.mark.timeout(60)
SPACE = "search_space: {x: {low: -2.0, high: 2.0}, n: {low: 1, high: 9, type: int}}\n"
PROGRAM = """executor_command: >-
  awk 'BEGIN {print "METRIC loss=" ({params.x} - 0.3)^2 + ({params.n} - 4)^2}'
"""


def a_sweep(place: Path, more: str = "", *, space: str = SPACE, program: str = PROGRAM) -> Root:
    return a_lab(place, "sweep", more=f"{space}{program}{more}seed: 5\n")


def lines(root: Root) -> list[dict[str, object]]:
    with open(root.layout.page("sweep", "metrics.jsonl"), encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def place_of(line: dict[str, object]) -> int:
    """The trial's number; 0 is not written out."""
    origin = line["origin"]
    assert isinstance(origin, dict)
    return int(origin.get("number", 0))


def held(root: Root) -> list[str]:
    return [name for name in os.listdir(root.layout.claims("sweep")) if name.endswith(".claim")]


def test_a_burst_runs_its_own_experiment_and_tells_each_run(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "aaa", "sweep", more=f"{SPACE}{PROGRAM}")
    said = process("burst", "sweep", "--strategy", "random", "-n", "4", root=root.layout.root)
    assert said.code == 0, said
    told = said.out.splitlines()
    assert [line.partition("]")[0] for line in told[:4]] == ["[1/4", "[2/4", "[3/4", "[4/4"]
    assert "4 ok, 0 failed" in told[4]
    assert len(runs_of(root, "sweep")) == 4
    assert runs_of(root, "aaa") == []


def test_the_summary_for_programs_says_the_same(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    data = process("burst", "sweep", "-n", "3", "--json", root=root.layout.root).data
    assert (data["asked"], data["ran"], data["succeeded"], data["failed"]) == (3, 3, 3, 0)
    best = data["best"]
    assert isinstance(best, dict)
    values = [float(str(line["value"])) for line in lines(root)]
    assert best["value"] == min(values)
    assert best["params"] in [line["params"] for line in lines(root)]


def test_the_line_that_completed_a_search_may_be_typed_again(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    _edit(root, "max_iterations_total: 1000", "max_iterations_total: 3")
    assert process("burst", "sweep", "-n", "3", "--resume", root=root.layout.root).code == 0
    again = process("burst", "sweep", "-n", "3", "--resume", root=root.layout.root)
    assert again.code == 0, again
    assert again.out.startswith("0 runs in ")
    assert len(lines(root)) == 3
    more = process("burst", "sweep", "-n", "4", "--resume", root=root.layout.root)
    assert (more.code, "completed" in more.err) == (2, True)


def test_a_burst_goes_on_from_what_was_run_before(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    process("burst", "sweep", "-n", "3", root=root.layout.root)
    process("burst", "sweep", "-n", "2", root=root.layout.root)
    numbers = [place_of(line) for line in lines(root)]
    assert numbers == [0, 1, 2, 3, 4]
    said = process("burst", "sweep", "-n", "7", "--resume", root=root.layout.root)
    assert "2 runs" in said.out
    assert len(lines(root)) == 7
    said = process("burst", "sweep", "-n", "7", "--resume", root=root.layout.root)
    assert (said.code, len(lines(root))) == (0, 7)


def test_several_at_a_time_never_try_the_same(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    data = process("burst", "sweep", "-n", "12", "--jobs", "3", "--json", root=root.layout.root).data
    assert data["ran"] == 12
    numbers = sorted(place_of(line) for line in lines(root))
    assert numbers == list(range(12))
    assert len({json.dumps(line["params"]) for line in lines(root)}) == 12
    assert held(root) == []


def test_when_every_run_fails_the_exit_code_says_so_and_it_ends(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", program="executor_command: sh -c 'exit 3'\n")
    said = process("burst", "sweep", "-n", "30", root=root.layout.root)
    assert said.code == 1
    assert "exit code 3" in said.out
    assert "awaiting-human" in said.out
    assert len(lines(root)) == 10  # a search may fail more often in a row than another experiment


def test_when_some_runs_fail_the_search_goes_on(tmp_path: Path) -> None:
    program = """shell: true
executor_command: test {params.n} -lt 7 || exit 1; echo METRIC loss={params.x}
"""
    root = a_sweep(tmp_path / "lab", program=program)
    said = process("burst", "sweep", "--strategy", "random", "-n", "16", root=root.layout.root)
    assert said.code == 0, said
    failed = [line for line in lines(root) if line["outcome"] == "failed"]
    assert 0 < len(failed) < 16
    assert all(line["value"] is None for line in failed)


def test_ctrl_c_ends_the_run_under_way_and_leaves_nothing_held(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", program="executor_command: sleep 30\n")
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "4", "-j", "2"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as burst:
        _await(lambda: len(held(root)) == 2)
        burst.send_signal(signal.SIGINT)
        out, err = burst.communicate(timeout=20)
    assert burst.returncode == 130
    assert TRACE not in out + err
    assert "stopped by SIGINT with 0 behind it; 2 runs were under way and sealed as cancelled" in err
    assert held(root) == []
    assert [line["outcome"] for line in lines(root)] == ["cancelled", "cancelled"]
    assert all(line["cut_off"] for line in lines(root))


def test_max_iterations_total_holds_and_is_told_before(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    _edit(root, "max_iterations_total: 1000", "max_iterations_total: 3")
    said = process("burst", "sweep", "-n", "9", root=root.layout.root)
    assert "3 of 9 will run" in said.err
    assert "completed" in said.out
    assert (said.code, len(lines(root))) == (0, 3)
    said = process("burst", "sweep", "-n", "9", root=root.layout.root)
    assert said.code == 2
    assert "labctl resume sweep" in said.err


def test_a_pause_from_another_terminal_ends_it(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", program="executor_command: sh -c 'sleep 0.2; echo METRIC loss=1'\n")
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "500"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as burst:
        _await(lambda: len(runs_of(root, "sweep")) > 1)
        assert process("pause", "sweep", root=root.layout.root).code == 0
        out, _ = burst.communicate(timeout=30)
    assert burst.returncode == 0
    assert "stopped: it is paused" in out


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--strategy", "bayesan"), "did you mean bayesian?"),
        (("-n", "0"), "1 or more"),
        (("-n", "70000"), "60,000"),
        (("--search-space", "nowhere.json"), "no such search-space file"),
        (("--direction", "maximize"), "to minimize its metric"),
        (("--seed", "-1"), "from 0"),
        (("--pause", "-1"), "0 or more"),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused_before_anything_runs(
    tmp_path: Path, words: tuple[str, ...], text: str
) -> None:
    root = a_sweep(tmp_path / "lab")
    said = process("burst", "sweep", *words, root=root.layout.root)
    assert said.code == 2, said
    assert text in said.err
    assert runs_of(root, "sweep") == []


@pytest.mark.parametrize("verb", ["burst", "run-once"])
@pytest.mark.parametrize(
    ("space", "command", "text"),
    [
        (SPACE, "prog {params.x} {params.m}", "there is no parameter 'm' for {params.m}"),
        (SPACE, "prog {params.x} {run_idd}", "there is no placeholder {run_idd}"),
        (SPACE, "prog {params.x} > out.txt", "executor_command uses >, but no shell reads it"),
        ("", "prog {params.x}", "{params.x} has no value: the run was given no params"),
        (SPACE, "shell: true\nexecutor_command: prog {params.m}", "there is no parameter 'm' for {params.m}"),
    ],
    ids=["unknown", "near", "operator", "no-space", "shell"],
)
def test_a_command_that_no_run_could_be_started_with_is_refused_before_one(
    place: Path, labctl: Labctl, verb: str, space: str, command: str, text: str
) -> None:
    """It made a failed run for each try, which counted, though `validate` had said that none could be made."""
    program = command if command.startswith("shell") else f"executor_command: {command}"
    root = a_sweep(place, space=space, program=f"{program}\n")
    assert labctl.done("validate", "sweep", "--json").data["can_run"] is False
    said = labctl(*(("burst", "sweep", "-n", "3") if verb == "burst" else ("run-once", "--experiment", "sweep")))
    assert said.code == (2 if verb == "burst" else 1), said  # a turn tells of one experiment's problem, and goes on
    assert text in said.out + said.err
    assert "experiments/sweep/SPEC.yaml" in said.out + said.err
    assert (runs_of(root, "sweep"), held(root)) == ([], [])


@pytest.mark.parametrize("verb", ["burst", "swarm"])
def test_a_program_that_lies_nowhere_is_refused_before_a_run(place: Path, labctl: Labctl, verb: str) -> None:
    """`validate` knew of it, and the burst made failed runs until it gave up."""
    root = a_sweep(place, program="executor_command: python3 nowhere.py {params.x}\n")
    said = labctl(verb, "sweep", "-n", "3")
    assert (said.code, "there is no script nowhere.py" in said.err) == (2, True), said
    assert (runs_of(root, "sweep"), held(root)) == ([], [])


def test_a_run_that_looks_for_a_file_of_the_workspace_in_its_own_folder_is_told_where_it_lies(
    place: Path, labctl: Labctl
) -> None:
    work = place.parent / "work"
    work.mkdir()
    (work / "data.csv").write_text("1\n")
    (work / "fit.py").write_text("open('data.csv')\n")
    root = a_sweep(place, program=f"workspace_root: {work}\nexecutor_command: python3 fit.py\n")
    said = labctl("burst", "sweep", "-n", "1")
    assert "data.csv lies in its workspace, which is $LAB_WORKSPACE_ROOT" in said.out + said.err
    (work / "data.csv").unlink()
    said = labctl("burst", "sweep", "-n", "1")
    assert len(runs_of(root, "sweep")) == 2
    assert "No such file or directory" in said.out + said.err
    assert "LAB_WORKSPACE_ROOT" not in said.out + said.err


def test_who_changed_the_program_is_told_that_the_values_so_far_are_of_other_code(place: Path, labctl: Labctl) -> None:
    work = place.parent / "work"
    work.mkdir()
    (work / "fit.py").write_text("print('METRIC loss=1')\n")
    a_sweep(place, program=f"workspace_root: {work}\nexecutor_command: python3 fit.py {{params.x}}\n")
    assert "other code" not in labctl.done("burst", "sweep", "-n", "1").all
    assert "other code" not in labctl.done("burst", "sweep", "-n", "1").all
    (work / "fit.py").write_text("print('METRIC loss=101')\n")
    assert "warning: fit.py was changed since RUN-" in labctl.done("burst", "sweep", "-n", "1").err
    (work / "fit.py").write_text("print('METRIC loss=102')\n")
    said = labctl.done("burst", "sweep", "-n", "1", "--json")
    assert any("the values so far are of other code" in each for each in said.envelope["warnings"])
    assert "other code" not in labctl.done("burst", "sweep", "-n", "1").all


def test_cron_passes_such_a_command_over_and_runs_the_others(place: Path, labctl: Labctl) -> None:
    root = a_sweep(place, program="executor_command: prog {params.m}\n")
    a_lab(place, "other", more="executor_command: echo METRIC loss=1\n")
    said = labctl("run-once")
    assert "there is no parameter 'm'" in said.out + said.err
    assert (runs_of(root, "sweep"), len(runs_of(root, "other"))) == ([], 1)


def test_a_parameter_that_does_not_count_in_a_run_fails_that_run_alone(place: Path, labctl: Labctl) -> None:
    space = "search_space: {k: {choices: [a, b]}, m: {low: 0.0, high: 1.0, when: {k: [b]}}}\n"
    root = a_sweep(place, space=space, program="executor_command: echo METRIC loss={params.m}\n")
    assert labctl("burst", "sweep", "-n", "8", "--strategy", "random").code == 0
    assert {line["outcome"] for line in lines(root)} == {"success", "failed"}
    assert labctl("run-once", "--experiment", "sweep", "--now").code in (0, 1)
    assert len(lines(root)) == 9


def test_constraints_that_no_point_meets_are_found_out_and_not_looped_on(tmp_path: Path) -> None:
    space = "search_space: {parameters: {x: {low: 0.0, high: 1.0}, n: {low: 1, high: 9}}, constraints: [x > n]}\n"
    root = a_sweep(tmp_path / "lab", space=space)
    said = process("burst", "sweep", root=root.layout.root)
    assert said.code == 2
    assert "x > n" in said.err


def test_the_documented_words_of_hermes_lab_work(tmp_path: Path) -> None:
    """Its README: burst ID --strategy random -n 20, with evaluate.py and a search_space.json in the workspace."""
    place = tmp_path / "work"
    place.mkdir()
    space = {"x": {"low": -5.0, "high": 5.0, "type": "float"}, "y": {"low": -5.0, "high": 5.0, "type": "float"}}
    (place / "search_space.json").write_text(json.dumps(space))
    (place / "config.json").write_text('{"x": 0.0, "y": 0.0}\n')
    (place / "evaluate.py").write_text(
        "import json\np = json.load(open('config.json'))\nprint((1 - p['x'])**2 + 100 * (p['y'] - p['x']**2)**2)\n"
    )
    program = f"workspace_root: {place}\nmutable_paths: [config.json]\nvalidation_command: python3 evaluate.py\n"
    root = a_lab(tmp_path / "lab", "sweep", more=program)
    words = ("burst", "sweep", "--strategy", "random", "-n", "6", "--direction", "minimize")
    said = process(*words, root=root.layout.root)
    assert said.code == 0, said
    for line in lines(root):
        params = line["params"]
        assert isinstance(params, dict)
        x, y = params["x"], params["y"]
        assert line["value"] == pytest.approx((1 - x) ** 2 + 100 * (y - x**2) ** 2)
    assert (place / "config.json").read_text() == '{"x": 0.0, "y": 0.0}\n'


def test_a_swarm_lets_its_arms_share_one_history_and_its_board_tells_of_them(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab")
    words = ("swarm", "sweep", "--strategies", "random", "perturb", "--rotate", "-n", "16", "--json")
    data = process(*words, root=root.layout.root).data
    arms = data["arms"]
    assert isinstance(arms, list)
    assert sum(arm["trials"] for arm in arms) == 16
    assert {arm["arm"] for arm in arms} == {"random", "perturb"}
    board = process("board", "sweep", "--feed", "3", "--json", root=root.layout.root).data
    feed = board["feed"]
    assert isinstance(feed, list)
    assert [post["run_id"] for post in feed] == [line["run_id"] for line in reversed(lines(root)[-3:])]
    assert board["claims"] == []
    assert process("board", "swep", root=root.layout.root).code == 2


def test_a_board_shows_what_is_under_way(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", program="executor_command: sleep 30\n")
    environ = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "1"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as burst:
        _await(lambda: len(runs_of(root, "sweep")) == 1)
        claims = process("board", "sweep", "--json", root=root.layout.root).data["claims"]
        burst.send_signal(signal.SIGINT)
        burst.communicate(timeout=20)
    assert isinstance(claims, list)
    assert [sorted(claim["params"]) for claim in claims] == [["n", "x"]]


def test_cron_goes_on_with_a_search_one_run_at_a_time(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", "strategy: random\n")
    _edit(root, "cadence: 30m", "cadence: 0")
    for _ in range(3):
        assert process("run-once", root=root.layout.root).code == 0
    assert process("burst", "sweep", "-n", "1", root=root.layout.root).code == 0
    told = [(str(line["origin"]["strategy"]), place_of(line)) for line in lines(root)]  # type: ignore[index]
    assert told == [("random", 0), ("random", 1), ("random", 2), ("random", 3)]


def test_what_was_replayed_is_no_trial_that_resume_counts(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", "strategy: random\n")
    assert process("burst", "sweep", "-n", "2", root=root.layout.root).code == 0
    assert process("replay", runs_of(root, "sweep")[0], root=root.layout.root).code == 0
    said = process("burst", "sweep", "-n", "4", "--resume", root=root.layout.root)
    assert "2 runs" in said.out
    assert len(lines(root)) == 5


def test_an_experiment_without_a_space_is_simply_run_as_often_as_asked(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", space="", program="executor_command: echo METRIC loss=1\n")
    assert process("burst", "sweep", "-n", "2", root=root.layout.root).code == 0
    said = process("burst", "sweep", "-n", "3", "--resume", root=root.layout.root)
    assert "1 run in" in said.out
    assert ["params" in line for line in lines(root)] == [False] * 3


def test_a_fault_in_the_middle_of_a_burst_is_no_success(tmp_path: Path) -> None:
    space = tmp_path / "space.json"
    space.write_text('{"x": {"low": -2.0, "high": 2.0}, "n": {"low": 1, "high": 9, "type": "int"}}')
    program = f"""shell: true
executor_command: test {{params.n}} = 0 || rm -f {space}; echo METRIC loss={{params.x}}
"""
    root = a_sweep(tmp_path / "lab", space="", program=program)
    said = process("burst", "sweep", "-n", "4", "--search-space", str(space), root=root.layout.root)
    assert said.code == 1
    assert "problem" in said.out
    assert len(lines(root)) == 1


def test_bests_of_two_tiers_are_told_apart(tmp_path: Path) -> None:
    more = "fidelity_promotion_rule: asha\nreduction_factor: 2\nunstopped_share: 0\nstrategy: random\n"
    program = """shell: true
executor_command: test $LAB_FIDELITY_TIER = proxy && echo METRIC loss={params.n} || echo METRIC loss=10{params.n}
"""
    root = a_sweep(tmp_path / "lab", more, program=program)
    data = process("burst", "sweep", "-n", "8", "--json", root=root.layout.root).data
    best = data["best"]
    assert isinstance(best, dict)
    assert best["tier"] == "final"
    board = process("board", "sweep", "--json", root=root.layout.root).data["arms"]
    assert isinstance(board, list)
    for tier in ("proxy", "final"):
        values = [line["value"] for line in lines(root) if line["tier"] == tier]
        assert board[0]["bests"][tier] == min(float(str(value)) for value in values)


def test_a_space_that_is_used_up_completes_the_experiment(tmp_path: Path) -> None:
    root = a_sweep(tmp_path / "lab", space="search_space: {x: {choices: [0, 1]}, n: {choices: [3, 4]}}\n")
    said = process("burst", "sweep", "-n", "9", root=root.layout.root)
    assert "awaiting-human (every point of the search space was tried in the tier proxy)" in said.out
    assert process("set-fidelity", "sweep", "final", root=root.layout.root).code == 0
    assert process("resume", "sweep", root=root.layout.root).code == 0
    said = process("burst", "sweep", "-n", "9", root=root.layout.root)
    assert said.code == 0, said
    assert len(lines(root)) == 8
    assert "every point of the search space was tried" in said.out
    assert process("show", "sweep", "--json", root=root.layout.root).data["phase"] == "completed"


def _edit(root: Root, old: str, new: str) -> None:
    path = root.layout.spec("sweep")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    assert old in text
    with open(path, "w", encoding="utf-8") as file:
        file.write(text.replace(old, new))


def _await(holds: object, for_s: float = 20.0) -> None:
    until_s = time.monotonic() + for_s
    assert callable(holds)
    while not holds():
        assert time.monotonic() < until_s, "it never came"
        time.sleep(0.01)


PRICED = """shell: true
executor_command: >-
  sleep 0.2; echo '{"value": 1.0, "cost": 1.0}' > metrics.json
stop_conditions: {budget_cost: 3.5}
"""


@pytest.mark.parametrize("jobs", ["1", "4"])
def test_a_burst_spends_no_more_than_its_budget_however_many_runs_are_at_work(tmp_path: Path, jobs: str) -> None:
    root = a_sweep(tmp_path / "lab", "strategy: random\n", program=PRICED)
    said = process("burst", "sweep", "-n", "9", "--jobs", jobs, "--json", root=root.layout.root)
    assert (said.code, said.data["ran"]) == (0, 3), said
    shown = process("show", "sweep", root=root.layout.root).out
    assert "completed" in shown
    assert "cost budget used: 0.5 is left, and a run may cost 1" in shown
