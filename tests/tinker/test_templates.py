"""The templates of remote training: what they say of themselves, their data, and that they train."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import assignment
from lab.core.errors import BadInput
from lab.store import experiments, shipped
from lab.tinker import dataset
from lab.tinker.dataset import Comparison, Demonstration, Pair, Task
from tests.tinker import chunks

if TYPE_CHECKING:
    from lab.core.parameter import Scalar
    from lab.core.spec import Spec

FOLDER = Path(shipped.template_folder())
NOBODY = "http://127.0.0.1:9"
NAMES = ("tinker-sl", "tinker-rl", "tinker-dpo", "tinker-rlhf")
DATA: dict[str, dict[str, type[dataset.Example]]] = {
    "tinker-sl": {"train.jsonl": Demonstration, "heldout.jsonl": Demonstration},
    "tinker-rl": {"train.jsonl": Task, "heldout.jsonl": Task},
    "tinker-dpo": {"train.jsonl": Pair, "heldout.jsonl": Pair},
    "tinker-rlhf": {
        "demonstrations.jsonl": Demonstration, "comparisons.jsonl": Comparison, "heldout.jsonl": Comparison,
        "prompts.jsonl": Task,
    },
}  # fmt: skip
FILES = [path for name in NAMES for path in sorted((FOLDER / name).iterdir()) if path.is_file()]
RECIPES = [path for path in FILES if path.suffix == ".py"]


def carried(url: str, folder: Path, name: str, *words: str, recipe: str = "recipe.py", **given: object) -> chunks.Chunk:
    """One chunk of a template, in a process of its own, with the parameters that its SPEC begins with."""
    seed = spec_of(name).seed or 0
    chunks.write(folder, chunks.order(url, tuning=None, params=defaults(name), seed=seed, **given))
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), **chunks.environment(folder)}
    ran = subprocess.run(
        [sys.executable, str(FOLDER / name / recipe), *words], cwd=folder, capture_output=True, check=False, text=True,
        env={**environ, "PYTHONPATH": str(chunks.CHECKOUT)}, timeout=55,
    )  # fmt: skip
    done = chunks.Chunk(str(folder), ran.returncode, ran.stdout, ran.stderr)
    assert done.code in {0, 75}, done.err
    return done


def spec_of(name: str) -> Spec:
    path = FOLDER / name / "SPEC.yaml"
    return experiments.parse_spec(path.read_bytes(), str(path))


def defaults(name: str) -> dict[str, Scalar]:
    space = spec_of(name).search_space
    assert space is not None
    assert not isinstance(space, str)
    return assignment.baseline(space) or {}


def shown(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


@pytest.mark.parametrize("path", FILES, ids=shown)
def test_a_file_ends_in_one_newline_and_holds_no_leftovers(path: Path) -> None:
    text = path.read_text()
    assert text.endswith("\n")
    assert not text.endswith("\n\n")
    assert "\r" not in text
    assert not re.search(r"(?m)^\s*(EOF|[A-Z]+_EOF)\s*$", text)
    assert not [line for line in text.splitlines() if line != line.rstrip()]


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_recipes_are_typed_as_strictly_as_what_they_stand_on(tmp_path: Path) -> None:
    """Copied first: three of them are called recipe.py, and one run of mypy knows a name once."""
    for path in RECIPES:
        name = f"{path.parent.name.replace('-', '_')}.py" if path.name == "recipe.py" else path.name
        shutil.copy(path, tmp_path / name)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *map(str, sorted(tmp_path.glob("*.py")))],
        cwd=chunks.CHECKOUT, env={**os.environ, "MYPYPATH": str(tmp_path)}, capture_output=True, check=False, text=True,
        timeout=110,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", [path for path in FILES if path.name == "README.md"], ids=shown)
def test_a_readme_is_no_wider_than_a_terminal(path: Path) -> None:
    assert not [line for line in path.read_text().splitlines() if len(line) > 130]


@pytest.mark.parametrize("path", RECIPES, ids=shown)
def test_a_recipe_is_a_page(path: Path) -> None:
    assert len(path.read_text().splitlines()) < 150


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_falls_back_to_what_its_spec_says(name: str) -> None:
    wanted = defaults(name)
    read: set[str] = set()
    for path in RECIPES:
        if path.parent.name != name:
            continue
        asked = re.findall(r'job\.(?:number|whole|text|flag)\("(\w+)", (?:default=)?([^)]+)\)', path.read_text())
        for param, fallback in asked:
            given = json.loads(fallback.lower()) if fallback != "None" else None
            assert wanted[param] == given, f"{shown(path)}: {param}"
            read.add(param)
    assert set(wanted) - read == {"lora_rank"}  # which the lab reads, before there is a recipe


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_trains_the_tiny_model_here_and_costs_nothing(name: str) -> None:
    spec = spec_of(name)
    assert spec.id == name
    assert spec.executor == "tinker"
    assert spec.tinker is not None
    assert spec.tinker.base_model == "lab/tiny"
    assert not spec.tinker.base_url
    assert not spec.tinker.tokenizer
    assert spec.tinker.chunk_steps < spec.tinker.steps


def test_the_three_stages_each_have_a_recipe_and_a_metric_that_it_tells() -> None:
    spec = spec_of("tinker-rlhf")
    assert spec.fidelity_tiers == ("sft", "preference", "rl")
    assert spec.fidelity_promotion_rule == "when-finished"
    told = {(each.tier, each.field): each.value for each in spec.overrides}
    for tier in spec.fidelity_tiers:
        recipe = (FOLDER / "tinker-rlhf" / str(told[tier, "executor_command"])).read_text()
        assert f'metric = "{told[tier, "metric"]}"' in recipe


@pytest.mark.parametrize("name", NAMES)
def test_the_data_of_a_template_is_what_its_recipe_reads(name: str) -> None:
    assert {path.name for path in (FOLDER / name).glob("*.jsonl")} == set(DATA[name])
    for file, kind in DATA[name].items():
        assert len(dataset.read(str(FOLDER / name / file), kind)) >= 8


@pytest.mark.parametrize("name", NAMES)
def test_the_lines_that_a_readme_shows_are_data(name: str) -> None:
    text = (FOLDER / name / "README.md").read_text()
    lines = [line for block in re.findall(r"```jsonl?\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    kinds = set(DATA[name].values())
    for line in lines:
        assert any(_reads(line, kind) for kind in kinds), line
    assert lines


def _reads(line: str, kind: type[dataset.Example]) -> bool:
    try:
        dataset.parse(line.encode(), kind, "README.md")
    except BadInput:
        return False
    return True


@pytest.mark.parametrize("name", NAMES)
def test_a_readme_names_verbs_files_and_parameters_that_exist(name: str) -> None:
    from lab.cli import tinker
    from lab.cli.commands import COMMANDS

    text = (FOLDER / name / "README.md").read_text()
    assert set(re.findall(r"labctl tinker ([a-z-]+)", text)) <= set(tinker.ACTIONS)
    assert set(re.findall(r"labctl ([a-z-]+)", text)) <= {command.name for command in COMMANDS}
    for file in re.findall(r"`(\w+\.(?:py|jsonl|yaml))`", text):
        assert (FOLDER / name / file).is_file(), file
    assert f"labctl create {name}" in text


@pytest.mark.parametrize("name", ["tinker-sl", "tinker-rl", "tinker-dpo"])
@pytest.mark.heavy
def test_a_recipe_says_what_its_steps_take_before_they_are_taken(
    server: str, tiny_model: Path, tmp_path: Path, name: str
) -> None:
    said = carried(NOBODY, tmp_path / "said", name, "--estimate", steps=2, until=2, tokenizer=str(tiny_model))
    took = carried(server, tmp_path / "took", name, steps=2, until=2)
    assert_at_most(said, took)


def assert_at_most(said: chunks.Chunk, took: chunks.Chunk) -> None:
    """What a recipe counted before is no less than what it took, of any kind."""
    told, rows = json.loads(said.out.splitlines()[-1]), took.steps.rows
    assert told["steps"] == len(rows) == 2
    used = {name: sum(getattr(row, name) for row in rows) for name in ("trained", "sampled", "prefilled")}
    assert used["trained"] > 0
    assert {name: told[name] >= count for name, count in used.items()} == dict.fromkeys(used, True), (told, used)


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_each_stage_begins_with_what_the_ones_before_it_left(server: str, tiny_model: Path, tmp_path: Path) -> None:
    earlier: dict[str, dict[str, str]] = {}
    told: dict[str, chunks.Chunk] = {}
    for tier in ("sft", "preference", "rl"):
        said = carried(
            NOBODY, tmp_path / f"{tier}-said", "tinker-rlhf", "--estimate", recipe=f"{tier}.py", tier=tier, steps=2,
            until=2, tokenizer=str(tiny_model),
        )  # fmt: skip
        told[tier] = done = carried(
            server, tmp_path / tier, "tinker-rlhf", recipe=f"{tier}.py", tier=tier, steps=2, until=2, earlier=earlier
        )
        assert_at_most(said, done)
        last = done.states.last
        assert last is not None
        assert last.final
        earlier[tier] = {"state_path": last.state_path, "sampler_path": last.sampler_path}
    assert told["rl"].states.fixed == {
        "judge": earlier["preference"]["sampler_path"], "sft": earlier["sft"]["sampler_path"]
    }  # fmt: skip
    assert 0 <= told["rl"].metrics["win_rate"] <= 1
