"""Which points of a sweep are tried: on each push some, with a seed that a failure prints; all behind `--slow`."""

from __future__ import annotations

import random

import pytest

from tests.crash.aftermath import SEED

SHOWN = 40


def few_or_all(each: int) -> pytest.MarkDecorator:
    """A test with `sparse`: of so many points one on each push, and every one behind `--slow`."""
    few, every = (
        pytest.param(each, id="few"),
        pytest.param(1, id="all", marks=[pytest.mark.slow, pytest.mark.timeout(900)]),
    )
    return pytest.mark.parametrize("sparse", [few, every])


def points(name: str, every: int) -> range:
    """Steps that are so far from each other, beginning with one of the first. Whoever asks knows when it is the end."""
    return range(1 + random.Random(f"{SEED}{name}").randrange(every), 1000, every)


def told(wrong: list[str], where: str) -> str:
    """What a failure prints. `where` is the module of the tests."""
    rerun = f"LABCTL_SWEEP_SEED={SEED} pytest {where} (--slow for all points)"
    return f"{len(wrong)} things are wrong; again with: {rerun}\n" + "\n".join(wrong[:SHOWN])
