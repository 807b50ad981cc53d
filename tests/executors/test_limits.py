from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.core.launch import Limits
from lab.executors import limits as limiting
from lab.executors.gpu import Meter

if TYPE_CHECKING:
    from pathlib import Path


def test_without_a_limit_nothing_is_made(tmp_path: Path) -> None:
    assert limiting.cage(Limits(budget_s=1), mount=str(tmp_path)).folders() == set()


def test_where_no_cgroup_can_be_made_cores_are_pinned_and_memory_is_watched(tmp_path: Path) -> None:
    limits = Limits(budget_s=1, memory_mb=10, cpu=0.5)
    cage = limiting.cage(limits, mount=str(tmp_path / "none"))
    assert len(cage.cores) == 1
    assert cage.cores <= os.sched_getaffinity(0)
    assert cage.words(limits) == ", memory watched, cpu by affinity"


def test_a_machine_without_a_gpu_loads_nothing(tmp_path: Path) -> None:
    meter = Meter(signs=(str(tmp_path / "none"),), library="no such library")
    meter.look(os.getpid())
    assert meter.peak_mb() is None


def test_a_driver_that_does_not_load_stops_no_run(tmp_path: Path) -> None:
    meter = Meter(signs=(str(tmp_path),), library="no such library")
    meter.look(os.getpid())
    assert meter.peak_mb() is None
