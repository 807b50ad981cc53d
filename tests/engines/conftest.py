"""A real Slurm for the tests that need one: started by the first of them, ended with the last."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.engines import cluster as clusters

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.engines.cluster import Cluster


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """Two nodes with a GPU each that is none. One for each test process."""
    require_slurm()
    with clusters.alone() as cluster:
        yield cluster


@pytest.fixture
def own_cluster() -> Iterator[Cluster]:
    """One whose daemons may be killed. Tests with it are marked as a group more, so that they run beside the others."""
    require_slurm()
    with clusters.alone() as cluster:
        yield cluster


def require_slurm() -> None:
    lacking = clusters.missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"CI must try Slurm for real, and {', '.join(lacking)} is missing: apt-get install slurm-wlm munge")
    if lacking:
        pytest.skip(f"Slurm is not installed here: {', '.join(lacking)}")
