"""LAB_MANIFEST.json is true: of the flags, the answers, the files, the variables and the words of this labctl."""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

import jsonschema  # type: ignore[import-untyped]  # its types come in a package of their own
import pytest

from lab.cli import agents_page, commands, exits, flags, reference, schemas
from lab.cli.commands import COMMANDS
from lab.cli.shapes.table import SHAPES
from lab.core import inventory, layout, spec_fields, variables
from lab.core.run import Run
from lab.executors import environment, placeholders
from lab.projections import readme
from lab.scheduler import refresh
from lab.testing.executors import a_manifest
from lab.testing.files import a_root
from tests.cli import handed, models
from tests.cli.labs import CHECKOUT, a_busy_lab, process, runs_of
from tests.cli.searches import a_searched_lab, some_runs
from tests.llm.faulty import Faulty
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

MANIFEST: dict[str, Any] = json.loads(reference.manifest())
BY_NAME: dict[str, dict[str, Any]] = {each["name"]: each for each in MANIFEST["commands"]}
MOST_BYTES = 352_000  # 6 kB of it are the index, by which the rest need not be read


def flag(verb: str, name: str) -> dict[str, Any]:
    return next(each for each in BY_NAME[verb]["flags"] if name in each["flags"])


def references(value: object) -> list[str]:
    if isinstance(value, list):
        return [found for each in value for found in references(each)]
    if not isinstance(value, dict):
        return []
    own = [value["$ref"]] if isinstance(value.get("$ref"), str) else []
    return own + [found for each in value.values() for found in references(each)]


def test_it_is_as_its_own_schema_says() -> None:
    schema = schemas.named("manifest")
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(MANIFEST)


def test_it_stays_small_enough_to_be_read() -> None:
    data = (CHECKOUT / "LAB_MANIFEST.json").read_bytes()
    assert len(data) < MOST_BYTES
    assert data == reference.manifest()


def test_its_head_is_enough_to_find_a_verb_and_to_write_a_program() -> None:
    named = [name for verbs in MANIFEST["index"].values() for name in verbs]
    assert sorted(named) == sorted(BY_NAME)
    assert list(MANIFEST)[:6] == ["manifest_format", "name", "version", "read_first", "index", "programs"]
    told = " ".join(MANIFEST["programs"].values())
    assert all(f"{{{name}}}" in told for name in placeholders.NAMES)
    assert set(re.findall(r"\$(LAB_[A-Z_]+)", told)) <= {*variables.GIVEN, "LAB_PARAM_LR"}
    assert all(word in told for word in ("METRIC loss=0.25", "metrics.json", "LAB_PARAMS_PATH", "{params.lr}"))


def test_nothing_in_it_points_to_a_place_below() -> None:
    assert not re.findall(r"see [A-Z][a-z ]+ below", reference.manifest().decode())


def test_every_verb_says_what_its_data_looks_like() -> None:
    assert set(SHAPES) == {each.name for each in COMMANDS} | {schemas.ALONE}


def test_every_schema_in_it_leads_somewhere() -> None:
    own = {key: value for key, value in MANIFEST.items() if key != "schemas"}
    parts = [own, *({key: MANIFEST["schemas"][key]} for key in MANIFEST["schemas"] if key not in ("spec", "space"))]
    found = {name for part in parts for name in references(part)}
    assert found
    assert all(name.removeprefix("#/$defs/") in MANIFEST["$defs"] for name in found)


def test_flags_say_their_type_and_default() -> None:
    assert flag("burst", "-n") == {
        "flags": ["-n", "--iterations"],
        "type": "integer",
        "help": "how many runs (default 10)",
        "takes": "N",
        "default": 10,
    }
    assert flag("burst", "--pause")["type"] == "number"
    assert flag("space", "--seed")["default"] == 0
    assert flag("burst", "--resume")["type"] == "boolean"
    assert flag("run-once", "--experiment")["repeatable"] is True
    assert flag("export", "--format")["choices"] == ["csv", "jsonl", "parquet", "optuna"]
    assert flag("reject", "--why")["required"] is True
    assert BY_NAME["propose"]["exclusive"] == [{"flags": ["--params", "--tier"], "required": True}]
    assert BY_NAME["lease"]["sub_verbs"] == ["show", "break"]
    assert [each["flags"][-1] for each in MANIFEST["flags_everywhere"]] == list(flags.EVERYWHERE)


def test_exit_codes_of_a_verbs_own_are_those_of_a_verb() -> None:
    assert set(exits.OWN) <= {each.name for each in COMMANDS}
    # What starts `exec` is an engine, and no script that goes by the general meaning of a code.
    told = {code for verb, own in exits.OWN.items() if verb != "exec" for code in own}
    assert told <= {int(code) for code in MANIFEST["exit_codes"]}


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("best", "empty"), 1),
        (("top", "empty"), 1),
        (("dispatch-agent-next",), 3),
        (("run-once",), 0),
    ],
    ids=str,
)
def test_a_verb_ends_with_the_code_that_is_told_of_it(
    words: tuple[str, ...], code: int, labctl: Labctl, place: Path
) -> None:
    root = a_busy_lab(place)
    an_experiment(root, "empty")
    labctl.done("pause", "alpha")
    labctl.done("pause", "beta")
    labctl.done("pause", "empty")
    assert str(code) in BY_NAME[words[0]]["exit_codes"]
    assert labctl(*words).code == code


