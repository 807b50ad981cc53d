"""`labctl research check`: what is missing is named before anything runs, with the exact command that brings it."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING

import pytest

from lab.research import declared
from lab.research.phases import publishing
from tests.cli.labs import whole_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """An installation without any extra."""
    absent = ("detect_secrets", "huggingface_hub", "tinker", "torch", "numpy", "lm_eval")
    real = importlib.util.find_spec
    for module in (importlib.util, publishing):
        monkeypatch.setattr(module, "find_spec", lambda name, *more: None if name in absent else real(name, *more))


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("mode", declared.modes(), ids=lambda each: each.name)
def test_on_a_bare_installation_without_a_lab_each_thing_that_is_missing_comes_with_its_command(
    labctl: Labctl, place: Path, tmp_path: Path, mode: declared.Mode
) -> None:
    before = whole_tree(tmp_path)
    said = labctl("research", "check", "--mode", mode.word, "--json")
    assert said.code == 5
    absent = [each for each in said.envelope["data"]["checks"] if each["state"] == "absent"]
    assert [each["name"] for each in absent] == ["publishing"]
    assert absent[0]["fix"] == "pip install 'labctl[publish]'"
    assert said.envelope["next"] == ["pip install 'labctl[publish]'"]
    assert "ABSENT   publishing" in labctl("research", "check", "--mode", mode.name).out
    assert whole_tree(tmp_path) == before


def test_where_all_is_there_it_ends_with_0_and_says_what_to_type(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    said = labctl.done("research", "check", "--mode", "D", "--json")
    assert said.envelope["next"] == ["labctl research new NAME --mode D"]
    labctl.done("init")
    (place.parent / "notes.md").write_text("What is known.\n")
    labctl.done("research", "new", "mine", "--mode", "A", "--offline", "--own", "notes.md")
    said = labctl.done("research", "check", "mine", "--json")
    assert said.envelope["next"] == ["labctl research run mine"]
    found = {each["name"]: each["state"] for each in said.data["checks"]}
    assert found.pop("study") == "warning"  # it is the one that comes with labctl, on rows that are made up
    assert set(found.values()) == {"ok"}


def test_a_file_that_the_project_names_and_that_is_gone_is_named(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    labctl.done("init")
    (place.parent / "notes.md").write_text("What is known.\n")
    labctl.done("research", "new", "mine", "--mode", "A", "--offline", "--own", "notes.md")
    (place.parent / "mine/inputs/own/notes.md").unlink()
    said = labctl("research", "check", "mine", "--json")
    assert said.code in (1, 5)
    failed = [each for each in said.envelope["data"]["checks"] if each["state"] == "failed"]
    assert any("inputs/own/notes.md is not there" in each["what"] for each in failed)
    assert labctl("research", "check", "mine").code == said.code


def test_data_that_no_phase_would_take_are_named(labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    labctl.done("init")
    (place.parent / "rows.csv").write_text("x,y\n" + "1,2\n" * 40)
    labctl.done("research", "new", "mine", "--mode", "C", "--offline", "--data", "rows.csv")
    with (place.parent / "mine/inputs/rows.csv").open("r+b") as file:
        file.truncate((64 << 20) + 1)
    failed = [
        each for each in labctl("research", "check", "mine", "--json").envelope["data"]["checks"]
        if each["state"] == "failed"
    ]  # fmt: skip
    assert [(each["name"], "64 MiB" in each["fix"]) for each in failed] == [("data", True)]


def test_files_that_no_release_takes_and_data_that_no_phase_takes_are_named(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    labctl.done("init")
    (place.parent / "rows.csv").write_text("x,y\n" + "1,2\n" * 40)
    labctl.done("research", "new", "mine", "--mode", "C", "--offline", "--data", "rows.csv")
    folder = place.parent / "mine"
    (folder / "lnk").symlink_to("README.md")
    path = folder / "project.yaml"
    named = "publish: {files: [lnk, ../rows.csv, gone.txt, README.md]}"
    path.write_text(path.read_text().replace("publish: {}", named))
    (folder / "inputs/rows.csv").write_text("x,y\nann,1\n")
    said = labctl("research", "check", "mine", "--json")
    wrong = [each for each in said.envelope["data"]["checks"] if each["state"] in ("absent", "failed")]
    assert [each["what"].split(": ")[1] for each in wrong if each["name"] == "publishing"] == [
        "lnk", "../rows.csv", "gone.txt",
    ]  # fmt: skip
    assert any("its column x has cells that are text" in each["what"] for each in wrong if each["name"] == "data")
    assert said.envelope["next"] == []  # what is to be edited is told beside it: none of it can be typed


def test_an_agent_that_is_not_installed_is_not_called_well(
    labctl: Labctl, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    monkeypatch.setenv("PATH", str(place))
    labctl.done("init")
    labctl.done("research", "new", "mine", "--mode", "A", "--offline", "--agent", "claude:ideation")
    checks = labctl("research", "check", "mine", "--json").envelope["data"]["checks"]
    assert any(each["state"] == "absent" and each["name"] == "ideation" for each in checks)
    assert not [each for each in checks if each["name"] == "agent"]
