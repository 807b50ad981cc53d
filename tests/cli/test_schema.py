"""labctl schema: a JSON Schema of everything that is printed for programs or kept."""

from __future__ import annotations

import json
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own
import pytest
import yaml

from lab.cli import schemas
from lab.cli.commands import COMMANDS
from lab.core import space
from lab.core.errors import BadInput
from lab.projections.picture import whole
from tests.cli.agreed import check
from tests.cli.labs import CHECKOUT, Labctl, Said
from tests.web.pictures import a_picture

SPACES = (
    {"x": {"low": -5, "high": 5, "type": "float"}},
    {"parameters": {"lr": {"low": 0.0001, "high": 0.1, "log": True, "default": 0.01}}, "constraints": ["lr <= 0.5"]},
    {"parameters": {"kind": {"choices": ["adam", "sgd", None]}, "m": {"low": 0, "high": 1, "when": {"kind": "sgd"}}}},
    {"batch": {"value": 64}, "nesterov": {"type": "bool"}, "layers": {"low": 1, "high": 9, "step": 2, "type": "int"}},
)
NO_SPACES: tuple[object, ...] = (
    {},
    [],
    {"x": 1},
    {"x": {"lo": 1, "high": 2}},
    {"x": {"choices": []}},
    {"parameters": {}},
)


def validator(name: str) -> Any:  # noqa: ANN401  # jsonschema has no types
    return jsonschema.Draft202012Validator(schemas.named(name))


@pytest.mark.parametrize("name", [*schemas.known(), *(each.name for each in COMMANDS)])
def test_every_schema_is_one_and_stands_alone(name: str) -> None:
    schema = schemas.named(name)
    assert schema["$schema"] == schemas.DRAFT
    jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(schema)
    defs = schema.get("$defs", {})
    assert isinstance(defs, dict)
    found = {part.split('"')[0] for part in text.split('"$ref": "')[1:]}
    assert all(ref.removeprefix("#/$defs/") in defs for ref in found)


@pytest.mark.parametrize("runs", [1, 30])
def test_a_picture_is_as_its_schema_says(runs: int) -> None:
    made = a_picture(runs)
    written = whole.encode(made)
    validator("picture.json").validate(json.loads(written))
    assert whole.parse(written) == made


def test_the_same_is_printed_as_text_and_as_data(labctl: Labctl) -> None:
    for name in ("spec", "status", "SEAL.json", "manifest"):
        assert json.loads(labctl.done("schema", name).out) == labctl.done("schema", name, "--json").data
    whole = json.loads(labctl.done("validate", "--schema").out)
    assert json.loads(labctl.done("schema", "spec").out)["properties"] == whole["properties"]


def test_the_contract_is_printed_as_it_is_committed(labctl: Labctl) -> None:
    assert labctl.done("schema", "--manifest").out == (CHECKOUT / "LAB_MANIFEST.json").read_text(encoding="utf-8")
    validator("manifest").validate(labctl.done("schema", "--manifest", "--json").data)


@pytest.mark.parametrize("line", ["schema spec --list", "schema --list --manifest", "explain 3 --list"])
def test_one_thing_is_asked_at_a_time(line: str, labctl: Labctl) -> None:
    assert labctl(*line.split()).code == 2


def test_all_names_are_listed(labctl: Labctl) -> None:
    listed = [line.split()[0] for line in labctl.done("schema", "--list").out.splitlines()]
    assert listed == list(schemas.known())
    assert {"spec", "space", "manifest", "envelope", "SEAL.json", "labctl.status/1"} <= set(listed)


@pytest.mark.parametrize(
    ("typed", "meant"), [("seal.json", "SEAL.json"), ("stauts", "status"), ("labctl.show", "show")]
)
def test_a_misspelt_name_gets_the_nearest(typed: str, meant: str, labctl: Labctl) -> None:
    said = labctl("schema", typed)
    assert said.code in (0, 2)
    assert meant in said.all


def test_a_name_is_wanted(labctl: Labctl) -> None:
    said = labctl("schema")
    assert said.code == 2
    assert "labctl schema --list" in said.err


@pytest.mark.parametrize("written", SPACES, ids=str)
def test_a_space_that_labctl_reads_is_one_by_its_schema(written: dict[str, object]) -> None:
    space.parse(written)
    validator("space").validate(written)


@pytest.mark.parametrize("written", NO_SPACES, ids=str)
def test_what_is_plainly_no_space_is_none_by_its_schema(written: object) -> None:
    assert not validator("space").is_valid(written)
    if isinstance(written, dict):
        with pytest.raises(BadInput):
            space.parse(written)


@pytest.mark.parametrize("template", sorted((CHECKOUT / "templates").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_template_is_as_the_schemas_say(template: Any) -> None:  # noqa: ANN401  # a path
    read = yaml.safe_load(template.read_text(encoding="utf-8"))
    validator("spec").validate(read)
    if isinstance(read.get("search_space"), dict):
        validator("space").validate(read["search_space"])


@pytest.mark.parametrize(
    ("order", "good"),
    [
        ({"intent": "pause", "target": "alpha"}, True),
        ({"intent": "create", "parameters": {"spec": "id: x"}, "sent_by": "a phone"}, True),
        ({"intent": "explode"}, False),
        ({"target": "alpha"}, False),
        ({"intent": "pause", "parameters": "now"}, False),
    ],
    ids=str,
)
def test_an_order_is_as_its_schema_says(order: dict[str, object], good: bool) -> None:
    assert validator("order").is_valid(order) is good


@pytest.mark.parametrize(
    "broken",
    [
        {"schema": "labctl.init/1", "ok": True, "data": {"data_root": "/x"}, "warnings": [], "next": []},
        {"schema": "labctl.init/1", "ok": True, "data": {"data_root": 1, "made": True}, "warnings": [], "next": []},
        {"schema": "labctl.init/1", "ok": True, "data": {"data_root": "/x", "made": True, "more": 1}, "warnings": [],
         "next": []},
        {"schema": "labctl.init/1", "ok": False, "error": {"kind": "busy"}},
        {"schema": "labctl.init/1", "ok": True},
    ],
    ids=["a key less", "another type", "a key more", "half an error", "nothing"],
)  # fmt: skip
def test_a_document_that_disagrees_is_seen(broken: dict[str, object]) -> None:
    with pytest.raises(AssertionError):
        check(broken)


def test_an_agent_can_check_a_refusal_too(labctl: Labctl) -> None:
    said: Said = labctl("show", "nothing", "--json")
    validator("labctl.show/1").validate(json.loads(said.out))
    validator("envelope").validate(json.loads(said.out))
