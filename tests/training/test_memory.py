"""The estimate of memory, against what a process really took; and what is made of it."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
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
LIBRARIES = 16 * 2**20
PROCESSES = 5
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
    # One process takes up to 15 % more than the next: which thread frees when decides what is there at once. The
    # estimate is of the most. Of a small model most is code of the libraries, and the kernel maps more or less of it
    # around each fault, by what of it some earlier process left in memory: that moves by megabytes between machines.
    most = estimated = 0.0
    for _ in range(PROCESSES):
        ran = subprocess.run(argv, env=environ, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
        taken, estimated = json.loads(ran.stdout)
        most = max(most, taken)
        if estimated == pytest.approx(most, rel=0.15, abs=LIBRARIES):
            break
    assert estimated == pytest.approx(most, rel=0.15, abs=LIBRARIES)


def card(gigabytes: float) -> machine.Machine:
    return machine.detect(train.Config(plan=True, vram_gb=gigabytes))


@pytest.fixture
def long_rows(small: prepare.Data) -> prepare.Data:
    """As climbmix has them."""
    return dataclasses.replace(small, vocab_size=8192, context=2048)


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


def test_what_a_device_can_do_decides_the_type() -> None:
    config = train.Config()
    for capability, dtype in ((90, torch.bfloat16), (80, torch.bfloat16), (75, torch.float16), (61, torch.float32)):
        assert machine.precision_of(config, capability) == dtype
    assert machine.precision_of(config, 0) == torch.float32
    assert machine.precision_of(train.Config(precision="bf16"), 0) == torch.bfloat16


class Card:
    """A CUDA device that is not here: what torch says of one, as far as it is asked before there is a model."""

    def __init__(self, patch: pytest.MonkeyPatch, capability: tuple[int, int], *, free: float = 24e9) -> None:
        told = {"is_available": True, "device_count": 1, "get_device_capability": capability, "set_device": None,
                "mem_get_info": (int(free), int(free)), "get_device_name": "A card"}  # fmt: skip
        for name, value in told.items():
            patch.setattr(torch.cuda, name, lambda *_, value=value: value)
        for name in ("set_float32_matmul_precision", "set_flush_denormal"):  # they would hold for other tests
            patch.setattr(torch, name, lambda _: None)
        patch.setattr(machine, "find_spec", {"triton": object()}.get)
        patch.setenv("CC", "cc")

    @staticmethod
    def detected(*, vram_gb: float | None = None, precision: str = "auto") -> machine.Machine:
        return machine.detect(train.Config(threads=torch.get_num_threads(), vram_gb=vram_gb, precision=precision))


@pytest.mark.parametrize(
    ("capability", "compiled", "attention"),
    [((9, 0), True, "flex"), ((8, 0), True, "flex"), ((7, 5), True, "sdpa"), ((6, 1), False, "sdpa")],
)
def test_a_card_is_compiled_for_and_attended_to_as_it_can(
    capability: tuple[int, int], compiled: bool, attention: str, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    here = Card(monkeypatch, capability).detected()
    assert (here.compiled, here.attention) == (compiled, attention)
    assert ("compile: off, for a capability of 6.1" in capsys.readouterr().err) == (not compiled)


@pytest.mark.parametrize(("lacks", "words"), [("triton", "triton is not installed"), ("cc", "there is no C compiler")])
def test_without_the_parts_of_a_compiler_it_is_off_and_said(
    lacks: str, words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    card = Card(monkeypatch, (8, 0))
    if lacks == "triton":
        monkeypatch.setattr(machine, "find_spec", lambda _: None)
    monkeypatch.delenv("CC")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    here = card.detected()
    assert (here.compiled, here.attention) == (False, "sdpa")
    assert f"compile: off, for {words}" in capsys.readouterr().err


def test_a_flash_attn_that_cannot_be_loaded_is_said_and_not_chosen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "flash_attn.py").write_text("raise OSError('undefined symbol')\n", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    card = Card(monkeypatch, (9, 0))
    monkeypatch.setattr(machine, "find_spec", lambda _: object())
    assert card.detected().attention == "flex"
    assert "flash-attn is installed and cannot be loaded (OSError: undefined symbol)" in capsys.readouterr().err
    (tmp_path / "flash_attn.py").write_text("def flash_attn_func() -> None: ...\n" + "#" * 99, encoding="utf-8")
    assert card.detected().attention == "flash"
    assert card.detected(precision="fp32").attention == "flex"
    monkeypatch.delitem(sys.modules, "flash_attn")


def test_of_several_cards_the_weakest_decides_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """An A100 that met a T4 took bf16, and the T4 fp16 with a scaled loss: their sum was the gradient of nothing."""
    card = Card(monkeypatch, (8, 0), free=40e9)
    alone = card.detected()
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setattr(machine, "meet", lambda *_: None)

    def with_a_t4(own: torch.Tensor, *_: object) -> None:
        own.copy_(torch.minimum(own, torch.tensor([15e9, 75, 1, 1], dtype=torch.float64)))

    monkeypatch.setattr(torch.distributed, "all_reduce", with_a_t4)
    monkeypatch.setattr(machine, "least", lambda _, *own, least=machine.least: least(torch.device("cpu"), *own))
    together = card.detected()
    assert (alone.precision, alone.attention) == ("bf16", "flex")
    assert (together.precision, together.attention, together.memory) == ("fp16", "sdpa", 15e9)


def test_less_memory_than_a_card_has_may_be_planned_with_and_not_more(monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card(monkeypatch, (8, 0), free=24e9)
    assert card.detected(vram_gb=80).memory == card.detected().memory
    assert card.detected(vram_gb=8).memory == pytest.approx(8 * (1 << 30) * 0.94 - (600 << 20))


@pytest.mark.parametrize(
    ("head_dim", "length", "capability", "attention"),
    [(128, 2048, 89, "flex"), (8, 2048, 90, "sdpa"), (192, 2048, 89, "sdpa"), (192, 2048, 90, "flex"),
     (128, 1 << 16, 90, "sdpa")],
)  # fmt: skip
def test_what_flex_attention_has_no_kernel_for_is_done_by_sdpa(
    head_dim: int, length: int, capability: int, attention: str
) -> None:
    here = dataclasses.replace(card(24), capability=capability)
    assert here.suited(head_dim, length).attention == attention


def test_a_device_that_is_not_here_is_refused_with_what_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert machine.wanted_device("auto", 1) == torch.device("cuda", 1)
    assert machine.wanted_device("cuda:0", 1) == torch.device("cuda", 0)
    with pytest.raises(prepare.Refused, match="2 processes would share one device, cuda:1") as refused:
        machine.wanted_device("cuda:1", 0, 2)
    assert "CUDA_VISIBLE_DEVICES=1" in refused.value.fix
    with pytest.raises(prepare.Refused, match="cuda:3 is not here; here: cpu, cuda:0, cuda:1"):
        machine.wanted_device("cuda:3", 0)


def test_a_peak_is_that_of_the_units_that_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    here = machine.detect(train.Config(plan=True, vram_gb=80, precision="fp32"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    assert here.products == "tf32"
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (6, 1))
    assert here.products == "fp32"
    assert machine.detect(train.Config(plan=True, vram_gb=80)).products == "bf16"
