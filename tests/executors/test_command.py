"""Where a command's program is found, and what becomes of the command."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, NotFound
from lab.core.launch import Launch
from lab.core.spec import Spec
from lab.executors.command import Command
from lab.testing.executors import ExecutorContract, a_manifest

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.launch import Program

BIN = {"PATH": "/usr/bin:/bin"}


class TestCommand(ExecutorContract):
    executor = Command()


class Place:
    """A workspace, a SPEC's folder, a run's folder, a folder on PATH, and a current folder that must not matter."""

    def __init__(self, path: Path) -> None:
        self.path = path
        for name in ("ws", "spec", "run", "bin", "here"):
            (path / name).mkdir()

    def put(self, name: str, *, executable: bool = True) -> str:
        place = self.path / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("#!/bin/sh\necho $0\n")
        place.chmod(0o755 if executable else 0o644)
        return str(place)

    def prepare(self, command: str, **fields: object) -> Program:
        spec = Spec(id="sweep", executor_command=command, **fields)  # type: ignore[arg-type]
        launch = Launch(
            spec=spec,
            manifest=a_manifest(),
            path=str(self.path / "run"),
            workspace=str(self.path / "ws"),
            folders=(str(self.path / "spec"),),
            environ={"PATH": f"relative:{self.path}/bin::/usr/bin:/bin", "HOME": str(self.path / "here")},
        )
        program = Command().prepare(launch)
        assert program is not None
        return program

    def argv(self, command: str) -> tuple[str, ...]:
        return self.prepare(command).argv


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    made = Place(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    return made


def refusal(place: Place, command: str) -> str:
    with pytest.raises(BadInput) as caught:
        place.prepare(command)
    return str(caught.value)


def test_a_relative_program_is_found_in_the_workspace_and_then_beside_the_spec(place: Place) -> None:
    beside = place.put("spec/scripts/run.sh")
    assert place.argv("scripts/run.sh a") == (beside, "a")
    within = place.put("ws/scripts/run.sh")
    assert place.argv("./scripts/run.sh a") == (within, "a")


def test_a_relative_program_is_never_found_where_the_lab_was_started_nor_in_its_own_checkout(place: Place) -> None:
    place.put("here/scripts/run.sh")
    place.put("run/scripts/run.sh")
    told = refusal(place, "scripts/run.sh")
    assert f"{place.path}/ws/scripts/run.sh, {place.path}/spec/scripts/run.sh" in told
    assert "fix:" in told
    assert "no program scripts/labctl.py" in refusal(place, "scripts/labctl.py")


def test_a_bare_name_is_looked_up_on_path_alone(place: Place) -> None:
    tool = place.put("bin/tool")
    place.put("ws/tool")
    assert place.argv("tool --x") == (tool, "--x")


def test_a_bare_name_that_lies_in_the_workspace_gives_a_hint(place: Place) -> None:
    place.put("ws/train")
    place.put("here/train")
    place.put("here/relative/train")
    assert f"write ./train: it lies in {place.path}/ws" in refusal(place, "train")


def test_a_path_without_an_absolute_folder_finds_nothing_in_the_current_one(place: Place) -> None:
    place.put("here/train")
    launch = Launch(
        spec=Spec(id="sweep", executor_command="train"), manifest=a_manifest(), path="/", environ={"PATH": ":."}
    )
    with pytest.raises(NotFound, match="on PATH"):
        Command().prepare(launch)


def test_an_absolute_program_is_what_it_says_and_must_be_there(place: Place) -> None:
    own = place.put("bin/own")
    assert place.argv(f"{own} x") == (own, "x")
    assert place.argv("~/../bin/own")[0].endswith("/bin/own")
    assert "no program /no/such" in refusal(place, "/no/such")
    assert "no program /usr" in refusal(place, "/usr")


def test_a_program_without_the_right_to_be_run_says_how_to_give_it(place: Place) -> None:
    place.put("ws/run.sh", executable=False)
    assert "chmod +x" in refusal(place, "./run.sh")


@pytest.mark.parametrize(
    "command",
    [
        "python3 {}", "python3 -u {} --lr 0.1", "python3 -X dev -W ignore {}", "sh {}", "bash -e -x {}",
        "/usr/bin/env_python3.12 {}", "torchrun --nproc_per_node 8 {}",
    ],
)  # fmt: skip
def test_the_script_of_an_interpreter_is_found_like_a_program(place: Place, command: str) -> None:
    for name in ("bin/python3", "bin/torchrun", "bin/sh", "bin/bash", "bin/python3.12"):
        place.put(name)
    script = place.put("ws/train.py", executable=False)
    place.put("here/train.py")
    command = command.replace("/usr/bin/env_python3.12", f"{place.path}/bin/python3.12")
    argv = place.argv(command.format("train.py"))
    assert script in argv
    assert "train.py" not in argv


@pytest.mark.parametrize(
    "command", ["python3 -c train.py", "python3 -m train.py", "bash -lc train.py", "perl -e train.py", "cat train.py"]
)
def test_what_is_no_script_stays_as_it_is(place: Place, command: str) -> None:
    place.put("ws/train.py")
    assert place.argv(command)[-1] == "train.py"


def test_a_script_that_is_nowhere_is_refused_before_the_run(place: Place) -> None:
    place.put("here/train.py")
    told = refusal(place, "python3 train.py")
    assert f"{place.path}/ws/train.py" in told
    assert "no script" in told


@pytest.mark.parametrize("command", ["echo 9 > state.txt", "a && b", "a | b", "make 2>&1"])
def test_what_only_a_shell_understands_is_refused_without_one(place: Place, command: str) -> None:
    for name in ("bin/a", "bin/make"):
        place.put(name)
    assert "shell: true" in refusal(place, command)


def test_the_same_in_quotes_is_an_argument(place: Place) -> None:
    assert place.argv("echo 'a > b' '|' x")[1:] == ("a > b", "|", "x")


def test_a_setting_in_front_of_a_program_needs_a_shell(place: Place) -> None:
    assert "shell: true" in refusal(place, "FOO=1 echo x")


def test_with_a_shell_the_text_is_the_shells(place: Place) -> None:
    program = place.prepare("echo {run_id} | cat > {run_dir}/out", shell=True)  # noqa: S604  # a field of the SPEC
    assert program.argv[:2] == ("/bin/sh", "-c")
    subprocess.run(program.argv, cwd=program.cwd, env=BIN, check=True)
    assert (place.path / "run" / "out").read_text().startswith("RUN-")


def test_a_run_works_in_its_own_folder_and_gets_what_the_launch_says(place: Place) -> None:
    program = place.prepare("echo {workspace} {iteration} {tier} {role} {experiment}")
    assert program.cwd == str(place.path / "run")
    assert program.argv[1:] == (str(place.path / "ws"), "3", "default", "scout", "sweep")
    assert program.environ["HOME"] == str(place.path / "here")


def test_a_placeholder_in_the_programs_own_path(place: Place) -> None:
    own = place.put("ws/a tool")
    assert place.argv("'{workspace}/a tool' x") == (own, "x")


def test_a_seed_and_a_file_of_params_can_be_named(place: Place) -> None:
    assert place.prepare("echo {seed}", seed=7).argv[1] == "7"
    launch = Launch(
        spec=Spec(id="sweep", executor_command="/bin/echo {params_path}"),
        manifest=a_manifest(),
        path="/run",
        params={"lr": 1},
    )
    program = Command().prepare(launch)
    assert program is not None
    assert program.argv == ("/bin/echo", "/run/params.json")
    with pytest.raises(BadInput, match="given no params"):
        Command().prepare(msgspec.structs.replace(launch, params=None))


@pytest.mark.parametrize("command", ["", "  ", "''"])
def test_an_empty_command_is_refused(place: Place, command: str) -> None:
    assert "empty" in refusal(place, command) or "nothing to run" in refusal(place, command)


def test_preparing_looks_at_no_folder_of_this_process(place: Place) -> None:
    os.rmdir(place.path / "here")
    assert place.argv("/bin/echo x") == ("/bin/echo", "x")
