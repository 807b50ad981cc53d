"""What the templates are for: a model learns, in chunks, by a client that has no torch; and the chunks do not show."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.tinker.proof.client import column, numbers

if TYPE_CHECKING:
    from lab.tinker.rows import Row
    from tests.tinker.proof.client import Lab
    from tests.tinker.proof.conftest import NewLab

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("proof"), pytest.mark.timeout(120)]

# Beside a recipe: it runs that, and writes down what its process had loaded in the end.
LOOK = """
import json, os, sys
from lab.tinker.recipe import main
from recipe import Supervised

code = main(Supervised())
with open(os.path.join(os.path.dirname(os.environ["LAB_CHUNK_PATH"]), "artifacts", "loaded.json"), "w") as file:
    json.dump({"python": sys.executable, "loaded": sorted(sys.modules)}, file)
raise SystemExit(code)
"""


class Trained(NamedTuple):
    """A template with twelve steps: in three chunks, and in one go."""

    lab: Lab
    name: str
    at_once: str
    parts: list[Row]
    whole: list[Row]


def train(lab: Lab, name: str, command: str = "recipe.py") -> Trained:
    lab.create(name, steps=12, chunk_steps=5)
    lab.burst(name)
    at_once = f"{name}-at-once"
    (lab.place / name / "look.py").write_text(LOOK)
    lab.create(name, at_once, steps=12, chunk_steps=12, executor_command=command)
    lab.burst(at_once)
    return Trained(lab, name, at_once, lab.chain(name), lab.chain(at_once))


@pytest.fixture(scope="module")
def lab(service: str, new_lab: NewLab) -> Lab:
    return new_lab("learning", service)


@pytest.fixture(scope="module")
def sl(lab: Lab) -> Trained:
    return train(lab, "tinker-sl", "look.py")


@pytest.fixture(scope="module")
def rl(lab: Lab) -> Trained:
    return train(lab, "tinker-rl")


@pytest.fixture(scope="module")
def dpo(lab: Lab) -> Trained:
    return train(lab, "tinker-dpo")


def test_the_client_has_no_torch_and_a_chunk_loads_nothing_that_large(sl: Trained) -> None:
    look = "from importlib.util import find_spec as f; print([n for n in ('torch', 'peft', 'lab', 'tinker') if f(n)])"
    done = subprocess.run([sl.lab.python, "-c", look], capture_output=True, text=True, check=True, cwd=sl.lab.place)
    assert done.stdout.strip() == "['lab', 'tinker']"
    (run,) = sl.lab.runs(sl.at_once)
    told = json.loads((run / "artifacts/loaded.json").read_text())
    assert told["python"].startswith(sl.lab.python.rpartition("/")[0])
    assert {"tinker", "lab.tinker.session"} <= set(told["loaded"])
    assert not {"torch", "transformers", "peft", "safetensors"} & set(told["loaded"])


@pytest.mark.parametrize("kind", ["sl", "rl", "dpo"])
def test_a_training_in_chunks_is_the_same_as_one_in_one_go_to_the_bit(
    kind: str, request: pytest.FixtureRequest
) -> None:
    trained: Trained = request.getfixturevalue(kind)
    told = trained.lab.done("tinker", "runs", trained.name, "--json").data
    assert [(each["first_step"], each["next_step"]) for each in told["links"]] == [(0, 5), (5, 10), (10, 12)]
    assert [row.step for row in trained.parts] == list(range(12))
    assert numbers(trained.parts) == numbers(trained.whole)
    once = trained.lab.done("tinker", "runs", trained.at_once, "--json").data
    assert sum(each["trained"] for each in told["links"]) == sum(each["trained"] for each in once["links"]) > 0
    assert trained.parts[-1].measured == trained.whole[-1].measured
    assert (len({row.run for row in trained.parts}), len({row.run for row in trained.whole})) == (3, 1)


def test_supervised_learning_learns_what_it_is_shown_and_what_it_is_not(sl: Trained) -> None:
    losses = column(sl.parts, "nll")
    assert losses[0] > 6
    assert losses[-1] < 3
    held_out = [row.measured["heldout_nll"] for row in sl.parts if row.measured]
    assert held_out == sorted(held_out, reverse=True)
    assert held_out[-1] < 3


def test_reinforcement_learning_finds_the_reward(rl: Trained) -> None:
    rewards = column(rl.parts, "reward")
    assert rewards[0] < 0.05
    assert rewards[-1] > 0.8
    assert rl.parts[-1].measured["heldout_reward"] > 0.8


def test_preferences_are_learned_from_a_reference_that_stands_still(dpo: Trained) -> None:
    losses = column(dpo.parts, "loss")
    assert losses[0] == pytest.approx(0.693147, abs=1e-6), "policy and reference are the same at first"
    assert losses[-1] < 0.15
    assert dpo.parts[-1].measured["heldout_loss"] < 0.15
    links = dpo.lab.done("tinker", "runs", dpo.name, "--json").data["links"]
    assert len({each["fixed"]["reference"] for each in links}) == 1, "not one a chunk"


@pytest.mark.parametrize("kind", ["sl", "rl", "dpo"])
def test_it_ends_as_a_training_that_is_finished(kind: str, request: pytest.FixtureRequest) -> None:
    trained: Trained = request.getfixturevalue(kind)
    told = trained.lab.done("tinker", "runs", trained.name, "--json").data
    assert told["phase"] == "completed"
    (stage,) = told["stages"]
    assert (stage["final"], stage["next_step"], stage["until"], stage["chunks"]) == (True, 12, 12, 3)
    ledger = (trained.lab.place / "lab/registry/events.jsonl").read_text().splitlines()
    events = [each["event"] for each in map(json.loads, ledger) if each["event"].get("experiment") == trained.name]
    assert [each["facts"]["last_step"] for each in events if each["type"] == "chunk_decided"] == [5, 10, 12]
    assert (events[-1]["type"], events[-1]["phase"]) == ("phase_changed", "completed")
    assert (events[-1]["reason"], events[-1]["facts"]["step"]) == ("the training is finished", 12)
    assert trained.lab("run-once", "--experiment", trained.name, "--now").out.count("ran ") == 0, (
        "nothing is left to do"
    )
