"""What was trained is taken home: by labctl, by the SDK's own program; and it is better than what it began as."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.proof.client import Lab
    from tests.tinker.proof.conftest import NewLab

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("proof"), pytest.mark.timeout(200)]

# Which of two answers is likelier: the one that was preferred in training, to questions that were not in it.
TASK = """\
task: sums
dataset_path: json
dataset_kwargs:
  data_files:
    test: sums.jsonl
test_split: test
output_type: multiple_choice
target_delimiter: ''
doc_to_text: '{{prompt}}'
doc_to_choice: '{{choices}}'
doc_to_target: 0
metric_list:
  - metric: acc
    aggregation: mean
    higher_is_better: true
metadata:
  version: 1.0
"""
SPEC = """\
id: {id}
metric: acc
metric_direction: maximize
executor: lm_eval
workspace_root: {place}
cadence: 0
lm_eval:
  model: {model}
  tasks: [sums]
  tasks_dir: tasks
  metric: sums/acc,none
  device: cpu
"""


@pytest.fixture(scope="module")
def lab(service: str, new_lab: NewLab) -> Lab:
    """With a training by preferences that is at its end."""
    made = new_lab("fetched", service)
    made.create("tinker-dpo", chunk_steps=15)
    made.burst("tinker-dpo")
    return made


@pytest.fixture(scope="module")
def saved(lab: Lab) -> list[str]:
    """The paths that the lab knows of."""
    return [each["path"] for each in lab.done("tinker", "checkpoints", "tinker-dpo", "--json").data["saved"]]


def test_the_program_of_the_sdk_lists_and_downloads_what_the_lab_saved(lab: Lab, saved: list[str]) -> None:
    runs = json.loads(lab.beside("tinker", "-f", "json", "run", "list").out)["runs"]
    mine = {path.removeprefix("tinker://").partition("/")[0] for path in saved}
    assert mine <= {each["training_run_id"] for each in runs}
    listed = json.loads(lab.beside("tinker", "-f", "json", "checkpoint", "list").out)["checkpoints"]
    assert set(saved) <= {each["tinker_path"] for each in listed}
    (path,) = [path for path in saved if "/external_weights/" in path]
    told = lab.beside("tinker", "-f", "json", "checkpoint", "download", path, "-o", str(lab.place / "theirs"))
    assert told.code == 0, told
    lab.done("tinker", "download", "tinker-dpo", "-o", "ours")
    (theirs,) = (lab.place / "theirs").rglob("adapter_model.safetensors")
    assert theirs.read_bytes() == (lab.place / "ours/adapter_model.safetensors").read_bytes()


@pytest.mark.skipif(find_spec("lm_eval") is None, reason="lm_eval is not installed (pip install 'labctl[eval]')")
def test_what_was_trained_is_merged_and_evaluated_and_is_better_than_what_it_began_as(
    lab: Lab, tiny_model: Path
) -> None:
    """The client fetched the training; it is merged and evaluated by an environment that has torch, on the same lab."""
    merged = lab.done(
        "tinker", "download", "tinker-dpo", "-o", "out", "--merge", str(tiny_model), python=sys.executable
    )
    assert f"merged: {lab.place}/out-merged" in merged.out
    tasks(lab.place / "tasks", lab.place / "tinker-dpo/heldout.jsonl")
    runs = {}
    for name, model in (("base", str(tiny_model)), ("trained", f"{lab.place}/out-merged")):
        (lab.place / f"{name}.yaml").write_text(SPEC.format(id=name, place=lab.place, model=model))
        lab.done("create", f"{name}.yaml")
        lab.done("run-once", "--experiment", name, "--now", python=sys.executable, limit_s=150)
        (runs[name],) = (run.name for run in lab.runs(name))
    told = lab.done("evals", runs["base"], runs["trained"], "--json").data["comparison"]
    (pair,) = told["pairs"]
    assert (pair["name"], pair["verdict"]) == ("sums/acc,none", "better")
    assert pair["values"][0] == 0
    assert pair["values"][1] > 0.9
    assert "better" in lab.done("evals", "base", "trained").out


def tasks(folder: Path, held_out: Path) -> None:
    """A task of one's own, of pairs that were not trained on."""
    folder.mkdir()
    rows = [json.loads(line) for line in held_out.read_text().splitlines()]
    asked = [{"prompt": row["prompt"], "choices": [row["chosen"], row["rejected"]]} for row in rows]
    (folder / "sums.jsonl").write_text("".join(json.dumps(row) + os.linesep for row in asked))
    (folder / "sums.yaml").write_text(TASK)
