"""Seeds that are played every time, and many more with `--slow`. `LABCTL_SIM_SEED=N` plays one of them again."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import nullcontext
from typing import TYPE_CHECKING

import pytest

from lab.scheduler import refresh
from lab.store import files
from tests.sim.invariants import Violated
from tests.sim.simulation import TEMPERS, Simulation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# Read at import: tests run in an environment of their own.
GIVEN = os.environ.get("LABCTL_SIM_SEED", "")
STEPS = int(os.environ.get("LABCTL_SIM_STEPS") or 1_500)
FIXED = [int(GIVEN)] if GIVEN else list(range(len(TEMPERS)))
SEEDS_A_TEMPER = 8
# Faults that each of the lab's own tests of one process would pass.
SABOTAGES = [
    pytest.param(files, "hold", lambda path: nullcontext(), id="lines are appended without the lock"),
    pytest.param(refresh, "_just", lambda data, tail, size: b"", id="a table misses the rows of new runs"),
]


@pytest.fixture
def ram(tmp_path: os.PathLike[str]) -> Iterator[str]:
    """A folder on tmpfs where there is one: the simulator is about order, not about the disk."""
    if not os.access("/dev/shm", os.W_OK):  # noqa: S108  # the place is private: mkdtemp
        yield os.fspath(tmp_path)
        return
    path = tempfile.mkdtemp(prefix="labctl-sim-", dir="/dev/shm")
    yield path
    shutil.rmtree(path, ignore_errors=True)


def play(ram: str, seeds: Iterable[int], steps: int) -> None:
    for seed in seeds:
        Simulation(f"{ram}/{seed}", seed).go(steps)


@pytest.mark.heavy
@pytest.mark.parametrize("seed", FIXED)
def test_whatever_happens_the_lab_keeps_its_word(ram: str, seed: int) -> None:
    play(ram, [seed], STEPS)


@pytest.mark.heavy
@pytest.mark.parametrize(("place", "name", "fault"), SABOTAGES)
def test_it_sees_a_lab_that_breaks_its_word(
    ram: str, monkeypatch: pytest.MonkeyPatch, place: object, name: str, fault: object
) -> None:
    monkeypatch.setattr(place, name, fault)
    with pytest.raises(Violated):
        play(ram, range(2 * len(TEMPERS)), STEPS)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("temper", sorted(TEMPERS))
def test_many_seeds_and_longer(ram: str, temper: str) -> None:
    first = 1_000 * len(TEMPERS) + sorted(TEMPERS).index(temper)
    play(ram, range(first, first + SEEDS_A_TEMPER * len(TEMPERS), len(TEMPERS)), 2 * STEPS)
