"""`labctl tinker` beside a server with a real, tiny model: looked at, trained, followed, fetched and merged."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING

import pytest

from tests.tinker.cli.trained import a_training
from tests.tinker.conftest import BASE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Said
    from tests.tinker.cli.conftest import Labctl


def states(said: Said) -> dict[str, str]:
    return {each["name"]: each["state"] for each in said.envelope["data"]["checks"]}


def what(said: Said, name: str) -> str:
    return next(str(each["what"]) for each in said.envelope["data"]["checks"] if each["name"] == name)


def test_before_it_trains_everything_is_looked_at_and_nothing_is_trained(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model)
    said = labctl("tinker", "check", "sft", "--json")
    assert said.code == 0, said
    assert set(states(said).values()) == {"ok"}
    assert what(said, "model") == f"{BASE} can be trained there"
    assert what(said, "recipe") == "the recipe finds nothing wrong: 6 steps, metric loss, at most 6 tokens in step 0"
    assert labctl.done("tinker", "runs", "sft", "--json").data["links"] == []


def test_a_trial_goes_the_whole_way_of_a_chunk_and_leaves_nothing(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model)
    before = labctl.done("tinker", "checkpoints", "sft", "--server", "--json").data["orphans"]
    said = labctl("tinker", "check", "sft", "--trial", "--json")
    assert said.code == 0, said
    assert [name for name in states(said) if name.startswith("trial: ")] == [
        f"trial: {part}" for part in ("begin", "train", "sample", "save", "resume", "delete")
    ]
    assert labctl.done("tinker", "checkpoints", "sft", "--server", "--json").data["orphans"] == before


@pytest.mark.timeout(120)
def test_a_training_is_estimated_followed_and_fetched_as_an_adapter_and_as_a_model(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model, more="stop_conditions: {budget_tokens: 100}\n")
    told = labctl.done("tinker", "estimate", "sft", "--json").data
    assert [(each["by"], each["left_tokens"], each["problem"]) for each in told["guesses"]] == [("recipe", 36, "")]
    assert [each["what"] for each in told["guesses"][0]["pieces"]] == ["done", "chunk 1", "chunk 2", "left", "all"]

    refused = labctl("tinker", "download", "sft")
    assert refused.code == 1
    assert "sft has saved nothing yet" in refused.err
    labctl.done("run-once", "--experiment", "sft", "--now")
    early = labctl.done("tinker", "download", "sft", "-o", "early", "--json").data
    assert (early["next_step"], early["path"].split("/")[-2]) == (4, "weights")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(early["files"])
    here = labctl.done("tinker", "checkpoints", "sft", "--server", "--json").data
    assert [each for each in here["orphans"] if each["path"].endswith("external_weights/download")] == []

    told = labctl.done("tinker", "estimate", "sft", "--json").data
    assert {each["by"]: each["left_tokens"] for each in told["guesses"]} == {"recipe": 12, "average": 12}
    labctl.done("run-once", "--experiment", "sft", "--now")

    chain = labctl.done("tinker", "runs", "sft", "--steps", "--json").data
    over = labctl.done("tinker", "estimate", "sft", "--json").data
    assert (over["is_over"], over["until"], over["guesses"]) == (True, 6, [])
    assert "6 steps done, and nothing is left" in labctl.done("tinker", "estimate", "sft").out
    looked = labctl.done("tinker", "check", "sft", "--json")
    assert (states(looked)["recipe"], looked.envelope["next"]) == ("none", [])
    stage = chain["stages"][0]
    assert (stage["final"], stage["next_step"], chain["tokens"]) == (True, 6, 36)
    losses = [row["metrics"]["loss"] for row in stage["rows"]]
    assert len(losses) == 6
    assert losses[-1] < losses[0]

    saved = labctl.done("tinker", "checkpoints", "sft", "--server", "--json").data
    assert [each["use"] for each in saved["saved"]] == ["state", "state", "sampler", "external"]
    assert saved["gone"] == []

    fetched = labctl.done("tinker", "download", "sft", "-o", "out", "--merge", str(tiny_model), "--json").data
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(fetched["files"])
    assert json.loads((place.parent / "out/adapter_config.json").read_text())["r"] == 8
    assert (place.parent / "out-merged/config.json").is_file()
    again = labctl("tinker", "download", "sft", "-o", "out")
    assert again.code == 2
    assert "something is already there" in again.err
    by_path = labctl.done("tinker", "download", stage["external_path"], "--base-url", server, "-o", "by-path")
    assert by_path.out.startswith(f"downloaded: {stage['external_path']} into ")
    assert sorted(path.name for path in (place.parent / "by-path").iterdir()) == sorted(fetched["files"])


def test_what_the_service_has_and_nobody_here_made_is_told_apart(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model)
    labctl.done("run-once", "--experiment", "sft", "--now")
    mine = labctl.done("tinker", "checkpoints", "sft", "--json").data["saved"][0]["path"]
    (place / "experiments/sft/SPEC.yaml").rename(place.parent / "SPEC.yaml")
    other = place.parent / "other"
    a_training(other, server, BASE, tiny_model)
    told = labctl.done("tinker", "checkpoints", "sft", "--server", "--json", "--data-root", str(other)).data
    assert mine in [each["path"] for each in told["orphans"]]


@pytest.mark.parametrize(
    ("change", "name", "told"),
    [
        ({"base_model": "tiny/qwen"}, "model", "the service trains no tiny/qwen"),
        ({"tokenizer": "nowhere"}, "order", "the tokenizer of sft is not there"),
        ({"data": "five six"}, "recipe", "invalid literal for int()"),
    ],
    ids=str,
)
def test_what_is_wrong_is_told_before_it_costs_anything(
    change: dict[str, str], name: str, told: str, labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, change.get("base_model", BASE), change.get("tokenizer", tiny_model))
    if "data" in change:
        (place.parent / "code/data.txt").write_text(change["data"])
    said = labctl("tinker", "check", "sft", "--json")
    assert said.code == 1, said
    assert states(said)[name] == "failed"
    assert told in what(said, name)
    assert said.envelope["next"][-1].startswith("labctl tinker check sft ")
    assert not any("run-once" in each for each in said.envelope["next"])


BAD_DATA = """raise BadInput("the data set has 2 problems:\\n  line 3: no prompt\\n  line 9: no completion",
            where="train.jsonl", fix="mend these lines and try again")"""


def test_what_a_recipe_says_of_its_data_is_told_whole_with_its_advice_apart(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model)
    recipe = place.parent / "code/recipe.py"
    text = recipe.read_text().replace(
        "    def prepare(self, job):\n", f"    def prepare(self, job):\n        {BAD_DATA}\n"
    )
    recipe.write_text(f"from lab.core.errors import BadInput\n{text}")
    whole = "the data set has 2 problems:\n  line 3: no prompt\n  line 9: no completion\n  in train.jsonl"
    said = labctl("tinker", "check", "sft", "--json")
    assert (said.code, what(said, "recipe")) == (1, whole)
    assert said.envelope["advice"][0] == "recipe: mend these lines and try again"
    told = labctl("tinker", "estimate", "sft", "--json")
    data = told.envelope["data"]
    assert (told.code, data["problem"], data["fix"]) == (1, whole, "mend these lines and try again")
    for words in ("check", "estimate"):
        shown = [line.strip() for line in labctl("tinker", words, "sft").out.splitlines()]
        assert {"line 3: no prompt", "line 9: no completion", "in train.jsonl"} <= set(shown)


def test_nobody_is_asked_for_a_trial_of_what_is_not_well(
    labctl: Labctl, place: Path, server: str, tiny_model: Path
) -> None:
    a_training(place, server, BASE, tiny_model)
    (place.parent / "code/data.txt").write_text("five six")
    said = labctl("tinker", "check", "sft", "--trial", "--json")
    assert (said.code, states(said)["trial"]) == (1, "none")


def test_a_service_that_is_away_is_said_so(labctl: Labctl, place: Path, tiny_model: Path) -> None:
    a_training(place, "http://127.0.0.1:9", BASE, tiny_model)
    said = labctl("tinker", "check", "sft", "--json")
    assert said.code == 5, said
    assert states(said)["service"] == "absent"
    assert "nobody answers at 127.0.0.1, port 9" in what(said, "service")


def test_a_service_that_says_nothing_is_waited_for_no_longer_than_was_said(labctl: Labctl, place: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        a_training(place, url, BASE)
        refused = labctl("tinker", "checkpoints", "sft", "--server", "--limit", "2")
    assert refused.code == 5
    assert "no answer in 2 s" in refused.err


def test_a_paid_service_without_a_key_is_not_asked(labctl: Labctl, place: Path, tiny_model: Path) -> None:
    a_training(place, "https://tinker.example", BASE, tiny_model, more="stop_conditions: {budget_tokens: 1000}\n")
    said = labctl("tinker", "check", "sft", "--json")
    assert said.code == 5, said
    assert (states(said)["key"], "service" in states(said)) == ("absent", False)
    tried = labctl("tinker", "check", "sft", "--trial")
    assert tried.code == 5
    assert "not tried: something before it is not well" in tried.out


def test_files_that_are_not_there_any_more_are_said_so_and_leave_no_folder(
    labctl: Labctl, place: Path, server: str
) -> None:
    said = labctl("tinker", "download", "tinker://gone:train:0/external_weights/final", "--base-url", server, "-o", "x")
    assert said.code == 2, said
    assert "tinker://gone:train:0/external_weights/final" in said.err
    assert list(place.parent.glob("*")) == []
