"""A lab from Python: opening one, making experiments, and reading where it stands."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import lab


def labctl(*words: str) -> dict[str, object]:
    """The `data` of a command's answer, from the command line itself."""
    shim = str(Path(__file__).resolve().parents[2] / "scripts" / "labctl.py")
    done = subprocess.run([sys.executable, shim, *words, "--json"], capture_output=True, text=True, check=True)
    told = json.loads(done.stdout)["data"]
    assert isinstance(told, dict)
    return told


def test_a_folder_that_is_no_lab_is_refused_and_not_made_into_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("LAB_DATA_ROOT", raising=False)
    with pytest.raises(lab.Unavailable, match="there is no lab here"):
        lab.Lab()
    assert os.listdir(tmp_path) == []


def test_the_lab_is_where_the_command_line_would_look(home: lab.Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    assert home.path == os.path.abspath("lab-data")
    other = lab.Lab.init("other")
    monkeypatch.setenv("LAB_DATA_ROOT", other.path)
    assert lab.Lab() == other != home
    assert lab.Lab(home.path) == home


def test_a_lab_stays_where_it_was_when_the_folder_is_another(
    home: lab.Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert home.status()["experiments"] == 0


def test_to_init_a_lab_again_changes_nothing(home: lab.Lab, sweep: lab.Experiment) -> None:
    assert lab.Lab.init() == home
    assert [each.id for each in home] == [sweep.id]


def test_an_experiment_is_made_from_a_template_and_from_one_under_another_name(home: lab.Lab) -> None:
    assert home.create("sweep-template", source="sweep").id == "sweep-template"
    assert home.create("sweep").id == "sweep"
    assert [each.id for each in home.experiments()] == ["sweep", "sweep-template"]
    assert len(home) == 2
    assert "sweep" in home
    assert "other" not in home


def test_an_experiment_is_made_from_a_spec_file(home: lab.Lab, tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("id: own\nexecutor: stub\n")
    assert home.create("own.yaml").id == "own"
    assert home.create("second", source=tmp_path / "own.yaml").id == "second"


def test_what_is_wrong_with_an_experiment_is_told_whole_and_nothing_is_made(home: lab.Lab) -> None:
    with pytest.raises(lab.BadInput, match=r"(?s)metric_direction.*'up'.*unknown key 'time_budgt'") as told:
        home.create("bad", command="true", metric="loss", direction="up", time_budgt="5m")
    assert told.value.exit_code == 2
    assert os.listdir("lab-data/experiments") == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"metric": "loss"}, "nothing says whether a larger loss is better"),
        ({"metric": "loss", "direction": "minimize", "source": "sweep"}, "a source says what the experiment is"),
        ({"direction": "minimize", "metric_direction": "maximize"}, "metric_direction is said twice"),
        ({"space": {"x": {1, 2}}}, "x cannot be written"),
        ({"space": {"x": {"low": float("nan"), "high": 1}}}, "low cannot be written"),
        ({"space": {1: {"low": 0, "high": 1}}}, "a name must be text"),
    ],
    ids=str,
)
def test_arguments_that_do_not_fit_are_refused(home: lab.Lab, arguments: dict[str, object], words: str) -> None:
    with pytest.raises(lab.BadInput, match=words):
        home.create("bad", **arguments)  # type: ignore[arg-type]  # the very point
    assert os.listdir("lab-data/experiments") == []


def test_an_id_that_is_taken_is_refused(home: lab.Lab, sweep: lab.Experiment) -> None:
    with pytest.raises(lab.BadInput, match="there is an experiment sweep already") as refused:
        home.create(sweep.id, command="true", metric="a", direction="maximize")
    assert "lab.Lab()['sweep']" in refused.value.fix  # a cell that is run twice


@pytest.mark.parametrize("name", ["yes", "null", "1e3", "on", "a: b", "# no", "it's", "ü", "\N{GRINNING FACE}"])
def test_every_name_and_text_arrives_as_it_was_given(home: lab.Lab, name: str) -> None:
    """YAML takes some words for something else."""
    space = {"kind": {"choices": [name, "1e4", "true", 1, 2.5, False]}, "w": {"value": name}}
    made = home.create("words", metric="loss", direction="lower", space=space, goal=name, strategy="random", seed=3)
    with made.trial() as trial:
        trial.report(loss=1)
    assert trial.params["w"] == name
    assert made.status()["goal"] == name
    assert made.status()["metric_direction"] == "minimize"


def test_a_command_of_words_starts_with_these_words(home: lab.Lab) -> None:
    program = "import sys; print('METRIC loss=%d' % len(sys.argv)); print(sys.argv[1:])"
    made = home.create("words", command=[sys.executable, "-c", program, "a b", "'", '{"a": 1}'], metric="loss",
                       direction="minimize", durability="fast")  # fmt: skip
    made.run(1)
    (run,) = made.runs()
    assert run.value == 4.0
    assert "['a b', \"'\", '{\"a\": 1}']" in run.log()


def test_an_experiment_that_is_not_there_is_named_with_the_nearest(home: lab.Lab, sweep: lab.Experiment) -> None:
    with pytest.raises(lab.NotFound, match="did you mean sweep"):
        home["swep"]


def test_where_the_lab_and_an_experiment_stand_is_what_the_command_line_says(
    home: lab.Lab, sweep: lab.Experiment
) -> None:
    sweep.run(2)
    told, shown = home.status(), labctl("status")
    assert {**told, "free_gb": 0, "heartbeat": 0} == {**shown, "free_gb": 0, "heartbeat": 0}
    assert json.loads(json.dumps(sweep.status())) == labctl("show", sweep.id)


def test_a_changed_file_is_found(home: lab.Lab, sweep: lab.Experiment) -> None:
    sweep.run(1)
    assert home.verify() == home.verify(sweep.id) == []
    log = Path(sweep.runs()[0].path, "stdout.log")
    log.chmod(0o600)
    log.write_text("something else")
    assert [line.split()[0] for line in home.verify()] == ["file-edited"]


def test_a_run_is_found_by_its_id_alone(home: lab.Lab, sweep: lab.Experiment) -> None:
    sweep.run(2)
    second = sweep.runs()[1]
    assert home.run(second.id) == second
    with pytest.raises(lab.NotFound):
        home.run("RUN-20200101-000000-000000-scout")


def test_a_notebook_shows_a_lab_in_escaped_words(home: lab.Lab) -> None:
    home.create("shown", metric="loss", direction="minimize", goal="<script>alert(1)</script>")
    shown = home._repr_html_()
    assert "&lt;script&gt;" in shown
    assert "<script>" not in shown
    assert repr(home) == f"<Lab {home.path}>"


def test_a_notebook_says_of_a_noisy_metric_that_its_best_number_is_partly_luck(home: lab.Lab) -> None:
    for name, noise in (("noisy", True), ("exact", False)):
        made = home.create(
            name, command=[sys.executable, "-S", "square.py", "{params.x}"], metric="loss", direction="minimize",
            space={"x": {"low": -1.0, "high": 1.0}}, durability="fast", strategy="random", noise=noise,
        )  # fmt: skip
        made.run(2)
    assert home._repr_html_().count("(partly luck)") == 1
    assert "the first is partly luck: .best() is the run to take" in home["noisy"]._repr_html_()
    assert "luck" not in home["exact"]._repr_html_()
