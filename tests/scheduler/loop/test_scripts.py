from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import spec as specs
from lab.scheduler.loop import scripts

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.spec import Spec


def a_loop(**fields: object) -> Spec:
    return specs.parse({"id": "loop", "executor": "reference", **fields})


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("true\n")


@pytest.mark.parametrize(
    ("measure", "checks"),
    [("autoresearch.sh", "autoresearch.checks.sh"), (".auto/measure.sh", ".auto/checks.sh")],
)
def test_scripts_of_another_harness_serve_as_they_are(measure: str, checks: str, tmp_path: Path) -> None:
    put(tmp_path, measure, checks)
    meant = scripts.commands(a_loop(), str(tmp_path))
    assert (meant.validation_command, meant.checks_command) == (f"bash {measure}", f"bash {checks}")
    assert meant.read_only_paths == (measure, checks)


def test_what_the_spec_names_comes_before_a_script_that_is_there(tmp_path: Path) -> None:
    put(tmp_path, "autoresearch.sh", "bench/run.py")
    meant = scripts.commands(a_loop(validation_command="python3 bench/run.py"), str(tmp_path))
    assert meant.validation_command == "python3 bench/run.py"
    assert meant.read_only_paths == ("bench/run.py",)


def test_other_executors_are_left_alone(tmp_path: Path) -> None:
    put(tmp_path, "autoresearch.sh")
    other = specs.parse({"id": "other", "executor_command": "python3 train.py"})
    assert scripts.commands(other, str(tmp_path)) == other


@pytest.mark.parametrize(
    "command",
    [
        "python3 scripts/reference_executor.py",
        "python scripts/reference_executor.py",
        "/usr/bin/python3.12 /opt/hermes-lab/scripts/reference_executor.py",
        "scripts/reference_executor.py",
    ],
)
def test_the_program_of_hermes_lab_means_our_executor(command: str, tmp_path: Path) -> None:
    put(tmp_path, "autoresearch.sh")
    meant = scripts.commands(specs.parse({"id": "old", "executor_command": command}), str(tmp_path))
    assert (meant.executor, meant.executor_command) == ("reference", "")
    assert meant.validation_command == "bash autoresearch.sh"


@pytest.mark.parametrize(
    "command", ["", "python3 my_reference_executor.py", "echo scripts/reference_executor.py", "python3 -c 'x' 'y"]
)
def test_another_program_does_not(command: str) -> None:
    given = specs.parse({"id": "old", "executor_command": command, "shell": True})
    assert scripts.renamed(given) == given


@pytest.mark.parametrize(
    ("command", "files"),
    [
        ("python3 ./bench/run.py --data=data/eval.json --n 3", ("bench/run.py", "data/eval.json")),
        ("python3 -m bench.run", ("bench/run.py",)),
        ("python3 {workspace}/bench/run.py", ("bench/run.py",)),
        ("python3 ../outside.py /etc/hosts ~/x", ()),
        ("make bench", ()),
        ("python3 bench/run.py 'unclosed", ("bench/run.py",)),
    ],
)
def test_the_files_that_measure_are_those_the_command_names(
    command: str, files: tuple[str, ...], tmp_path: Path
) -> None:
    put(tmp_path / "code", "bench/run.py", "data/eval.json")
    put(tmp_path, "outside.py")
    fields = {"validation_command": command, "shell": True}
    given = a_loop(**fields)
    assert scripts.validator_of(given, str(tmp_path / "code")) == files


def test_data_and_dependencies_are_read_only_unless_they_are_named(tmp_path: Path) -> None:
    put(tmp_path, "prepare.py", "requirements-dev.txt", "pyproject.toml", "train.py")
    by_default = scripts.commands(a_loop(mutable_paths=["train.py"]), str(tmp_path))
    assert by_default.read_only_paths == ("prepare.py", "pyproject.toml", "requirements-dev.txt")
    named = scripts.commands(a_loop(mutable_paths=["train.py", "pyproject.toml"]), str(tmp_path))
    assert "pyproject.toml" not in named.read_only_paths


def test_a_program_that_trains_and_measures_may_be_changed_when_it_is_named(tmp_path: Path) -> None:
    put(tmp_path, "src/train.py")
    command = "python3 src/train.py"
    by_name = a_loop(validation_command=command, mutable_paths=["src/train.py"])
    assert scripts.commands(by_name, str(tmp_path)).read_only_paths == ()
    by_folder = a_loop(validation_command=command, mutable_paths=["src/"])
    assert scripts.commands(by_folder, str(tmp_path)).read_only_paths == ("src/train.py",)


def test_only_what_nothing_else_needs_is_hidden(tmp_path: Path) -> None:
    put(tmp_path, "score.py", "secret.json", "measure.py")
    given = a_loop(validation_command="python3 score.py", holdout_command="python3 score.py secret.json")
    assert scripts.hidden(given, str(tmp_path)) == ("secret.json",)
    assert scripts.commands(given, str(tmp_path)).read_only_paths == ("score.py", "secret.json")
