"""Which way a metric is better, told from its name, where the name says it clearly. Pure.

A wrong guess would keep every change for the worse, so the word that decides is the last one, as in any compound:
`section_recall` is a recall, and `accuracy_drop` is nothing that is known here.
"""

from __future__ import annotations

import re

HIGHER = "higher"

_PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
# What is put behind a name, and says nothing of what it is.
_BESIDE = frozenset({
    "val", "valid", "validation", "test", "train", "eval", "dev", "mean", "median", "avg", "average", "total", "final",
    "p", "top",
})  # fmt: skip
_LOWER = frozenset({
    "loss", "bpb", "perplexity", "ppl", "error", "errors", "err", "mse", "rmse", "mae", "wer", "cer", "latency",
    "runtime", "duration", "seconds", "ms", "us", "ns", "bytes", "cost", "misses", "allocations",
})  # fmt: skip
_HIGHER = frozenset({
    "accuracy", "acc", "recall", "precision", "auc", "auroc", "bleu", "reward", "throughput", "speedup", "fps", "qps",
})  # fmt: skip
_RATES = frozenset({"s", "sec", "second"})  # so many of something good in one of them, as far as a name can tell
# A word that turns the meaning around, wherever it stands.
_TURNED = frozenset({"neg", "negative", "negated", "minus", "inv", "inverse", "no", "non", "not", "anti", "un"})


def guessed(metric: str) -> str:
    """`lower`, `higher`, or nothing where one would have to guess."""
    parts = [part.lower() for part in _PART.findall(metric)]
    if _TURNED & set(parts):
        return ""
    if len(parts) > 2 and parts[-2] == "per" and parts[-1] in _RATES:  # noqa: PLR2004  # of something, per time
        return "" if _LOWER & set(parts) else HIGHER
    while len(parts) > 1 and (parts[-1] in _BESIDE or parts[-1].isdigit()):
        parts.pop()
    last = parts[-1] if parts else ""
    others = set(parts[:-1])
    if last in _LOWER:
        return "" if _HIGHER & others else "lower"
    return HIGHER if last in _HIGHER and not _LOWER & others else ""
