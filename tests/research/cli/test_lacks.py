"""What `research check` sees before anything runs: files in the wrong place, and programs that are not there."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from lab.research.phases import publishing

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.labs import Labctl

COMMAND, REPORT = (f"executor_command: python3 fit.py {tier}" for tier in ("selection", "report"))
SPEC, PROJECT = "study/SPEC.yaml", "project.yaml"


@pytest.fixture
def mine(place: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the study that comes with labctl. Its folder."""
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    labctl.done("init")
    (place.parent / "notes.md").write_text("What is known.\n")
    labctl.done("research", "new", "mine", "--mode", "A", "--offline", "--own", "notes.md")
    return place.parent / "mine"


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        assert old in text
        (folder / name).write_text(text.replace(old, new))

    return edit


STRATEGY = edited(PROJECT, "training: {}", "training: {strategy: nope}")


def added(text: str) -> Callable[[Path], None]:
    def add(folder: Path) -> None:
        with (folder / PROJECT).open("a") as file:
            file.write(text)

    return add


def outside(folder: Path) -> None:
    (folder.parent / "rows.csv").write_text("x,y\n1,2\n")
    added('data: "../rows.csv"\n')(folder)


HARMS: tuple[tuple[Callable[[Path], None], str], ...] = (
    (outside, "data: "),
    (added('data: "rows.csv"\n'), "mine/rows.csv is not there"),
    (edited(PROJECT, "publish: {}", "publish: {files: [more.md]}"), "mine/more.md is not there"),
    (lambda folder: (folder / "study/fit.py").unlink(), "there is no script fit.py"),
    (edited(SPEC, COMMAND, "executor_command: nosuchprog"), "there is no program nosuchprog on PATH"),
    (edited(SPEC, f"report_{REPORT}", "report_executor_command: ./no {seed}"), "there is no program ./no"),
    (lambda folder: shutil.rmtree(folder / "study"), "SPEC.yaml is not there"),
    (added("skip: [evaluation]\n"), "skip leaves out evaluation, which iteration builds on"),
    (STRATEGY, ""),  # the study has its own
)


def test_what_cannot_work_is_named_and_what_can_is_not(labctl: Labctl, mine: Path, tmp_path: Path) -> None:
    shutil.copytree(mine, tmp_path / "kept")
    for harm, words in HARMS:
        harm(mine)
        said = labctl("research", "check", "mine", "--json")
        wrong = [each["what"] for each in said.envelope["data"]["checks"] if each["state"] in ("failed", "absent")]
        assert (said.code in (1, 5), bool(wrong)) == (bool(words), bool(words)), (said, words)
        assert not words or any(words in each for each in wrong), wrong
        shutil.rmtree(mine)
        shutil.copytree(tmp_path / "kept", mine)


def test_a_strategy_that_the_study_does_not_name_is_looked_up(labctl: Labctl, mine: Path) -> None:
    STRATEGY(mine)
    edited(SPEC, "strategy: portfolio\n", "")(mine)
    said = labctl("research", "check", "mine", "--json")
    (wrong,) = [each for each in said.envelope["data"]["checks"] if each["state"] == "failed"]
    assert wrong["name"] == "strategy"
    assert "nope" in wrong["what"]


def test_a_program_that_an_agent_is_to_write_may_not_be_there_yet(labctl: Labctl, mine: Path) -> None:
    (mine / "study/fit.py").unlink()
    added("routing: {implementation: command}\ncommands: {implementation: 'true'}\n")(mine)
    assert "fit.py" not in labctl("research", "check", "mine").out
