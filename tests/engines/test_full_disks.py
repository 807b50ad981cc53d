"""Disks that are full: a node's, which then cannot start a job, and that of the lab while a run is under way."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import TRACE
from tests.engines.labs import Lab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.engines.cluster import Cluster

pytestmark = [
    pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.needs_root, pytest.mark.timeout(200),
]  # fmt: skip

WAITS = 'while ! test -e "$LAB_REPO_ROOT/go"; do sleep 0.1; done'


@contextmanager
def small(folder: Path, size: str) -> Iterator[Path]:
    """A disk of that size. The file that is named is for filling it."""
    folder.mkdir(exist_ok=True, parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        yield folder / "filling"
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(filling: Path) -> None:
    with suppress(OSError), filling.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


@pytest.mark.xdist_group("own")
def test_a_job_that_its_node_has_no_room_to_start_was_cancelled_by_nobody_and_is_made_again(
    tmp_path: Path, own_cluster: Cluster
) -> None:
    first, second = (own_cluster.folder / f"spool.{node}" for node in own_cluster.nodes)
    with small(first, "16k") as one, small(second, "16k") as two:
        fill(one)
        fill(two)
        lab = Lab(tmp_path, own_cluster)
        lab.turns_until("each node has tried", lambda: len(lab.superseded()) == 2)  # and was drained by Slurm
        own_cluster.mend()
        lab.turns_until("it is not tried for ever", lambda: "paused" in lab.labctl("status").out, pause_s=1.0)
        assert len(lab.superseded()) == 3
        assert lab.sealed() == lab.executed() == []
    own_cluster.mend()
    lab.done("resume", "sweep")
    lab.turns_until("it is made", lab.over)
    assert lab.executed() == lab.sealed("success") == lab.sealed()


def test_a_run_whose_lab_has_no_room_left_is_settled_once_there_is_some(tmp_path: Path, cluster: Cluster) -> None:
    with small(tmp_path / "lab", "2m") as filling:
        lab = Lab(tmp_path, cluster, program=WAITS)
        lab.turn()
        lab.until("it runs", lab.executed)
        number = lab.number()
        fill(filling)
        (lab.specs / "go").touch()
        cluster.wait("its job is over", lambda: cluster.jobs()[number] in ("COMPLETED", "FAILED"), limit_s=60)
        said = lab.labctl("run-once")
        assert TRACE not in said.all
        assert said.code in (0, 1, 5), said
        filling.unlink()
        lab.turns_until("it is settled", lab.over, pause_s=1.0)
        assert lab.executed() == lab.sealed()
        assert len(lab.runs()) == 1
        assert lab.done("verify").code == 0
