"""The estimate of memory, against what a process really took; and what is made of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import machine
import prepare
import pytest
import torch
import train

TEMPLATE = Path(train.__file__).parent
MEASURED = """
import json, sys
import harness, machine, prepare, train
config = train.Config(**json.loads(sys.argv[1]))
here, data = machine.detect(config), prepare.ensure(config.dataset)
before = machine.resident()
run = train.Training(config, here, data, harness.Bell())
for _ in range(2):
    run.step(0.0)
print(json.dumps([here.peak_bytes() - before, run.plan.bytes]))
"""
SHAPES: dict[str, dict[str, object]] = {
    "the default": {},
    "deeper": {"depth": 4, "width": 256, "batch_tokens": 4096},
    "wide": {"depth": 2, "width": 512, "context": 512, "batch_tokens": 2048},
    "long": {"depth": 3, "width": 512, "context": 1024, "batch_tokens": 2048},
    "long, with checkpointing": {
        "depth": 4,
        "width": 512,
        "context": 1024,
        "batch_tokens": 2048,
        "checkpointing": "on",
    },
}


@pytest.mark.heavy
@pytest.mark.timeout(180)
@pytest.mark.skipif(sys.platform != "linux", reason="what the libraries take is measured for Linux")
@pytest.mark.parametrize("name", SHAPES)
def test_the_estimate_is_within_15_percent_of_what_is_taken(
    name: str, small_dataset: str, small: prepare.Data, shared_cache: Path
) -> None:
    config = {"dataset": small_dataset, "threads": 1, "budget": "9steps", **SHAPES[name]}
    environ = {**os.environ, "PYTHONPATH": str(TEMPLATE), "LAB_TRAINING_CACHE": str(shared_cache)}
    argv = [sys.executable, "-c", MEASURED, json.dumps(config)]
    ran = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    taken, estimated = json.loads(ran.stdout)
    assert estimated == pytest.approx(taken, rel=0.15)


def card(gigabytes: float) -> machine.Machine:
    return machine.detect(train.Config(plan=True, vram_gb=gigabytes))


@pytest.fixture
def long_rows(small: prepare.Data) -> prepare.Data:
    """As climbmix has them."""
    from dataclasses import replace

    return replace(small, vocab_size=8192, context=2048)


@pytest.mark.parametrize(("gigabytes", "largest"), [(4, 4), (8, 6), (16, 8), (80, 8)])
def test_a_smaller_card_gets_a_smaller_model(gigabytes: float, largest: int, long_rows: prepare.Data) -> None:
    config, shape, plan = train.filled_in(train.Config(), card(gigabytes), long_rows)
    assert shape.depth <= largest
    assert shape.width == 64 * shape.depth
    assert plan.bytes <= card(gigabytes).memory
    assert plan.rows * plan.accumulation * shape.context == config.batch_tokens


def test_more_memory_is_never_planned_worse(long_rows: prepare.Data) -> None:
    shapes = [train.filled_in(train.Config(), card(size), long_rows) for size in (3, 4, 6, 8, 12, 16, 24, 48, 80)]
    depths = [shape.depth for _, shape, _ in shapes]
    assert depths == sorted(depths)
    assert depths[-1] == 8


def test_checkpointing_is_the_last_resort(long_rows: prepare.Data) -> None:
    asked = train.Config(depth=24, width=1536)
    plans = [train.filled_in(asked, card(size), long_rows)[2] for size in (16, 40, 80)]
    assert [plan.checkpointing for plan in plans] == [True, False, False]
    assert plans[1].rows <= plans[2].rows


def test_what_can_never_fit_is_refused_with_the_numbers(long_rows: prepare.Data) -> None:
    with pytest.raises(prepare.Refused, match=r"depth 48, width 4096, .* do not fit: [\d,]+ MB are needed"):
        train.filled_in(train.Config(depth=48, width=4096), card(24), long_rows)


def test_a_plan_names_the_card_the_shape_and_the_parts(
    small_dataset: str, small: prepare.Data, shared_cache: Path, tmp_path: Path
) -> None:
    ran = subprocess.run(
        [sys.executable, TEMPLATE / "train.py", "--dataset", small_dataset, "--plan", "--vram-gb", "24"], cwd=tmp_path,
        env={**os.environ, "LAB_TRAINING_CACHE": str(shared_cache)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    for words in ("a device with 24 GB (cuda), bf16", "depth 8, width 512", "activations", "MB estimated"):
        assert words in ran.stderr
    assert ran.stdout == ""


def test_what_a_device_can_do_decides_the_type(monkeypatch: pytest.MonkeyPatch) -> None:
    config, cuda = train.Config(), torch.device("cuda")
    for capability, dtype in (
        ((9, 0), torch.bfloat16),
        ((8, 0), torch.bfloat16),
        ((7, 5), torch.float16),
        ((6, 1), torch.float32),
    ):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _, capability=capability: capability)
        assert machine.precision_of(config, cuda) == dtype
    assert machine.precision_of(config, torch.device("cpu")) == torch.float32
    assert machine.precision_of(train.Config(precision="bf16"), torch.device("cpu")) == torch.bfloat16


def test_a_device_that_is_not_here_is_refused_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert machine.wanted_device("auto", 1) == torch.device("cuda", 1)
    assert machine.wanted_device("cuda:0", 1) == torch.device("cuda", 0)
    with pytest.raises(prepare.Refused, match="cuda:3 is not here; here: cpu, cuda:0, cuda:1"):
        machine.wanted_device("cuda:3", 0)


def test_a_peak_is_that_of_the_units_that_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.detect(train.Config(plan=True, vram_gb=80, precision="fp32"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert here.products == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert here.products == "fp32"
    assert machine.detect(train.Config(plan=True, vram_gb=80)).products == "bf16"
