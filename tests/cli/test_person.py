"""A program is never handed a yes to type: what a person decides is told as such, and a person sees it as it was."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.cli import person, reference
from lab.cli.terminal import Answer, Terminal
from tests.cli.labs import process
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

SPACE = "search_space: {x: {low: -2.0, high: 2.0}}\nexecutor: stub\n"


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        ("labctl approve a-1", "a person decides: labctl approve a-1"),
        ("mend it, then: labctl resume a", "a person decides: mend it, then: labctl resume a"),
        ("labctl research approve a --release ab", "a person decides: labctl research approve a --release ab"),
        ("a person decides: labctl reject a-1", "a person decides: labctl reject a-1"),
        ("labctl approvals", "labctl approvals"),
        ("labctl research resume a", "labctl research resume a"),
        ("", ""),
    ],
)
def test_only_what_a_person_decides_is_marked(typed: str, told: str) -> None:
    assert person.marked(typed) == told


def test_a_long_document_is_written_bit_by_bit_and_is_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"n": number, "fix": f"labctl approve a-{number}"} for number in range(450)]
    data = {"rows": rows, "next": "labctl resume a", "none": {}, "few": [1], 'a"b': {"fix": "labctl resume a"}}
    Terminal(as_json=True, quiet=False).answer("list", Answer(data, [], then=["labctl approve b"]))
    body = {
        "schema": "labctl.list/1",
        "ok": True,
        "data": data,
        "warnings": [],
        "next": [],
        "advice": ["a person decides: labctl approve b"],
    }
    assert capsys.readouterr().out == json.dumps(person.told(body)) + "\n"


def test_no_document_has_a_yes_as_the_next_command(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more=SPACE).layout.root
    params = tmp_path / "p.json"
    params.write_text(json.dumps({"x": 0.5}))
    said = json.loads(process("propose", "a", "--params", str(params), "--json", root=root).out)
    assert said["next"] == ["labctl approvals"]
    said = json.loads(process("approvals", "--json", root=root).out)
    assert (said["next"], said["advice"]) == ([], ["a person decides: labctl approve a-1"])
    assert "next: labctl approve a-1" in process("approvals", root=root).err
    process("pause", "a", root=root)
    refused = json.loads(process("burst", "a", "-n", "1", "--json", root=root).out)
    assert refused["error"]["fix"] == "a person decides: labctl resume a"
    assert "fix: labctl resume a" in process("burst", "a", "-n", "1", root=root).err


def test_what_comes_next_is_a_command_or_advice() -> None:
    lines = [
        "labctl top a", "export LAB_DATA_ROOT=/x", "labctl tinker check a   # again, once that is mended",
        "recipe: mend these lines and try again", "labctl status says what is next; --again gives it back",
        "edit SPEC.yaml, then: labctl burst a", "labctl resume a",
    ]  # fmt: skip
    assert person.parted(lines) == (lines[:3], [*lines[3:6], "a person decides: labctl resume a"])


def test_a_program_is_told_what_a_person_is_told_after_a_burst(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more=SPACE).layout.root
    said = json.loads(process("burst", "a", "-n", "1", "--json", root=root).out)
    assert said["next"] == ["labctl best a", "labctl top a"]


def test_what_is_told_within_the_data_is_marked_the_same(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more=SPACE).layout.root
    params = tmp_path / "p.json"
    params.write_text(json.dumps({"x": 0.5}))
    process("propose", "a", "--params", str(params), root=root)
    wants = json.loads(process("status", "--json", root=root).out)["data"]["wants_you"]
    assert [each["fix"].partition("labctl")[0] for each in wants] == ["a person decides: "]
    assert "a person decides" not in process("status", root=root).out


def test_only_fixes_and_what_is_next_are_commands() -> None:
    told = {"fix": "labctl resume a", "note": "labctl resume a", "runs": [{"next": ["labctl approve a-1", 3]}], "n": 1}
    assert person.told(told) == {
        "fix": "a person decides: labctl resume a",
        "note": "labctl resume a",
        "runs": [{"next": ["a person decides: labctl approve a-1", 3]}],
        "n": 1,
    }


def test_the_contract_says_which_commands_a_person_types_and_names_the_rules_first() -> None:
    told = json.loads(reference.manifest())
    marks = {verb["name"]: verb["a_person_decides"] for verb in told["commands"]}
    assert {name: each for name, each in marks.items() if each} == {
        "approve": ["approve"], "reject": ["reject"], "resume": ["resume"], "research": ["research approve"],
    }  # fmt: skip
    assert told["read_first"][0] == "AGENTS.md"
