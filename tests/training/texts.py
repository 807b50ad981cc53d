"""Small corpora for the tests of the training template: of chance, the same each time, with odd letters."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING

import numpy as np
import prepare
from corpora import SPLITS

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [
    "the",
    "of",
    "and",
    "a",
    "in",
    "that",
    "ship",
    "café",
    "Übermut",
    "北京",
    "Ω",
    "½",
    "🚀",
    "don't",
    "1999",
    "3.14",
    "x'",
    "\t",
    "(sic)",
]


def document(luck: random.Random, words: int) -> str:
    text = " ".join(luck.choice(WORDS) for _ in range(words))
    return text.replace(" x' ", ".\n").replace(" (sic) ", "\n\n") + "\n"


def documents(count: int, *, seed: int = 0, words: int = 60) -> list[str]:
    luck = random.Random(seed)
    return [f"{number} {document(luck, luck.randint(words // 3, words * 2))}" for number in range(count)]


def folder(path: Path, texts: list[str]) -> Path:
    """One .txt a document."""
    path.mkdir(parents=True, exist_ok=True)
    for number, text in enumerate(texts):
        (path / f"{number:04}.txt").write_text(text, encoding="utf-8", newline="")
    return path


def jsonl(path: Path, texts: list[str]) -> Path:
    """All in one file, which is the quickest to make data of."""
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def data_of(path: Path, sizes: list[int], *, context: int = 8, vocab: int = 60_000) -> prepare.Data:
    """Data whose tokens are their own places, so that each can be told from every other. BOS is the last id."""
    path.mkdir(parents=True, exist_ok=True)
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype("<i8")
    for split in SPLITS:
        starts.tofile(path / f"{split}.starts")
        np.arange(starts[-1]).astype("<u2").tofile(path / f"{split}.tokens")
    token_bytes = np.ones(vocab, dtype=np.int32)
    token_bytes[-1] = 0
    total = int(starts[-1])
    return prepare.Data(
        name="local", corpus="places", digest="0" * 64, folder=str(path), vocab_size=vocab, bos=vocab - 1,
        context=context, token_bytes=token_bytes, text_bytes=dict.fromkeys(SPLITS, total),
    )  # fmt: skip
