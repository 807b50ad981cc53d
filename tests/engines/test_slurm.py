"""Slurm by its own commands, against daemons that are real."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.engines.door import Ground
from lab.engines.slurm import Slurm
from lab.store.files import Files
from lab.testing.engines import EngineContract

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm")]


def ground_of(cluster: Cluster, folder: Path) -> Ground:
    environ = {**os.environ, **cluster.environ}
    return Ground(environ=environ, folder=str(folder / "engine"), files=Files(durable=False))


class TestSlurm(EngineContract):
    engine = Slurm()

    @pytest.fixture
    def ground(self, tmp_path: Path, cluster: Cluster) -> Ground:
        return ground_of(cluster, tmp_path)

    def unreachable(self, ground: Ground) -> Ground | None:
        return msgspec.structs.replace(ground, environ={**ground.environ, "SLURM_CONF": "/nowhere/slurm.conf"})
