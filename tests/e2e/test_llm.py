"""Searches that ask a real model on a real server: llama.cpp with a model made of chance, and the whole of labctl.

The model obeys a grammar and knows nothing. What it proposes is run; what it breaks is repaired, or made up for.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.cli.main import main
from lab.llm import openai
from tests.cli.labs import SHIM, process, runs_of
from tests.cli.models import a_sweep, asks, bundle, held, lines, origins

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]
GRAMMAR: dict[str, object] = {"structured": "llguidance", "candidates": 1, "max_tokens": 1500, "temperature": 1.0}


@pytest.fixture(autouse=True)
def short_texts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model of chance fills each text to its end, a token at a time."""
    monkeypatch.setattr(openai, "_TEXT_CHARS", 12)


def burst(root: str, *words: str) -> None:
    """In this process, where the texts are short."""
    assert main(["--data-root", root, "burst", "sweep", *words]) == 0


def test_what_a_real_model_proposes_is_run_and_sealed(tmp_path: Path, local_model: str) -> None:
    root = a_sweep(tmp_path / "lab", local_model, **{**GRAMMAR, "timeout_s": 100})
    burst(root.layout.root, "-n", "2")
    made = origins(root)
    assert [each.get("arm", "") for each in made] == ["", ""], made
    assert [each["ask"] for each in made] == ["ASK-000001", "ASK-000002"]
    for line in lines(root):
        params = line["params"]
        assert isinstance(params, dict)
        assert -2 <= params["x"] <= 2
        assert params["n"] in range(1, 10)
    request, usage = bundle(root, "llm/request.json")[1], bundle(root, "llm/usage.json")[1]
    assert str(lines(root)[0]["run_id"]) in str(request["requests"])  # it was told of the first run
    assert (usage["calls"], usage["repairs"]) == (1, 0)
    assert int(str(usage["answered"])) > 10
    assert process("verify", root=root.layout.root).code == 0


def test_what_a_real_model_babbles_is_asked_to_be_repaired_and_then_made_up_for(
    tmp_path: Path, local_model: str
) -> None:
    more = {"structured": "prompt", "max_tokens": 64, "fallback": "random", "timeout_s": 100}
    root = a_sweep(tmp_path / "lab", local_model, **more)
    burst(root.layout.root, "-n", "1")
    (origin,) = origins(root)
    (usage,) = bundle(root, "llm/usage.json")
    assert (origin["arm"], usage["calls"], usage["repairs"]) == ("random", 2, 1)
    assert "random in the model's place" in str(origin["note"])


def test_an_answer_that_a_real_server_cuts_off_is_made_up_for(tmp_path: Path, local_model: str) -> None:
    more: dict[str, object] = {"structured": "json_schema", "max_tokens": 64, "temperature": 0.0}
    root = a_sweep(tmp_path / "lab", local_model, **{**more, "fallback": "random", "timeout_s": 100})
    burst(root.layout.root, "-n", "1")
    (response,) = bundle(root, "llm/response.json")
    # Cut off in the middle of a JSON text, this server sometimes refuses what its own model said, with a 500.
    assert response["problem"] in ("model-truncated", "model-failing")
    assert origins(root)[0]["arm"] == "random"


def test_a_real_model_that_thinks_too_long_is_left_at_the_deadline(tmp_path: Path, local_model: str) -> None:
    more = {"structured": "prompt", "max_tokens": 20_000, "fallback": "random", "timeout_s": 0.5}
    root = a_sweep(tmp_path / "lab", local_model, **more)
    burst(root.layout.root, "-n", "1")
    assert asks(root)[0]["problem"] == "model-timeout"


def test_calls_to_a_real_model_end_with_the_budget(tmp_path: Path, local_model: str) -> None:
    root = a_sweep(tmp_path / "lab", local_model, **{**GRAMMAR, "max_calls": 1, "fallback": "random", "timeout_s": 100})
    burst(root.layout.root, "-n", "3")
    assert [each.get("arm", "") for each in origins(root)] == ["", "random", "random"]
    assert "model-budget" in str(origins(root)[1]["note"])


def test_a_burst_killed_while_a_real_model_thinks_is_gone_on_with(tmp_path: Path, local_model: str) -> None:
    more: dict[str, object] = {"structured": "prompt", "max_tokens": 20_000, "max_calls": 2, "fallback": "random"}
    root = a_sweep(tmp_path / "lab", local_model, **{**more, "timeout_s": 100})
    settings = {**os.environ, "LAB_DATA_ROOT": root.layout.root}
    killed = subprocess.Popen(
        [sys.executable, SHIM, "burst", "sweep", "-n", "2"], env=settings, stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    end = time.monotonic() + 60
    while b"model_asked" not in (tmp_path / "lab/registry/events.jsonl").read_bytes():
        assert time.monotonic() < end
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert (held(root), runs_of(root, "sweep")) == ([], [])
    burst(root.layout.root, "-n", "2", "--resume")
    assert len(lines(root)) == 2
    assert "2 calls are used up" in str(origins(root)[0]["note"])  # what was set aside is spent
    assert process("verify", root=root.layout.root).code == 0
