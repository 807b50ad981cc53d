"""How long it takes to count the words of a made-up text, in seconds of processor time. Never twice the same."""

from __future__ import annotations

import random
import time

import count

WORDS, DIFFERENT, SEED = 100_000, 400, 5


def text() -> list[str]:
    """The words to count: some of them often, most of them seldom."""
    luck = random.Random(SEED)
    return [f"word{int(luck.paretovariate(1.0)) % DIFFERENT}" for _ in range(WORDS)]


if __name__ == "__main__":
    words = text()
    began = time.process_time()
    count.count(words)
    print(f"METRIC seconds={time.process_time() - began:.6f}")
