"""What is written about the command line is what it does: manifest, reference pages, schemas, completion, README."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own
import pytest
import yaml

from lab.cli import agents_page, reference
from lab.cli.commands import COMMANDS, words
from lab.cli.parser import EXIT_CODES
from lab.core import errors, spec_page
from tests.cli.labs import CHECKOUT, SHIM

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.labs import Labctl

GENERATED: dict[str, Callable[[], bytes]] = {
    "LAB_MANIFEST.json": reference.manifest,
    "AGENTS.md": lambda: agents_page.page().encode(),
    "docs/reference/cli.md": lambda: reference.page().encode(),
    "docs/reference/spec.md": lambda: reference.spec_page().encode(),
    "docs/reference/project.md": lambda: reference.project_page().encode(),
}
MANIFEST = json.loads(reference.manifest())
TEMPLATES = sorted((CHECKOUT / "templates").glob("*.yaml"))
SHELLS = ("bash", "zsh", "fish", "tcsh")
README = CHECKOUT / "README.md"


@pytest.mark.parametrize("name", GENERATED)
def test_what_is_generated_is_up_to_date(name: str) -> None:
    committed = (CHECKOUT / name).read_bytes()
    assert committed == GENERATED[name](), f"{name} is out of date: run scripts/reference, and commit what it wrote"


def test_the_manifest_is_json_that_any_reader_takes() -> None:
    def refuse(constant: str) -> object:
        raise AssertionError(constant)

    told = json.loads((CHECKOUT / "LAB_MANIFEST.json").read_bytes(), parse_constant=refuse)
    assert told["name"] == "labctl"


def test_the_manifest_names_every_verb_once() -> None:
    assert [each["name"] for each in MANIFEST["commands"]] == [command.name for command in COMMANDS]
    assert [name for each in MANIFEST["commands"] for name in (each["name"], *each["aliases"])] == list(words())


def test_the_manifest_names_every_exit_code() -> None:
    told = {int(code) for code in MANIFEST["exit_codes"]}
    raised = {
        kind.exit_code for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.LabError)
    }
    assert raised | {errors.DONE, errors.INTERRUPTED} <= told
    assert told == {code for code, _ in EXIT_CODES}


@pytest.mark.parametrize("command", MANIFEST["commands"], ids=lambda command: command["name"])
def test_every_command_of_the_manifest_explains_itself_with_its_flags(command: dict[str, Any], labctl: Labctl) -> None:
    told = labctl.done(str(command["name"]), "--help").out
    for flag in command["flags"]:
        assert all(spelling in told for spelling in flag["flags"])
    for argument in command["arguments"]:
        assert argument["name"] in told or all(choice in told for choice in argument["choices"])
    for alias in command["aliases"]:
        assert labctl.done(str(alias), "--help").out == told


@pytest.mark.parametrize("command", MANIFEST["commands"], ids=lambda command: command["name"])
def test_every_example_is_a_command_line_that_parses(command: dict[str, list[str]]) -> None:
    assert command["example"]
    for line in command["example"]:
        assert re.search(rf"\blabctl {command['name']}\b", line), line


@pytest.mark.parametrize("name", MANIFEST["schemas"])
def test_every_schema_is_a_json_schema(name: str) -> None:
    schema = MANIFEST["schemas"][name]
    jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator).check_schema(schema)


@pytest.mark.parametrize("template", TEMPLATES, ids=lambda path: path.stem)
def test_the_spec_schema_accepts_every_template(template: Path) -> None:
    jsonschema.validate(yaml.safe_load(template.read_text(encoding="utf-8")), spec_page.json_schema())


@pytest.mark.parametrize("wrong", [{"metric_directon": "minimize"}, {"metric": ["a"]}, {"id": ["a"]}], ids=str)
def test_the_spec_schema_refuses_what_labctl_refuses(wrong: dict[str, object]) -> None:
    value = {"id": "alpha", "metric": "loss", "executor_command": "true", **wrong}
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(value, spec_page.json_schema())


@pytest.mark.parametrize("shell", SHELLS)
def test_a_completion_script_knows_every_verb_and_flag(shell: str, labctl: Labctl, tmp_path: Path) -> None:
    script = labctl.done("completion", shell).out
    for word in words():
        assert re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", script), word
    for flag in ("--dry-run", "--repair", "--restore", "--json"):
        assert flag in script or flag.removeprefix("--") in script
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed: its script is not checked by it")
    (tmp_path / "script").write_text(script)
    done = subprocess.run([program, "-n", str(tmp_path / "script")], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_bash_completes_a_verb(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "script").write_text(labctl.done("completion", "bash").out)
    program = (
        f"source {tmp_path}/script; COMP_WORDS=(labctl watchd); COMP_CWORD=1; "
        '$(complete -p labctl | sed "s/.*-F \\([^ ]*\\).*/\\1/"); printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["watchdog"]


def test_the_example_of_the_help_does_what_a_newcomer_wants(labctl: Labctl, tmp_path: Path) -> None:
    (line,) = re.findall(r"^example:\n  (.*)$", labctl.done("--help").out, re.MULTILINE)
    shim = tmp_path / "bin/labctl"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SHIM}" "$@"\n')
    shim.chmod(0o755)
    environ = {**os.environ, "PATH": f"{shim.parent}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, cwd=tmp_path, env=environ, check=False)
    assert done.returncode == 0, done
    assert re.search(r"^30 runs in .*: 30 ok, 0 failed; new best", done.stdout, re.MULTILINE), done


def test_every_verb_that_the_readme_names_is_one() -> None:
    text = README.read_text(encoding="utf-8")
    typed = set(re.findall(r"\blabctl ([a-z][a-z-]+)\b", text))
    assert typed
    assert typed <= set(words()) | {"is"}