# Told to what measures a change on a copy of its workspace.
ON_A_COPY = {"LAB_EFFECTIVE_WORKSPACE_ROOT", "LAB_ORIGINAL_WORKSPACE_ROOT", "LAB_RUN_ARTIFACTS_DIR"}
# Told to a recipe by its executor.
OF_A_CHUNK = {"LAB_CHUNK_PATH"}
# Told to the steps of a candidate.
IN_A_LOOP = {
    "LAB_STEP", "LAB_BRIEF_PATH", "LAB_START", "LAB_DIRECTION", "LAB_IDEA", "LAB_ASI_PATH", "LAB_DEVICE_BATCH_DIVISOR",
    "LAB_GRAD_ACCUM_FACTOR",
}  # fmt: skip


def test_every_variable_of_a_run_is_told_of_and_no_other() -> None:
    spec = spec_fields.Spec(id="sweep", seed=1, fidelity_tiers=("default", "final"))
    best = Run(run_id="RUN-1", experiment="sweep", outcome="success", value=1.0)
    child, _ = environment.build(
        environ={}, spec=spec, manifest=a_manifest(), params={"lr": 0.1}, best=best,
        places=environment.Places(data_root="/lab", path="/lab/run", workspace="/code"),
    )  # fmt: skip
    given = {name for name in child if name.startswith(("LAB_", "HERMES_"))} - {"LAB_PARAM_LR"} | {"LAB_PARAM_<NAME>"}
    assert given | ON_A_COPY | OF_A_CHUNK | IN_A_LOOP == set(variables.GIVEN)


def test_every_variable_that_the_lab_reads_is_told_of() -> None:
    found = set()
    for path in (CHECKOUT / "lab").rglob("*.py"):
        if "agents" in path.parts:  # what agents go by, and labctl sets for them: docs/reference/agents.md
            continue
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"""environ(?:\.get\(|\[)["']([A-Z_]+)["'](?!\] =)""", text))
    told = " ".join([*variables.READ, *variables.READ.values(), *variables.GIVEN])
    assert {name for name in found if name not in told} == set()


def used_lab(place: Path, labctl: Labctl) -> str:
    """A lab in which much has happened: searches, packages, questions, orders, an archive, digests."""
    root = a_searched_lab(place, more="executor: stub\n")
    some_runs(root)
    an_experiment(root, "other", "executor: stub\n")
    (place / "control/inbox/a.json").write_text('{"intent": "pause", "target": "other", "idempotency_key": "k-1"}')
    (place / "control/inbox/b.json").write_text('{"intent": "pawse"}')
    for stale in (place / "control/inbox").iterdir():
        os.utime(stale, (1, 1))
    labctl.done("run-once", "--experiment", "sweep", "--now")
    labctl.done("resume", "other")
    labctl.done("dispatch-ready", "--experiment", "other", "--now")
    labctl.done("dispatch-claim")
    (place / "control/notify.json").write_text('{"channels": [{"name": "me", "command": ["true"]}]}')
    params = place.parent / "params.json"
    params.write_text('{"lr": 0.5, "depth": 2, "kind": "adam"}')
    labctl.done("propose", "sweep", "--params", str(params))
    labctl.done("approve", "sweep-1")
    labctl.done("propose", "sweep", "--tier", "final")
    labctl.done("reject", "sweep-2", "--why", "no")
    labctl.done("propose", "sweep", "--tier", "final")
    labctl.done("digest", "--date", "2026-01-02")
    labctl.done("weekly-digest", "--week", "2026-W01")
    labctl.done("burst", "sweep", "-n", "3", "--strategy", "random")
    labctl.done("prune", "--keep", "5", "--experiment", "sweep", "--yes")
    an_experiment(root, "placed")
    running = handed.handed(root, "placed", number="7")
    handed.seen(root, running, "waiting")
    handed.started(root, running)
    handed.printed(root, running, "hello\n")
    labctl.done("cancel", "placed")
    refresh.everything(root)
    return root.layout.root


def walked(top: str) -> list[str]:
    found = []
    for folder, _, names in os.walk(top):
        found += [os.path.relpath(os.path.join(folder, name), top) for name in names]
    return found


def fits(known: inventory.Known, path: str) -> bool:
    pattern = re.sub(r"<[a-z]+>", "[^/]+", re.escape(known.path).replace(r"\<", "<").replace(r"\>", ">"))
    return re.fullmatch(pattern + (".+" if known.path.endswith("/") else ""), path) is not None


def line_of(path: str) -> inventory.Known | None:
    return next((each for each in inventory.FILES if fits(each, path)), None)


