"""What was trained is taken home: by labctl, by the SDK's own program; and it is better than what it began as."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.tinker.proof.client import adjust

if TYPE_CHECKING:
    from pathlib import Path

    from tests.tinker.proof.client import Lab
    from tests.tinker.proof.conftest import NewLab

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("proof"), pytest.mark.timeout(200)]


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
    lab.done("create", "lm-eval")
    runs: list[str] = []
    for model in (tiny_model, lab.place / "out-merged"):
        adjust(lab.spec("lm-eval"), model=str(model))
        lab.done("resume", "lm-eval")
        lab.done("run-once", "--experiment", "lm-eval", "--now", python=sys.executable, limit_s=150)
        runs += [run.name for run in lab.runs("lm-eval") if run.name not in runs]
    told = lab.done("evals", *runs, "--json").data["comparison"]
    pair = next(each for each in told["pairs"] if each["name"] == "answers/acc,none")
    assert pair["verdict"] == "better"
    assert pair["values"][0] < 0.5, "it guesses among four"
    assert pair["values"][1] > 0.9
