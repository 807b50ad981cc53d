"""Every name that the declarations and the skills of research use leads somewhere, and shipped text ends as text."""

from __future__ import annotations

import re
import tomllib
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.core.skills import page as pages
from lab.research import declared, worker
from lab.research.project import PHASES, Project
from lab.research.projects import checked
from lab.research.work import contract
from lab.research.work.inputs import value_of
from lab.testing.files import a_root

if TYPE_CHECKING:
    from collections.abc import Iterator

CHECKOUT = Path(__file__).resolve().parents[3]
FENCE = re.compile(rb"HERMES_|^[A-Z_]*EOF[A-Z_]*\n*\Z", re.MULTILINE)  # left behind by whoever wrote it in a shell
BY_NAME: dict[str, declared.Phase] = {each.name: each for each in declared.phases()}


@pytest.mark.parametrize("phase", declared.phases(), ids=lambda each: each.name)
def test_a_phase_names_workers_inputs_and_checks_that_there_are(phase: declared.Phase) -> None:
    for name in (phase.executor, *phase.may):
        assert name in worker.names()
        worker.find(name)
    for given in phase.inputs:
        kind, colon, key = given.partition(":")
        if colon:
            assert kind in ("project", "folder")
            value_of(Project(mode="A"), key)
            continue
        earlier, _, file = given.partition("/")
        assert PHASES.index(earlier) < PHASES.index(phase.name)
        outputs = [each.removeprefix("?") for each in BY_NAME[earlier].outputs]
        assert any(file == each or file.startswith(each) or each.startswith(file) for each in outputs), given
    module, _, name = contract.CHECKS[phase.name].partition(":")
    assert callable(getattr(import_module(module), name))


@pytest.mark.parametrize("mode", declared.modes(), ids=lambda each: each.name)
def test_a_mode_names_phases_and_keys_that_there_are(mode: declared.Mode) -> None:
    assert {mode.start, *mode.skip, *mode.minimal} <= set(PHASES)
    assert set(mode.needs) <= set(Project.__struct_fields__)
    assert declared.mode(mode.word) == declared.mode(mode.name.lower()) == mode


def test_every_worker_does_a_phase() -> None:
    named = {name for phase in declared.phases() for name in (phase.executor, *phase.may)}
    assert named == set(worker.BUILT_IN)


def test_what_is_told_to_install_is_an_extra_that_there_is() -> None:
    extras = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    told = {
        name
        for path in (CHECKOUT / "lab").rglob("*.py")
        for names in re.findall(r"labctl\[([a-z,-]+)\]", path.read_text())
        for name in names.split(",")
    }
    assert "publish" in told
    assert told <= set(extras)


def test_the_skills_about_research_name_modes_templates_and_skills_that_there_are() -> None:
    text = (CHECKOUT / "templates/skills/labctl-research/SKILL.md").read_text()
    shown = re.findall(r"^\| [^|]+ \| `([A-E])` (\w+) \|", text, re.MULTILINE)
    assert shown == [(each.name, each.word) for each in declared.modes()]
    remote = (CHECKOUT / "templates/skills/labctl-tinker/SKILL.md").read_text()
    for name in re.findall(r"^\| [^|]+ \| `(tinker-[a-z]+)` \|", remote, re.MULTILINE):
        assert (CHECKOUT / "templates" / name / "SPEC.yaml").is_file()
    for skill in ("labctl-research", "labctl-tinker"):
        page = pages.parse((CHECKOUT / "templates/skills" / skill / "SKILL.md").read_bytes())
        for name in re.findall(r"labctl-[a-z-]+", page.playbook):
            assert (CHECKOUT / "templates/skills" / name / "SKILL.md").is_file(), name


def shipped() -> Iterator[Path]:
    for folder in ("templates", "config", "examples"):
        yield from (
            path
            for path in (CHECKOUT / folder).rglob("*")
            if path.suffix in (".md", ".yaml", ".py", ".j2", ".bib", ".csv", ".json", ".jsonl", ".sh", ".txt")
            and not {"__pycache__", "lab-data"} & set(path.parts)
        )


def test_shipped_text_ends_in_one_newline_and_holds_no_fence_of_a_heredoc() -> None:
    paths = list(shipped())
    assert len(paths) > 50
    wrong = []
    for path in paths:
        data = path.read_bytes()
        if not data.endswith(b"\n") or data.endswith(b"\n\n") or FENCE.search(data):
            wrong.append(str(path.relative_to(CHECKOUT)))
    assert wrong == []


@pytest.mark.parametrize("text", [b"x\nHERMES_EOF\ny\n", b"x\nEOF\n", b"x\nSKILL_EOF\n\n"])
def test_such_a_fence_is_seen(text: bytes) -> None:
    assert FENCE.search(text)


@pytest.mark.parametrize(
    ("more", "name", "what"),
    [
        ({"routing": {"ideation": "nobody"}}, "ideation", "there is no worker of a phase 'nobody'"),
        ({"routing": {"training": "rules"}}, "training", "rules does another phase"),
        ({"routing": {"ideation": "agent"}}, "agent", "none is named"),
        ({"routing": {"ideation": "agent"}, "agent": {"provider": "nobody"}}, "agent", "nobody"),
        ({"training": {"strategy": "nobody"}}, "strategy", "nobody"),
    ],
)
def test_an_id_that_leads_to_nothing_is_named(tmp_path: Path, more: dict[str, object], name: str, what: str) -> None:
    import msgspec

    made = msgspec.convert({"mode": "A", **more}, Project)
    looks = list(checked.of_project(a_root(tmp_path), made, str(tmp_path)))
    assert any(each.name == name and each.state == checked.FAILED and what in each.what for each in looks), looks


def test_a_declaration_that_is_wrong_is_one_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise BadInput("a part of labctl is not there", where="phases.yaml", fix="install labctl again")

    monkeypatch.setattr(declared, "phases", broken)
    looks = list(checked.of_project(a_root(tmp_path), Project(mode="A"), str(tmp_path)))
    assert [(each.name, each.state) for each in looks] == [("declarations", checked.FAILED)]
