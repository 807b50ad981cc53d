"""`labctl doctor`: what it finds on a machine and in a lab, and what it says to do."""

from __future__ import annotations

import os
import sys
import venv
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import CHECKOUT, a_lab, whole_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl, Said

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # a fork: the runner's threads are idle in it
RECORDED = CHECKOUT / "tests" / "llm" / "agents" / "recorded"


def state(said: Said, name: str) -> tuple[str, str, str]:
    checks = said.envelope["data"]["checks"]
    return next((each["state"], each["what"], each["fix"]) for each in checks if each["name"] == name)


def an_agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/bash\n{text}\n")
    (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


def test_before_there_is_a_lab_the_machine_is_checked_and_nothing_is_made(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    before = whole_tree(tmp_path)
    said = labctl("doctor", "--json")
    assert said.code == 0
    assert state(said, "python")[0] == "ok"
    assert state(said, "lab")[0] == "warning"
    assert any("labctl init" in each for each in said.envelope["advice"])
    assert whole_tree(tmp_path) == before


def test_in_a_lab_a_program_is_run_as_a_run_would_be(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    said = labctl("doctor", "--json")
    assert said.code == 0
    assert state(said, "confinement")[1].startswith("runs are held by ")
    assert state(said, "fence")[0] in ("ok", "warning")
    assert state(said, "clock")[0] == "ok"
    assert state(said, "schedule")[0] == "none"
    assert os.listdir(place / "scratch" / "agents") == []


def test_the_python_that_would_train_is_named_and_what_is_missing_is_no_failure(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_lab(place)
    folder = tmp_path / "env"
    venv.create(folder, symlinks=True)
    monkeypatch.setattr(sys, "executable", f"{folder}/bin/python")
    monkeypatch.setenv("PATH", f"{folder}/bin")
    said = labctl("doctor", "--json")
    assert state(said, "training")[0] == "none"
    assert "no Python here has torch" in state(said, "training")[1]
    assert "pip install 'labctl[train]'" in state(said, "training")[2]
    torch = next(folder.glob("lib/python3*/site-packages")) / "torch"
    torch.mkdir()
    (torch / "__init__.py").write_text("raise SystemExit('torch was loaded')\n")
    (torch / "version.py").write_text("__version__ = '2.9.0+cpu'\n")
    how, what, fix = state(labctl("doctor", "--json"), "training")
    assert how == "warning"
    assert what.startswith(f"torch 2.9.0+cpu for the CPU in {folder}/bin/python; ")
    assert "numpy" in fix


def test_an_experiment_that_trains_where_no_torch_is_fails_the_check(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_lab(place)
    (tmp_path / "s.yaml").write_text("id: gpu\nexecutor: training\n")
    labctl.done("create", str(tmp_path / "s.yaml"))
    venv.create(tmp_path / "env", symlinks=True)
    monkeypatch.setattr(sys, "executable", f"{tmp_path}/env/bin/python")
    monkeypatch.setenv("PATH", f"{tmp_path}/env/bin")
    said = labctl("doctor", "--json")
    assert said.code == 1
    assert "no Python here has torch" in state(said, "gpu")[1]


def test_a_folder_that_is_no_lab_fails(labctl: Labctl, place: Path) -> None:
    place.mkdir()
    (place / "train.py").write_text("x = 1\n")
    said = labctl("doctor", "--json")
    assert said.code == 1
    assert state(said, "lab")[0] == "failed"
    assert said.envelope["ok"] is False


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("strategy: llm\nllm: {transport: command, provider: codex}", "the model cannot be asked: there is no program"),
        ("strategy: llm", "asks a model, and the SPEC names none"),
        ("executor: nothing", "there is no executor 'nothing'"),
        ("strategy: nothing", "there is no strategy 'nothing'"),
        ("agent_provider: nobody", "there is no agent 'nobody'"),
        ("agent_provider: hermes", "its agent hermes is not installed"),
        ("no_such_field: 1", "no_such_field"),
    ],
)
def test_a_spec_that_names_what_is_not_there_fails(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, what: str
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    a_lab(place, "alpha")
    with (place / "experiments/alpha/SPEC.yaml").open("a") as spec:
        spec.write(f"{line}\n")
    said = labctl("doctor", "--json")
    assert said.code == 1
    assert what in state(said, "alpha")[1]
    assert state(said, "alpha")[2]


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ("executor_command: echo {params.lrr}", "{params.lrr} has no value where nothing is searched"),
        ("executor_command: python3 not_there.py", "there is no script not_there.py"),
        ("executor_command: no_such_program x", "there is no program no_such_program on PATH"),
        ("executor_command: echo\nworkspace_root: /not/there", "its workspace is not there: /not/there"),
        ("executor: reference\nworkspace_root: /not/there", "its workspace is not there: /not/there"),
    ],
)
def test_an_experiment_that_validate_says_cannot_run_fails_until_it_is_put_away(
    labctl: Labctl, place: Path, tmp_path: Path, lines: str, what: str
) -> None:
    a_lab(place)
    (tmp_path / "s.yaml").write_text(f"id: never\nmetric: loss\nmetric_direction: minimize\n{lines}\n")
    labctl.done("create", str(tmp_path / "s.yaml"))
    assert f"it would not run: {what}" in labctl("validate", "never").err
    said = labctl("doctor", "--json")
    assert said.code == 1
    assert state(said, "never")[0] == "failed"
    assert what in state(said, "never")[1]
    labctl.done("archive", "never")
    assert labctl.done("doctor").code == 0


def test_what_lies_on_another_machine_is_not_missed_on_this_one(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    a_lab(place)
    (place / "engines.yaml").write_text("gpu:\n  engine: worker\n")
    (tmp_path / "s.yaml").write_text("id: afar\nexecutor_class: gpu\nexecutor_command: no_such_program x\n")
    labctl.done("create", str(tmp_path / "s.yaml"))
    assert labctl.done("doctor").code == 0


def test_a_plug_in_that_fails_to_load_is_told_by_its_name(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    about = tmp_path / "site" / "mine-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[lab.agents]\nmine = no_such_module:Mine\n")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    said = labctl("doctor", "--json")
    assert said.code == 0
    assert "no_such_module" in state(said, "plug-in mine")[1]


def test_agents_are_found_with_their_versions_and_none_is_needed(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_agent(tmp_path, monkeypatch, "codex", '[ "$1" = --version ] && echo codex-cli 0.171.0')
    an_agent(tmp_path, monkeypatch, "claude", "echo broken >&2; exit 1")
    said = labctl("doctor", "--agents", "--json")
    agents = {each["name"]: each for each in said.envelope["data"]["agents"]}
    assert (agents["codex"]["state"], agents["codex"]["version"]) == ("ok", "codex-cli 0.171.0")
    assert agents["codex"]["path"] == str(tmp_path / "bin/codex")
    assert agents["hermes"]["state"] == "none"
    assert "broken" in agents["claude"]["what"]
    assert said.code == 1  # one that is there and does not work
    assert labctl("doctor", "--agents", "codex").code == 0
    assert labctl("doctor", "--agents", "hermes").code == 1  # asked for by its name
    assert labctl("doctor", "--agents", "nobody").code == 2


def test_a_program_that_no_run_would_find_is_not_told_as_installed(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    an_agent(tmp_path, monkeypatch, "codex", "echo codex-cli 0.171.0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"bin:{os.defpath}")  # another folder wherever it is looked for
    said = labctl("doctor", "--agents", "--json")
    agents = {each["name"]: each for each in said.envelope["data"]["agents"]}
    assert agents["codex"]["state"] == "none"


def test_a_live_check_asks_and_tells_what_came(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_lab(place)
    text = f'[ "$1" = --version ] && echo 1 && exit; cat >{tmp_path}/asked; cat {RECORDED}/'
    an_agent(tmp_path, monkeypatch, "claude", f"{text}claude-answer.json")
    said = labctl("doctor", "--agents", "claude", "--live")
    assert said.code == 0
    assert "answered 'Hello from the model.' in" in said.out
    assert "0.0014 USD" in said.out
    assert "single word" in (tmp_path / "asked").read_text()
    an_agent(tmp_path, monkeypatch, "claude", f"{text}claude-error.json")
    said = labctl("doctor", "--agents", "claude", "--live")
    assert said.code == 1
    assert "FAILED   claude" in said.out
    assert "429" in said.out


@pytest.mark.parametrize("words", [("--live",), ("--agents", "--live")])
def test_a_live_check_without_agents_or_without_a_lab_is_refused(labctl: Labctl, words: tuple[str, ...]) -> None:
    assert labctl("doctor", *words).code == 2