def test_every_file_of_a_lab_is_told_of_and_is_what_its_schema_says(labctl: Labctl, place: Path) -> None:
    top = used_lab(place, labctl)
    seen = set()
    for path in walked(top):
        known = line_of(path)
        assert known is not None, path
        seen.add(known.path)
        if known.schema and known.format in ("json", "jsonl"):
            validator = jsonschema.Draft202012Validator(schemas.named(known.schema))
            with open(os.path.join(top, path), encoding="utf-8") as file:
                text = file.read()
            for row in text.splitlines() if known.format == "jsonl" else [text]:
                errors = [error.message for error in validator.iter_errors(json.loads(row))]
                assert errors == [] or "pawse" in row, (path, errors)
    assert len(seen) > 40  # or this test looks at little


def test_what_is_called_derived_comes_back_and_nothing_else_is_called_so(labctl: Labctl, place: Path) -> None:
    """The law, as README-FIRST.md tells it: with archives, packages, questions to models, and runs of another lab."""
    root = a_root(used_lab(place, labctl))
    another = a_busy_lab(place.parent / "another")
    labctl.done("import-root", another.layout.root)
    with Faulty(models.steadily()) as server:
        told = json.dumps({"base_url": server.url, "model": "m", "timeout_s": 10, "candidates": 4})
        an_experiment(root, "asked", f"{models.SPACE}{models.PROGRAM}llm: {told}\n")
        labctl.done("burst", "asked", "-n", "2")
    labctl.done("refresh")
    kinds = {path: layout.kind_of(path) for path in walked(str(place))}
    before = {path: (place / path).read_bytes() for path, kind in kinds.items() if kind != layout.PASSING}
    for path, kind in kinds.items():
        known = line_of(path)
        assert kind, path
        assert known is not None, path
        assert known.canonical == (kind in (layout.CANONICAL, layout.PEOPLES)), path
        if kind == layout.DERIVED:
            (place / path).unlink()
    for folder in ("archived", "asks", "backups", "dispatch", "ledgers", "digests"):
        assert any(f"{folder}/" in path for path in before), folder
    labctl.done("refresh")
    assert {path: (place / path).read_bytes() for path in before} == before
    verified = labctl("verify", "--json")
    assert verified.code == 0, verified


def test_every_path_of_the_contract_names_a_schema_that_exists() -> None:
    for each in inventory.FILES:
        if each.schema:
            assert schemas.named(each.schema)["$schema"] == schemas.DRAFT


def test_it_is_written_by_the_script_that_says_so(tmp_path: Path) -> None:
    text = (CHECKOUT / "scripts/reference").read_text(encoding="utf-8")
    assert '"LAB_MANIFEST.json": reference.manifest()' in text
    assert '"AGENTS.md": agents_page.page()' in text


# -- AGENTS.md ---------------------------------------------------------------------------------------------------------


def test_the_page_for_agents_is_short_and_up_to_date() -> None:
    committed = (CHECKOUT / "AGENTS.md").read_text(encoding="utf-8")
    assert committed == agents_page.page(), "AGENTS.md is out of date: run scripts/reference, and commit what it wrote"
    assert len(committed.splitlines()) < 150


@pytest.mark.parametrize("page", [agents_page.page(), readme.agents().decode()], ids=["repository", "data root"])
def test_the_page_for_agents_types_what_can_be_typed(page: str) -> None:
    for words in re.findall(r"`labctl ([^`]*)`", page):
        verb = words.split()[0]
        assert verb in ("VERB", *commands.words()), words
        for name in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", words):
            known = [] if verb == "VERB" else [spelt for each in BY_NAME[verb]["flags"] for spelt in each["flags"]]
            assert name in (*known, *flags.EVERYWHERE, "--help"), words


def test_the_page_for_agents_names_every_verb_code_and_kind_of_error() -> None:
    page = agents_page.page()
    assert all(f"`{each.name}`" in page for each in COMMANDS)
    assert all(f"`{kind}`" in page for kind in MANIFEST["error_kinds"])
    assert all(f"- `{code}` {means}\n" in page for code, means in MANIFEST["exit_codes"].items())


def test_a_data_root_has_a_page_for_agents_and_leaves_a_persons_own_alone(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    path = place / "AGENTS.md"
    assert path.read_bytes() == readme.agents()
    path.write_text("# My rules\n\nAsk me first.\n")
    labctl.done("refresh")
    labctl.done("pause", "alpha")
    assert path.read_text() == "# My rules\n\nAsk me first.\n"
    path.unlink()
    labctl.done("refresh")
    assert path.read_bytes() == readme.agents()
    assert runs_of(root, "alpha")


def test_a_folder_that_holds_only_a_page_for_agents_can_become_a_lab(labctl: Labctl, place: Path) -> None:
    place.mkdir()
    (place / "AGENTS.md").write_text("# Ours\n")
    labctl.done("init")
    assert (place / "AGENTS.md").read_text() == "# Ours\n"


def test_the_contract_needs_no_lab_and_no_checkout_around(tmp_path: Path) -> None:
    for words in (("schema", "manifest"), ("explain", "3"), ("schema", "--list")):
        said = process(*words, "--json", cwd=tmp_path)
        assert said.code == 0, said
        assert said.data
    assert list(tmp_path.iterdir()) == []
