"""`labctl space`: what a space is, whether it can be searched, and points of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.core import assignment
from lab.core.space import parse
from tests.cli.searches import a_run
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

WRITTEN: dict[str, object] = {
    "parameters": {
        "lr": {"low": 0.0001, "high": 0.1, "log": True, "default": 0.01},
        "layers": {"low": 1, "high": 9, "step": 4, "type": "int"},
        "optimizer": {"choices": ["adam", "sgd", None]},
        "momentum": {"low": 0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
        "nesterov": {"type": "bool"},
        "seed": {"value": 7},
    },
    "constraints": ["lr * layers <= 0.5"],
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "space.json"
    path.write_text(json.dumps(WRITTEN))
    return path


def test_show_lists_the_parameters_the_constraints_and_the_baseline(labctl: Labctl, file: Path) -> None:
    said = labctl.done("space", "show", str(file))
    assert said.out.splitlines() == [
        str(file),
        "name       kind    values             scale   step  default  when",
        "lr         float   0.0001 to 0.1      log     -     0.01     -",
        "layers     int     1 to 9             linear  4     -        -",
        'optimizer  choice  "adam" "sgd" null  -       -     -        -',
        'momentum   float   0.0 to 0.9         linear  -     -        optimizer is "sgd"',
        "nesterov   bool    false true         -       -     -        -",
        "seed       fixed   7                  -       -     -        -",
        "constraint: lr * layers <= 0.5",
        "points: too many to count",
        'baseline: {"lr": 0.01, "layers": 5, "optimizer": "adam", "nesterov": true, "seed": 7}',
    ]


def test_show_counts_the_points_where_they_can_be_counted(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("n: {low: 1, high: 3, type: int}\nflag: {type: bool}\n")
    said = labctl.done("space", "show", str(tmp_path / "s.yaml"))
    assert "points: 6\nbaseline: none\n" in said.out
    (tmp_path / "s.yaml").write_text("n: {low: 1, high: 3, type: int, when: {flag: true}}\nflag: {type: bool}\n")
    assert "points: at most 8\n" in labctl.done("space", "show", str(tmp_path / "s.yaml")).out


def test_a_baseline_that_breaks_a_constraint_is_told(labctl: Labctl, tmp_path: Path) -> None:
    written = {"parameters": {"x": {"low": 0, "high": 1, "default": 0.9}}, "constraints": ["x < 0.5"]}
    (tmp_path / "s.json").write_text(json.dumps(written))
    for action in ("show", "check"):
        said = labctl.done("space", action, str(tmp_path / "s.json"))
        assert "warning: the defaults of x break a constraint, so there is no baseline" in said.err


def test_check_tells_which_share_of_the_points_meets_the_constraints(labctl: Labctl, tmp_path: Path) -> None:
    two = {"x": {"low": 0, "high": 1}, "y": {"low": 0, "high": 1}}
    (tmp_path / "s.json").write_text(json.dumps({"parameters": two, "constraints": ["x + y <= 1"]}))
    said = labctl.done("space", "check", str(tmp_path / "s.json"), "--json")
    assert 0.45 < float(str(said.data["share_met"])) < 0.55


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ({"x": {"low": 1, "high": 0}}, "x: low 1.0 is above high 0.0"),
        ({"x": {"low": 0, "high": 1, "log": True}}, "x.log: a logarithmic scale needs low above 0"),
        ({"x": {"low": 0, "high": 1, "type": "flaot"}}, "'flaot' is no type of parameter; did you mean float?"),
        ({"x": {"choices": []}}, "x.choices: must be a list of one value or more"),
        ({"x": {"low": 0, "high": 1, "step": 2}}, "x.step: 2.0 is larger than the range"),
        ({"x": {"value": 1, "when": {"y": [1]}}}, "x.when.y: is no parameter"),
        ({"parameters": {"x": {"low": 0, "high": 1}}, "constraints": ["x > 2"]}, "none of 20,000 points"),
        ({"parameters": {"x": {"low": 0, "high": 1}}, "constraints": ["z > 2"]}, "names 'z', which is no parameter"),
    ],
)
def test_check_refuses_each_bad_space_by_name(
    labctl: Labctl, tmp_path: Path, written: dict[str, object], words: str
) -> None:
    (tmp_path / "s.json").write_text(json.dumps(written))
    said = labctl("space", "check", str(tmp_path / "s.json"))
    assert said.code == 2
    assert words in said.err


def test_check_tells_which_runs_lie_outside_the_space_as_it_is_now(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "sweep", more="search_space: {x: {low: 0, high: 1}, y: {low: 0, high: 1, default: 0.5}}\n")
    inside = [a_run(root, {"x": 0.25}, 1.0, name="sweep"), a_run(root, {"x": 0.5, "gone": 1}, 2.0, name="sweep")]
    outside = a_run(root, {"x": 7.0, "y": 0.5}, 3.0, name="sweep").run.run_id
    said = labctl.done("space", "check", "sweep")
    assert "history: 2 of 3 runs are points of this space\n" in said.out
    assert f"  {outside}: x must be between 0.0 and 1.0, not 7.0\n" in said.out
    assert "warning: 1 of 3 runs lie outside the space as it is now" in said.err
    data = labctl.done("space", "check", "sweep", "--json").data
    assert (data["runs"], list(data["outside"])) == (3, [outside])
    assert len(inside) == 2


def test_check_tells_of_placeholders_that_a_run_could_not_fill(labctl: Labctl, place: Path) -> None:
    more = (
        "search_space: {opt: {choices: [a, b]}, beta: {low: 0, high: 1, when: {opt: a}}}\n"
        "executor_command: train --opt {params.opt} --beta {params.beta} --x {params.optt} {{params.zz}}\n"
    )
    a_lab(place, "sweep", more=more)
    said = labctl.done("space", "check", "sweep")
    assert "warning: {params.beta} has no value in runs where beta does not count" in said.err
    assert "warning: {params.optt} is no parameter; did you mean opt?" in said.err
    assert "zz" not in said.err


def test_sample_prints_points_that_can_be_handed_to_a_run(labctl: Labctl, file: Path) -> None:
    said = labctl.done("space", "sample", str(file), "-n", "20", "--seed", "3")
    points = [json.loads(line) for line in said.out.splitlines()]
    space = parse(WRITTEN)
    assert len(points) == 20
    assert all(assignment.problems(space, point) == () for point in points)
    assert labctl.done("space", "sample", str(file), "-n", "20", "--seed", "3").out == said.out
    assert labctl.done("space", "sample", str(file), "-n", "20", "--seed", "4").out != said.out
    assert labctl.done("space", "sample", str(file), "-n", "20", "--seed", "3", "--json").data["points"] == points


def test_an_experiment_a_spec_and_another_file_are_targets_too(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "search_space.json").write_text('{"x": {"low": -5, "high": 5, "type": "float"}}')
    (code / "SPEC.yaml").write_text("id: sweep\nworkspace_root: .\nexecutor_command: 'true'\n")
    # Before there is a lab: the SPEC and its workspace are enough.
    assert "x     float" in labctl.done("space", "show", str(code / "SPEC.yaml")).out
    labctl.done("init")
    labctl.done("create", str(code / "SPEC.yaml"))
    assert str(code / "search_space.json") in labctl.done("space", "show", "sweep").out
    other = tmp_path / "other.json"
    other.write_text('{"other": {"low": 0, "high": 1}}')
    assert "other  float" in labctl.done("space", "show", "sweep", "--search-space", str(other)).out


def test_what_has_no_space_is_told_what_to_do(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place, "bare")
    said = labctl("space", "show", "bare", "--json")
    assert (said.code, said.error["message"]) == (2, "bare has no search space")
    said = labctl("space", "show", "nothing", "--json")
    assert (said.code, said.error["message"]) == (2, "there is neither an experiment nor a file nothing")
    said = labctl("space", "sample", "bare", "-n", "0")
    assert said.code == 2


def test_looking_writes_nothing_into_a_folder_that_is_no_lab(labctl: Labctl, place: Path, file: Path) -> None:
    labctl.done("space", "check", str(file))
    assert not place.exists()
