"""The templates of remote training: what they say of themselves, their data, and that they train."""

from __future__ import annotations

import json
import os
import re
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
NAMES = ("tinker-sl", "tinker-rl", "tinker-dpo", "tinker-rlhf")
DATA: dict[str, dict[str, type[dataset.Row]]] = {
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


def numbers(done: chunks.Chunk) -> list[dict[str, float]]:
    """What each step told, but for its times."""
    return [row.metrics | ({} if row.kl is None else {"kl": row.kl}) for row in done.steps.rows]


def held_out(done: chunks.Chunk) -> dict[str, float]:
    """What the chunk was worth at its end. The other numbers are means over its own steps."""
    found = {name: value for name, value in done.metrics.items() if name.startswith("heldout")}
    assert found
    return found


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
    lines = [line for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL) for line in block.splitlines()]
    kinds = set(DATA[name].values())
    for line in lines:
        assert any(_reads(line, kind) for kind in kinds), line
    assert lines


def _reads(line: str, kind: type[dataset.Row]) -> bool:
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
def test_a_training_in_chunks_is_the_one_in_one_go(server: str, tmp_path: Path, name: str) -> None:
    whole = carried(server, tmp_path / "whole", name, steps=6, until=6)
    first = carried(server, tmp_path / "first", name, steps=4, until=6)
    last = first.states.last
    assert last is not None
    assert (first.code, last.next_step) == (75, 4)
    second = carried(
        server, tmp_path / "second", name, steps=4, until=6, number=2, first_step=4, state_path=last.state_path,
        fixed=last.fixed,
    )  # fmt: skip
    assert (second.code, whole.code) == (0, 0)
    assert numbers(first) + numbers(second) == numbers(whole)
    assert held_out(second) == held_out(whole)


@pytest.mark.heavy
def test_answers_are_learned_that_were_never_seen(server: str, tmp_path: Path) -> None:
    told = carried(server, tmp_path, "tinker-sl", steps=12, until=12)
    assert numbers(told)[0]["nll"] > 6.0
    assert told.metrics["heldout_nll"] < 3.0


@pytest.mark.heavy
def test_what_is_rewarded_is_learned(server: str, tmp_path: Path) -> None:
    told = carried(server, tmp_path, "tinker-rl", steps=20, until=20)
    assert numbers(told)[0]["reward"] < 0.1
    assert told.metrics["heldout_reward"] > 0.8
    assert max(abs(row.get("kl", 0.0)) for row in numbers(told)) < 1e-3


@pytest.mark.heavy
def test_the_better_answer_is_preferred_to_what_the_reference_says(server: str, tmp_path: Path) -> None:
    told = carried(server, tmp_path, "tinker-dpo", steps=10, until=10)
    assert numbers(told)[0]["loss"] == pytest.approx(0.6931, abs=1e-3)
    assert told.metrics["heldout_loss"] < 0.15
    assert told.metrics["heldout_accuracy"] == 1.0


@pytest.mark.parametrize("name", ["tinker-sl", "tinker-rl", "tinker-dpo"])
@pytest.mark.heavy
def test_a_recipe_says_what_its_steps_take_before_they_are_taken(server: str, tmp_path: Path, name: str) -> None:
    said = carried(server, tmp_path / "said", name, "--estimate", steps=2, until=2)
    took = carried(server, tmp_path / "took", name, steps=2, until=2).steps.rows
    told = json.loads(said.out.splitlines()[-1])
    assert told["steps"] == 2
    assert told["trained"] >= sum(row.trained for row in took)
    assert told["sampled"] >= sum(row.sampled for row in took)
    assert told["prefilled"] >= sum(row.prefilled for row in took)
    assert sum(row.trained + row.sampled for row in took) > 0


@pytest.mark.heavy
def test_each_stage_begins_with_what_the_ones_before_it_left(server: str, tmp_path: Path) -> None:
    earlier: dict[str, dict[str, str]] = {}
    told: dict[str, chunks.Chunk] = {}
    for tier in ("sft", "preference", "rl"):
        told[tier] = done = carried(
            server, tmp_path / tier, "tinker-rlhf", recipe=f"{tier}.py", tier=tier, steps=2, until=2, earlier=earlier
        )
        last = done.states.last
        assert last is not None
        assert last.final
        earlier[tier] = {"state_path": last.state_path, "sampler_path": last.sampler_path}
    assert told["rl"].states.fixed == {
        "judge": earlier["preference"]["sampler_path"], "sft": earlier["sft"]["sampler_path"]
    }  # fmt: skip
    assert 0 <= told["rl"].metrics["win_rate"] <= 1
