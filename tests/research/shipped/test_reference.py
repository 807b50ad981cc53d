"""docs/reference tells of a project as it is: every key, every file of a phase, every record by its schema."""

from __future__ import annotations

from pathlib import Path

import jsonschema  # type: ignore[import-untyped]
import msgspec
import pytest

from lab.cli import schemas
from lab.core import record
from lab.research import declared, project, project_page
from lab.research.projects import wish
from lab.research.release import manifest

CHECKOUT = Path(__file__).resolve().parents[3]
PAGES = CHECKOUT / "docs/reference"


def test_every_key_of_a_project_says_what_it_means() -> None:
    told = dict(project_page.every_key())
    parts = {name: kind for name, kind in project.Project.__annotations__.items() if f"{name}." in " ".join(told)}
    assert len(parts) == 7
    assert set(project.Project.__struct_fields__) | {"literature.queries", "paper.ai_statement"} <= set(told)
    assert [name for name, each in told.items() if not str(each.get("description", "")).endswith(".")] == []


def test_every_key_is_a_row_with_the_phases_that_it_is_given_to() -> None:
    rows = {line.split("`")[1]: line for line in project_page.page().splitlines() if line.startswith("| `")}
    assert {name for name, _ in project_page.every_key()} <= set(rows)
    assert rows["topic"].endswith("| literature, ideation, writing |")
    assert rows["literature.own"].endswith("| literature |")
    assert rows["publish.to"].startswith("| `publish.to` | git \\| huggingface |")
    assert rows["skip"].endswith("|  |")


def test_the_page_that_a_new_project_names_is_there() -> None:
    named = [word for word in wish.__dict__["_HEAD"].split() if word.endswith(".md")]
    assert named == ["docs/reference/project.md"]
    assert (CHECKOUT / named[0]).is_file()


def test_the_page_of_formats_names_what_every_phase_leaves() -> None:
    page = (PAGES / "formats.md").read_text(encoding="utf-8")
    left = [name.removeprefix("?") for phase in declared.phases() for name in phase.outputs]
    beside = ["research.json", "paper.json", "agent/came.json", "scratch/research/cache", "scratch/research/hosts"]
    assert [name for name in (*left, *beside, "scratch/research/digests") if f"`{name}`" not in page] == []
    assert [name for name in schemas.OF_PROJECTS if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", schemas.OF_PROJECTS)
def test_what_a_project_keeps_has_a_schema(name: str) -> None:
    schema = schemas.named(name)
    jsonschema.Draft202012Validator.check_schema(schema)
    assert "properties" in str(schema)


def test_a_release_is_as_its_schema_says() -> None:
    told = manifest.Release(project="lines", title="Lines", files=())
    checked = jsonschema.Draft202012Validator(schemas.named("release.json"))
    checked.validate(msgspec.json.decode(record.page(told)))
    assert not checked.is_valid({"project": "lines"})
    assert {"reason", "decision"} <= set(str(schemas.named("decision.json")).split("'"))
