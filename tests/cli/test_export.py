"""`labctl export`: the runs of an experiment as other programs read them."""

from __future__ import annotations

import csv
import io
import json
import os
import socket
import stat
import subprocess
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from lab.core.origin import Origin
from lab.scheduler import create, refresh
from tests.cli.labs import SHIM, process
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from optuna import Study

    from tests.cli.labs import Labctl

WITH_OPTUNA = pytest.mark.skipif(find_spec("optuna") is None, reason="optuna is not installed")
WITH_PYARROW = pytest.mark.skipif(find_spec("pyarrow") is None, reason="pyarrow is not installed")


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_csv_has_a_line_a_run_and_reads_back(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    rows = rows_of(labctl.done("export", "sweep").out)
    assert [row["run_id"] for row in rows] == ids
    assert [row["value"] for row in rows] == ["0.5", "0.75", "0.25", ""]
    assert [row["params.momentum"] for row in rows] == ["", "0.9", "", ""]
    assert {row["strategy"] for row in rows} == {"portfolio"}
    assert rows[3]["outcome"] == "failed"
    assert rows[0]["metrics.seen"] == "7"


def test_csv_survives_what_a_program_may_have_called_its_parameters(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    hostile = {"a,b": 'x"y\nz', "list": [1, {"a": None}], "flag": True, "none": None, "value": 3}
    a_run(root, hostile, 1.0)
    [row] = rows_of(labctl.done("export", "sweep").out)
    assert row["params.a,b"] == 'x"y\nz'
    assert json.loads(row["params.list"]) == [1, {"a": None}]
    assert (row["params.flag"], row["params.none"], row["params.value"], row["value"]) == ("true", "", "3", "1.0")


def test_the_ending_of_the_file_says_what_is_written(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    for name in ("t.csv", "t", "t.CSV.", "t.Jsonl", "u.ndjson"):
        labctl.done("export", "sweep", "--output", name, "--yes")
        text = (tmp_path / name).read_text()
        if "json" in name.lower():
            assert [json.loads(line)["run_id"] for line in text.splitlines()] == ids
        else:
            assert [row["run_id"] for row in rows_of(text)] == ids
    labctl.done("export", "sweep", "--output", "journal.txt", "--format", "jsonl")
    assert json.loads((tmp_path / "journal.txt").read_text().splitlines()[0])["run_id"] == ids[0]


@WITH_PYARROW
def test_a_file_that_ends_in_parquet_is_one(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    assert labctl.done("export", "sweep", "-o", "t.parquet", "--json").data["format"] == "parquet"
    assert (tmp_path / "t.parquet").read_bytes()[:4] == b"PAR1"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("-o", "t.db"), "no format is known by the ending .db; there are .csv, .jsonl"),
        (("-o", "t.xlsx"), "say with --format which of csv, jsonl, parquet, optuna it is"),
        (("-o", "t.json"), "no format is known by the ending .json;"),
        (("-o", "t.parquet", "--format", "csv"), "t.parquet would be taken for parquet, and --format says csv"),
        (("-o", "t.csv", "--format", "optuna"), "t.csv would be taken for csv, and --format says optuna"),
    ],
)
def test_a_file_that_says_it_is_something_else_is_not_written(
    words: tuple[str, ...], told: str, labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    said = labctl("export", "sweep", *words)
    assert said.code == 2
    assert told in " ".join(said.err.split())
    assert not (tmp_path / words[1]).exists()


HOSTILE = """\
id: odd
metric: loss
metric_direction: minimize
durability: fast
cadence: 1s
executor_command: python3 {program}
"""
HOSTILE_PROGRAM = """\
import json
names = ["params", "origin", "report", "stopped_early", "cut_off", "left_out", "archived", "ts", "role", "tier"]
json.dump({"loss": 0.5} | dict.fromkeys(names, 12) | {"cut_off": True}, open("metrics.json", "w"))
"""


def test_a_run_may_measure_what_it_likes_by_any_name(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_lab(place)
    (tmp_path / "odd.py").write_text(HOSTILE_PROGRAM)
    (tmp_path / "odd.yaml").write_text(HOSTILE.format(program=tmp_path / "odd.py"))
    create.experiment(root, str(tmp_path / "odd.yaml"), actor="ann")
    labctl.done("run-once", "--experiment", "odd", "--now")
    table = place / "experiments/odd/metrics.jsonl"
    written = table.read_bytes()
    for words in (["best"], ["top"], ["list"], ["export", "--format", "jsonl"]):
        labctl.done(words[0], "odd", *words[1:])
    [row] = rows_of(labctl.done("export", "odd").out)
    assert (row["metrics.run.params"], row["metrics.run.stopped_early"], row["value"]) == ("12", "12", "0.5")
    assert [name for name in row if name.startswith("metrics.") and not name.startswith("metrics.run.")] == [
        "metrics.loss"
    ]
    table.unlink()
    labctl.done("refresh")
    assert table.read_bytes() == written


def test_jsonl_is_the_table_as_it_lies_there(labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    assert labctl.done("export", "sweep", "--format", "jsonl").out.encode() == (
        place / "experiments/sweep/metrics.jsonl"
    ).read_bytes()  # fmt: skip


def test_one_tier_can_be_chosen(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    final = a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 0.1, tier="final").run.run_id
    assert [row["run_id"] for row in rows_of(labctl.done("export", "sweep", "--tier", "final").out)] == [final]
    assert labctl("export", "sweep", "--tier", "other").code == 2


def test_a_program_gets_the_rows_in_the_one_document(labctl: Labctl, place: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    data = labctl.done("export", "sweep", "--json").data
    rows = data["rows"]
    assert isinstance(rows, list)
    assert [row["run_id"] for row in rows] == ids
    assert rows[0]["params.lr"] == 0.1


def test_a_file_that_is_there_is_replaced_only_when_that_is_said(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    target = tmp_path / "runs.csv"
    target.write_text("precious\n")
    said = labctl("export", "sweep", "-o", str(target))
    assert said.code == 2
    assert "--yes" in said.err
    assert target.read_text() == "precious\n"
    labctl.done("export", "sweep", "--output", str(target), "--yes")
    assert len(rows_of(target.read_text())) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lab", "runs.csv"]  # and no draft beside it


@pytest.mark.parametrize("target", ["lab", "gone/runs.csv"])
def test_a_folder_is_no_file_and_is_not_made(target: str, labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    assert labctl("export", "sweep", "--output", target).code == 2
    assert not (place.parent / "gone").exists()


@pytest.mark.parametrize("form", ["parquet", "optuna"])
def test_what_no_terminal_can_show_wants_a_file(form: str, labctl: Labctl, place: Path) -> None:
    some_runs(a_searched_lab(place))
    said = labctl("export", "sweep", "--format", form)
    assert said.code == 2
    assert "--output FILE" in said.err


@pytest.mark.parametrize(("form", "library"), [("parquet", "pyarrow"), ("optuna", "optuna")])
def test_a_library_that_is_missing_is_named_with_its_extra(
    form: str, library: str, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    (tmp_path / "without" / library).mkdir(parents=True)
    (tmp_path / "without" / library / "__init__.py").write_text("raise ImportError\n")
    env = {"PYTHONPATH": str(tmp_path / "without")}
    said = process("export", "sweep", "--format", form, "--output", str(tmp_path / "out"), root=place, env=env)
    assert said.code == 5, said
    assert "pip install 'labctl[" in said.err
    assert not (tmp_path / "out").exists()


@WITH_PYARROW
def test_parquet_keeps_the_kinds_of_its_columns(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from pyarrow import parquet  # type: ignore[import-untyped]

    root = a_searched_lab(place)
    a_run(root, {"lr": 1, "depth": 3, "flag": True, "mixed": 1, "text": "a", "huge": 2**70}, 0.5, origin=made(0))
    a_run(root, {"lr": 0.5, "depth": 4, "flag": False, "mixed": "b", "none": None, "huge": 1}, None, outcome="failed")
    labctl.done("export", "sweep", "--format", "parquet", "--output", str(tmp_path / "runs.parquet"))
    table = parquet.read_table(tmp_path / "runs.parquet").to_pydict()
    assert table["value"] == [0.5, None]
    assert table["params.lr"] == [1.0, 0.5]
    assert table["params.depth"] == [3, 4]
    assert table["params.flag"] == [True, False]
    assert table["params.mixed"] == ["1", '"b"']
    assert table["params.none"] == [None, None]
    assert table["params.text"] == ["a", None]


def study_in(path: Path, name: str) -> Study:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return optuna.load_study(study_name=name, storage=JournalStorage(JournalFileBackend(str(path))))


@WITH_OPTUNA
def test_optuna_reads_the_journal_as_a_study_of_its_own(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    ids = some_runs(a_searched_lab(place))
    said = labctl.done("export", "sweep", "--format", "optuna", "--output", str(tmp_path / "j.log"))
    assert "optuna-dashboard" in said.err
    study = study_in(tmp_path / "j.log", "sweep.proxy")
    assert study.direction.name == "MINIMIZE"
    assert [trial.state.name for trial in study.trials] == ["COMPLETE", "COMPLETE", "COMPLETE", "FAIL"]
    assert [trial.user_attrs["labctl.run_id"] for trial in study.trials] == ids
    assert study.best_trial.params == {"lr": 0.001, "depth": 3, "kind": "adam"}
    assert study.best_trial.user_attrs["labctl.arm"] == "perturb"
    assert study.trials[1].params["momentum"] == 0.9
    lr = study.trials[0].distributions["lr"].__dict__
    assert (lr["low"], lr["high"], lr["log"]) == (0.0001, 1.0, True)
    study.enqueue_trial({"lr": 0.5, "depth": 1, "kind": "adam"})  # and goes on with it
    assert study.ask().suggest_float("lr", 0.0001, 1.0, log=True) == 0.5


@WITH_OPTUNA
def test_each_tier_is_a_study_with_its_own_direction(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place, more="final_metric: accuracy\nfinal_metric_direction: maximize\n")
    some_runs(root)
    a_run(root, {"lr": 0.1, "depth": 3, "kind": "adam"}, 0.9, tier="final")
    data = labctl.done(
        "export", "sweep", "--format", "optuna", "--output", str(tmp_path / "j.log"), "--json"
    ).data  # fmt: skip
    assert data["studies"] == ["sweep.proxy", "sweep.final"]
    final = study_in(tmp_path / "j.log", "sweep.final")
    assert (final.direction.name, final.best_value, final.metric_names) == ("MAXIMIZE", 0.9, ["accuracy"])


@WITH_OPTUNA
def test_points_of_an_older_space_and_odd_values_are_exported_all_the_same(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    root = a_searched_lab(place)
    odd: list[dict[str, object]] = [
        {"lr": 5.0, "depth": 20, "kind": "rmsprop", "extra": [1, 2]},
        {"lr": 1, "depth": 2, "kind": True, "extra": 1, "one": 1},
        {"lr": 0.5, "depth": 2, "kind": 1, "extra": None, "one": 2.5},
        {},
    ]
    for number, params in enumerate(odd):
        a_run(root, params, float(number))
    a_run(root, None, 9.0)
    labctl.done("export", "sweep", "--format", "optuna", "--output", str(tmp_path / "j.log"))
    trials = study_in(tmp_path / "j.log", "sweep.proxy").trials
    assert [trial.value for trial in trials] == [0.0, 1.0, 2.0, 3.0, 9.0]
    assert trials[0].params["lr"] == 5.0
    assert trials[0].params["extra"] == "[1,2]"
    assert [trial.params.get("kind") for trial in trials] == ['"rmsprop"', "true", "1", None, None]


@WITH_OPTUNA
@pytest.mark.parametrize(
    "space",
    [
        "x: {type: float, low: 0.0, high: 1.0, step: 0.3}",
        "x: {type: int, low: 1, high: 100, log: true}",
        "x: {type: int, low: 1, high: 10, step: 4}",
        "x: {type: int, low: 1, high: 64, step: 3, log: true}",
        "x: {choices: [1, true, '1', null]}",
        "x: {type: bool}",
        "x: {type: fixed, value: 3}",
        "x: {type: float, low: 0.1, high: 0.7, step: 0.1, log: true}",
    ],
)
def test_every_kind_of_parameter_has_a_distribution(space: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from lab.core import assignment
    from lab.core.trial import luck
    from lab.scheduler import cycle
    from lab.scheduler.search import spaces

    root = a_lab(place, "one", more=f"search_space:\n  {space}\n")
    with root.section("one"):
        view, loaded = cycle.observe(root, "one")
    found = spaces.find(root, cycle.usable(loaded), view)
    assert found is not None
    points = [assignment.draw(found.space, luck(0, number)) for number in range(6)]
    for point in points:
        a_run(root, point, 1.0, name="one")
    labctl.done("export", "one", "--format", "optuna", "--output", str(tmp_path / "j.log"))
    trials = study_in(tmp_path / "j.log", "one.proxy").trials
    told = [json.loads(trial.params["x"]) if "null" in space else trial.params["x"] for trial in trials]
    assert told == [point["x"] for point in points]


@WITH_OPTUNA
def test_a_run_that_was_stopped_early_is_pruned_with_its_curve(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    from lab.core.curve import Curve

    root = a_searched_lab(place)
    stopped = Curve(points=((1.0, 0.9), (2.0, 0.8)))
    a_run(root, {"lr": 0.1}, None, outcome="cancelled", curve=stopped, reason="it was stopped early: step 2")
    a_run(root, {"lr": 0.2}, None, outcome="cancelled", reason="it was cancelled")
    a_run(root, {"lr": 0.3}, 0.7, curve=Curve(points=((0.25, 0.9), (0.5, 0.8), (0.75, 0.7))))
    labctl.done("export", "sweep", "--format", "optuna", "--output", str(tmp_path / "j.log"))
    trials = study_in(tmp_path / "j.log", "sweep.proxy").trials
    assert [trial.state.name for trial in trials] == ["PRUNED", "FAIL", "COMPLETE"]
    assert trials[0].intermediate_values == {1: 0.9, 2: 0.8}
    assert trials[2].intermediate_values == {0: 0.9, 1: 0.8, 2: 0.7}  # Optuna has no half steps


def test_an_experiment_without_runs_exports_none(labctl: Labctl, place: Path) -> None:
    a_searched_lab(place)
    assert rows_of(labctl.done("export", "sweep").out) == []


@pytest.mark.heavy
def test_ten_thousand_runs_go_through_a_pipe_that_closes_early(place: Path) -> None:
    root = a_lab(place, "many")
    one_run(root, "many", 0.5)
    refresh.everything(root)
    table = place / "experiments/many/metrics.jsonl"
    table.write_bytes(table.read_bytes() * 10_000)
    command = [sys.executable, SHIM, "export", "many"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        assert child.stdout.readline().startswith(b"run_id,ts,outcome,value,")
        child.stdout.close()
        assert child.stderr.read().decode().count("Traceback") == 0


def test_origins_of_every_kind_are_in_the_table(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    first = a_run(root, {"lr": 0.1}, 0.5, origin=Origin(kind="baseline", seed=3)).run.run_id
    a_run(root, {"lr": 0.1}, 0.4, origin=Origin(kind="promoted", parents=(first,), note="a, b"))
    rows = rows_of(labctl.done("export", "sweep").out)
    assert [row["kind"] for row in rows] == ["baseline", "promoted"]
    assert (rows[1]["parents"], rows[1]["note"]) == (first, "a, b")


def test_a_link_is_followed_and_stays_one(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    some_runs(a_searched_lab(place))
    (tmp_path / "real.csv").write_text("old\n")
    (tmp_path / "link.csv").symlink_to("real.csv")
    assert labctl("export", "sweep", "--output", str(tmp_path / "link.csv")).code == 2
    labctl.done("export", "sweep", "--output", str(tmp_path / "link.csv"), "--yes")
    assert (tmp_path / "link.csv").is_symlink()
    assert rows_of((tmp_path / "real.csv").read_text())


def test_a_pipe_and_a_device_are_written_into_and_stay_what_they_are(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    some_runs(a_searched_lab(place))
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", pipe], stdout=subprocess.PIPE, text=True) as reader:
        labctl.done("export", "sweep", "--output", str(pipe), "--yes")
        said, _ = reader.communicate(timeout=20)
    assert len(rows_of(said)) == 4
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    ours, theirs = os.openpty()
    try:
        labctl.done("export", "sweep", "--output", os.ttyname(theirs))
        assert b"run_id," in os.read(ours, 65_536)
    finally:
        os.close(ours)
        os.close(theirs)


def test_what_is_neither_a_file_nor_a_pipe_is_refused(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_searched_lab(place)
    with socket.socket(socket.AF_UNIX) as there:
        there.bind(str(tmp_path / "s"))
        said = labctl("export", "sweep", "--output", str(tmp_path / "s"), "--yes")
        assert (said.code, "neither a file nor a pipe" in said.err) == (2, True)
        assert stat.S_ISSOCK((tmp_path / "s").stat().st_mode)
