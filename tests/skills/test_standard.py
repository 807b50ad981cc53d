"""The open standard's own validator beside `labctl skills lint --strict`: what it refuses, labctl refuses too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.skills.followed import NAMES, SKILLS
from tests.skills.samples import GOOD, put
from tests.skills.test_lint import CASES, found, head

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

BOTH = (
    "COMPATIBILITY_LENGTH", "DESCRIPTION_LENGTH", "DESCRIPTION_MISSING", "FIELD_UNKNOWN", "FLOW_STYLE", "NAME_CHARSET",
    "NAME_FOLDER", "NAME_LENGTH", "NAME_MISSING", "NO_FRONTMATTER", "YAML", "YAML_STRICT",
)  # fmt: skip
# Good YAML that a strict reader does not take.
STRICT = {
    "an anchor": head("description: D", "description: &a D"),
    "a tag": head("name: a", "name: !!str a"),
    "a bare tag": head("name: a", "name: ! a"),
    "a tab in a sentence": head("Does one", "Does\tone"),
    "a tab before a comment": head("thing.\n---", "thing.\t# a tab\n---"),
    "a tab before the colon": head("name:", "name\t:"),
    "a tab after the sign of a block": head("metadata:\n", "license: |\t\n  MIT\nmetadata:\n"),
    "a map in brackets": head("metadata:\n", "metadata:\n  it's: {x: y}\n"),
    "a list in brackets": head("metadata:\n", 'metadata:\n  hermes:\n    "it\'s, a": [x, y]\n'),
    "an anchor on a map": head("metadata:\n", "metadata: &m\n"),
    "an alias": head("metadata:\n", "metadata:\n  a: &x b\n  c: *x\n"),
    "uneven maps": head("metadata:\n", "metadata:\n  a:\n   b: c\n  d:\n    e: f\n"),
    "three hyphens": head("description:", "license: a---b\ndescription:"),
    "a byte order mark": f"\ufeff{GOOD}",
    "an unseen character": head("metadata:", "\u2028license: MIT\nmetadata:"),
}
# What only resembles it.
TAKEN = {
    "in quotes": head("description: Does one thing. Use when that thing is to be done.",
                      'description: "Does\tone \'thing: {x: y} &a !b #c. Use when *z"'),
    "in a block and a comment": head("metadata:\n", "license: |\n  a\tb [c] &d\n# it's: {x: y} \t &a\nmetadata:\n"),
    "even maps": head("metadata:\n", "license: MIT\nmetadata:\n  a:\n    b: c\n  d:\n    e: f\n"),
    "in plain text": head("metadata:\n", "metadata:\n  a: it's a & b ! c [d] {e} - * f\n"),
}  # fmt: skip


def reference_says(folder: Path) -> bool:
    """What the validator of the open standard says of a skill; it comes with the extra `dev`."""
    validator = pytest.importorskip("skills_ref.validator", reason="pip install -e '.[dev]' brings the validator")
    return not list(validator.validate(folder))


def test_the_reference_validator_takes_the_skills_that_ship() -> None:
    assert [name for name in NAMES if not reference_says(SKILLS / name)] == []


@pytest.mark.parametrize("code", BOTH)
def test_what_the_reference_validator_refuses_labctl_refuses_too(code: str, labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", CASES[f"SKILL_{code}"][0])
    assert labctl("skills", "lint", str(folder), "--strict").code == 1
    assert not reference_says(folder)


@pytest.mark.parametrize("text", STRICT.values(), ids=STRICT)
def test_what_only_strict_readers_refuse_is_told_before_it_is_published(
    text: str, labctl: Labctl, tmp_path: Path
) -> None:
    folder = put(tmp_path / "a-skill", text)
    assert {issue["code"] for issue in found(labctl, folder)} <= {"SKILL_YAML_STRICT", "SKILL_FLOW_STYLE"}
    assert labctl("skills", "lint", str(folder)).code == 0
    assert labctl("skills", "lint", str(folder), "--strict").code == 1
    assert not reference_says(folder)


@pytest.mark.parametrize("text", TAKEN.values(), ids=TAKEN)
def test_signs_in_quotes_and_comments_are_let_through(text: str, labctl: Labctl, tmp_path: Path) -> None:
    folder = put(tmp_path / "a-skill", text)
    assert found(labctl, folder, "--strict") == []
    assert reference_says(folder)
