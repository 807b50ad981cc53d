"""Seeds that are played every time, and many more with `--slow`. `LABCTL_SIM_SEED=N` plays one of them again."""

from __future__ import annotations

import os
import shutil
import tempfile
from typing import TYPE_CHECKING

import pytest

from tests.sim.simulation import TEMPERS, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterator

# Read at import: tests run in an environment of their own.
GIVEN = os.environ.get("LABCTL_SIM_SEED", "")
STEPS = int(os.environ.get("LABCTL_SIM_STEPS") or 1_500)
FIXED = [int(GIVEN)] if GIVEN else list(range(len(TEMPERS)))
SEEDS_A_TEMPER = 8


@pytest.fixture
def ram(tmp_path: os.PathLike[str]) -> Iterator[str]:
    """A folder on tmpfs where there is one: the simulator is about order, not about the disk."""
    if not os.access("/dev/shm", os.W_OK):  # noqa: S108  # the place is private: mkdtemp
        yield os.fspath(tmp_path)
        return
    path = tempfile.mkdtemp(prefix="labctl-sim-", dir="/dev/shm")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", FIXED)
def test_whatever_happens_the_lab_keeps_its_word(ram: str, seed: int) -> None:
    Simulation(f"{ram}/lab", seed).go(STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("temper", sorted(TEMPERS))
def test_many_seeds_and_longer(ram: str, temper: str) -> None:
    first = 1_000 * len(TEMPERS) + sorted(TEMPERS).index(temper)
    for seed in range(first, first + SEEDS_A_TEMPER * len(TEMPERS), len(TEMPERS)):
        Simulation(f"{ram}/{seed}", seed).go(2 * STEPS)
