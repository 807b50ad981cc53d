"""The score: bits per byte of text, whatever the batch; and what it is refused for."""

from __future__ import annotations

import dataclasses
import itertools
import math
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import prepare
import pytest
import torch

TEMPLATE = Path(prepare.__file__).parent


class Pairs(torch.nn.Module):
    """Knows which token follows which: what it says depends on the last token alone."""

    def __init__(self, vocab: int, seed: int = 0) -> None:
        super().__init__()
        self.table = torch.randn(vocab, vocab, generator=torch.Generator().manual_seed(seed))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.table[inputs]


def scored(model: object, data: prepare.Data, *, batch_rows: int = 7, split: str = "val") -> prepare.Score:
    return prepare.evaluate(model, data, split, device="cpu", batch_rows=batch_rows)  # type: ignore[arg-type]


def test_a_model_that_knows_nothing_scores_the_bits_of_its_alphabet(small: prepare.Data) -> None:
    told = scored(lambda inputs: torch.zeros(*inputs.shape, small.vocab_size), small)
    text = small.text_bytes["val"]
    assert told.bytes == text
    assert told.tokens == len(small.tokens("val"))
    assert told.bpb == pytest.approx(told.tokens * math.log2(small.vocab_size) / text, rel=1e-6)


def test_the_score_is_that_of_an_independent_computation(small: prepare.Data) -> None:
    """Token by token out of the files, with no row, no batch and no torch."""
    model = Pairs(small.vocab_size)
    table = model.table.double().numpy()
    bits = table - np.log(np.exp(table).sum(1, keepdims=True))
    tokens, starts = small.tokens("val").tolist(), small.starts("val").tolist()
    nats = 0.0
    for begin, end in itertools.pairwise(starts):
        for place in range(begin, end):
            is_first = (place - begin) % small.context == 0
            nats -= bits[small.bos if is_first else tokens[place - 1], tokens[place]]
    told = scored(model, small)
    assert told.nats == pytest.approx(nats, rel=1e-6)
    assert told.bpb == pytest.approx(nats / math.log(2) / small.text_bytes["val"], rel=1e-6)


def test_the_score_does_not_depend_on_the_batch(small: prepare.Data) -> None:
    scores = {scored(Pairs(small.vocab_size), small, batch_rows=rows) for rows in (1, 3, 16, 10_000)}
    assert len(scores) == 1


def test_logits_may_be_wider_than_the_alphabet_and_narrower_than_float32(small: prepare.Data) -> None:
    def model(inputs: torch.Tensor) -> torch.Tensor:
        wide = torch.full((*inputs.shape, small.vocab_size + 100), -1e4)
        wide[..., : small.vocab_size] = 0
        return wide.bfloat16()

    told = scored(model, small)
    assert told.nats == pytest.approx(told.tokens * math.log(small.vocab_size), rel=1e-6)


def test_a_module_is_measured_in_eval_mode_and_put_back(small: prepare.Data) -> None:
    model = torch.nn.Sequential(Pairs(small.vocab_size), torch.nn.Dropout(0.5))
    assert scored(model, small) == scored(Pairs(small.vocab_size), small)
    assert model.training


@pytest.mark.parametrize("compiled", [False, True])
def test_the_module_behind_a_method_is_measured_in_eval_mode_too(small: prepare.Data, compiled: bool) -> None:
    """What train.py hands over is `model.logits`, compiled or not."""

    class Dropping(Pairs):
        def logits(self, inputs: torch.Tensor) -> torch.Tensor:
            return torch.nn.functional.dropout(self(inputs), 0.5, self.training)

    model = Dropping(small.vocab_size)
    logits = torch.compile(model.logits, backend="eager") if compiled else model.logits
    assert scored(logits, small) == scored(Pairs(small.vocab_size), small)
    assert model.training


def test_memory_that_ends_in_evaluation_costs_rows_at_once_and_no_score(
    small: prepare.Data, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = Pairs(small.vocab_size)

    def model(inputs: torch.Tensor) -> torch.Tensor:
        if len(inputs) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return plain(inputs)

    assert scored(model, small, batch_rows=12) == scored(plain, small)
    assert "out of memory in evaluation; it goes on with 1 row(s) at once" in capsys.readouterr().err


def test_memory_that_is_too_small_for_one_row_is_a_failure(small: prepare.Data) -> None:
    def model(inputs: torch.Tensor) -> torch.Tensor:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError):
        scored(model, small)


def test_a_model_that_looks_ahead_is_refused(small: prepare.Data) -> None:
    """It would score as if it knew: each place is told the token that it has to predict."""

    def model(inputs: torch.Tensor) -> torch.Tensor:
        following = torch.roll(inputs, -1, dims=1)
        return 20 * torch.nn.functional.one_hot(following, small.vocab_size).float()

    with pytest.raises(prepare.Refused, match="looks ahead") as refused:
        scored(model, small)
    assert refused.value.code == 1


