"""What Slurm will not have now, what it never sees, and what is said meanwhile: a lab on a real one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM, process
from tests.engines.labs import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(120)]


def test_a_closed_partition_is_said_once_and_the_run_is_made_when_it_opens(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, partition="closed")
    said = lab.labctl("run-once")
    assert said.code == 1
    assert "slurm does not take it now" in said.all
    assert "does not answer" not in said.all
    again = lab.labctl("run-once")
    assert (again.code, again.out) == (0, "")
    assert "slurm does not take it now" in lab.labctl("status").all
    lab.row()  # what waits keeps what it was asked with: it is given up for it
    lab.done("cancel", "sweep")
    lab.turns_until("another class is free", lab.settled)


def test_a_secret_is_set_on_the_node_and_lies_nowhere_else(tmp_path: Path, cluster: Cluster) -> None:
    value = "hunter2-of-the-node"
    keys = tmp_path / "keys.sh"
    keys.write_text(f"export MY_TOKEN={value}\n")
    program = 'test -n "$MY_TOKEN" || exit 3; echo "it is $MY_TOKEN"'
    lab = Lab(tmp_path / "place", cluster, program=program, setup=[f". {keys}", "echo from-setup $MY_TOKEN"])
    spec = lab.root / "experiments/sweep/SPEC.yaml"
    spec.write_text(spec.read_text() + "secrets: [MY_TOKEN]\n")
    lab.done("run-once")
    lab.turns_until("it is sealed", lambda: lab.sealed() and lab.settled())
    assert lab.sealed("success") == [lab.run().name]
    assert "it is" in (lab.run() / "stdout.log").read_text()
    for folder in (lab.root, cluster.folder):
        found = subprocess.run(["grep", "-rlI", value, str(folder)], capture_output=True, text=True, check=False)
        assert found.stdout == ""


def test_a_burst_waits_for_a_controller_and_says_the_truth_when_it_is_stopped(
    tmp_path: Path, own_cluster: Cluster
) -> None:
    lab = Lab(tmp_path, own_cluster)
    own_cluster.kill("slurmctld")
    environ = {**os.environ, **own_cluster.environ, "LAB_DATA_ROOT": str(lab.root)}
    command = [sys.executable, SHIM, "burst", "sweep", "-n", "1"]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as burst:
        assert burst.stdout is not None
        assert "slurm does not answer" in burst.stdout.readline()
        burst.send_signal(signal.SIGINT)
        _, err = burst.communicate(timeout=60)
    assert burst.returncode == 130
    assert "1 run waits to be submitted" in err
    assert "goes on" not in err


def test_where_slurm_is_not_installed_a_burst_is_refused_and_nothing_is_claimed(
    tmp_path: Path, cluster: Cluster
) -> None:
    lab = Lab(tmp_path, cluster)
    for environ in ({"PATH": str(tmp_path)}, {"SLURM_CONF": str(tmp_path / "nowhere.conf")}):
        said = process("burst", "sweep", "-n", "1", root=lab.root, env={**cluster.environ, **environ})
        assert said.code == 5, said
        assert "Slurm cannot be asked" in said.all
        assert lab.runs() == []