def test_a_score_that_is_not_a_number_is_refused(small: prepare.Data) -> None:
    with pytest.raises(prepare.Refused, match="the loss over val is nan"):
        scored(lambda inputs: torch.full((*inputs.shape, small.vocab_size), math.nan), small)


def test_bytes_that_do_not_add_up_to_the_text_are_refused(small: prepare.Data) -> None:
    wrong = small.token_bytes.copy()
    wrong[int(small.tokens("val")[0])] += 1
    with pytest.raises(prepare.Refused, match="the targets of val stand for"):
        scored(Pairs(small.vocab_size), dataclasses.replace(small, token_bytes=wrong))


def test_the_peak_of_a_device_is_its_own_or_unknown() -> None:
    assert prepare.peak_flops("NVIDIA H100 80GB HBM3", "bf16") == 989.5e12
    assert prepare.peak_flops("NVIDIA H100 PCIe", "bf16") == 756e12
    assert prepare.peak_flops("NVIDIA H200", "bf16") == 989.5e12
    assert prepare.peak_flops("NVIDIA B200", "tf32") == 1100e12
    assert prepare.peak_flops("NVIDIA GH200 480GB", "fp32") == 67e12
    assert prepare.peak_flops("NVIDIA A100-SXM4-40GB", "tf32") == 156e12
    assert prepare.peak_flops("Tesla V100-PCIE-16GB", "fp16") == 112e12
    assert prepare.peak_flops("NVIDIA GeForce RTX 4090", "bf16") == 165.2e12
    assert prepare.peak_flops("NVIDIA RTX 6000 Ada Generation", "bf16") == 364.2e12
    assert prepare.peak_flops("AMD Instinct MI300X", "bf16") == 1307.4e12


@pytest.mark.parametrize(
    ("device", "dtype"),
    [
        ("cpu", "fp32"),
        ("mps", "fp16"),
        ("Tesla T4", "bf16"),
        ("NVIDIA A100", "int3"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "bf16"),
        ("NVIDIA GeForce RTX 4090 D", "bf16"),
        ("NVIDIA GeForce RTX 4080 SUPER", "bf16"),
        ("NVIDIA GeForce RTX 3080 Ti", "bf16"),
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb", "bf16"),
        ("NVIDIA A100-40C", "bf16"),
        ("NVIDIA A40-48Q", "bf16"),
        ("Tesla V100-FHHL-16GB", "fp16"),
        ("NVIDIA A1000", "bf16"),
        ("Some GB200X", "bf16"),
    ],
)
def test_a_peak_that_no_data_sheet_names_is_unknown(device: str, dtype: str) -> None:
    assert prepare.peak_flops(device, dtype) is None


STUB = """
import prepare, torch

def scorable(path, device):
    held = torch.load(path, weights_only=True)
    data = prepare.ensure(held["dataset"])
    return (lambda inputs: held["table"][inputs]), data, {"device": device or "cpu", "batch_rows": 8}
"""


@pytest.fixture
def command(shared_cache: Path, tmp_path: Path) -> list[str]:
    """`prepare.py score checkpoint.pt`, with a small train.py beside it."""
    for name in ("prepare.py", "corpora.py"):
        shutil.copy(TEMPLATE / name, tmp_path)
    (tmp_path / "train.py").write_text(STUB, encoding="utf-8")
    return [sys.executable, str(tmp_path / "prepare.py"), "score", str(tmp_path / "checkpoint.pt")]


def run(command: list[str], cache: Path) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LAB_TRAINING_CACHE": str(cache)}
    return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)


def test_the_command_scores_a_checkpoint_on_the_holdout(
    command: list[str], small: prepare.Data, small_dataset: str, shared_cache: Path, tmp_path: Path
) -> None:
    model = Pairs(small.vocab_size)
    torch.save({"dataset": small_dataset, "table": model.table}, tmp_path / "checkpoint.pt")
    done = run(command, shared_cache)
    assert done.returncode == 0, done.stderr
    found = re.search(r"^METRIC holdout_bpb=(\S+)$", done.stdout, re.MULTILINE)
    assert found
    assert float(found[1]) == pytest.approx(scored(model, small, split="holdout").bpb, abs=1e-6)


def test_a_checkpoint_of_another_model_is_refused_with_words(
    command: list[str], shared_cache: Path, tmp_path: Path
) -> None:
    torch.save({"table": torch.zeros(1)}, tmp_path / "checkpoint.pt")
    done = run(command, shared_cache)
    assert done.returncode == 4
    assert f"{tmp_path}/checkpoint.pt does not fit the train.py that lies here (KeyError: 'dataset')" in done.stderr
    assert "Traceback" not in done.stderr
