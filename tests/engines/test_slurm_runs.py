"""Runs of a lab on a real Slurm: what people and cron type, what goes wrong, and what the files say afterwards."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM
from tests.engines.cluster import CPUS, alone
from tests.engines.conftest import require_slurm
from tests.engines.labs import Lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.engines.cluster import Cluster

pytestmark = [pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.timeout(300)]

WAITS = 'while ! test -e "$LAB_REPO_ROOT/go"; do sleep 0.1; done'


def test_a_run_is_queued_carried_out_where_slurm_says_and_sealed(tmp_path: Path, cluster: Cluster) -> None:
    program = 'echo "place $SLURM_JOB_NODELIST job $SLURM_JOB_ID gpu $CUDA_VISIBLE_DEVICES"'
    lab = Lab(tmp_path, cluster, program=program, gres="gpu:1", setup=["export SIGN=1"])
    said = lab.done("run-once")
    assert "queued" in said.out
    assert "slurm" in said.out
    lab.until("it is sealed", lambda: lab.sealed("success"))
    lab.until("its claim is given back", lambda: not lab.leftovers())
    told = (lab.run() / "stdout.log").read_text().split()
    assert told[1] in cluster.nodes
    assert json.loads((lab.run() / "SEAL.json").read_text())["run"]["worker"] == told[1]
    assert told[5] == "0"
    assert lab.executed() == lab.sealed()
    assert lab.turn().out.count("queued") == 0  # there is one to be made, and it was


def test_what_is_queued_and_running_where_is_in_status_and_can_be_cancelled(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    lab.turn()
    (told,) = lab.placed()
    assert (told["state"], told["engine"]) == ("running", "slurm")
    assert told["where"] in (*cluster.nodes, *(node.partition(".")[0] for node in cluster.nodes))
    lab.done("cancel", lab.run().name)
    lab.turns_until("it is sealed", lab.settled)
    assert lab.sealed("cancelled") == [lab.run().name]


def test_a_run_that_a_person_ends_by_scancel_is_sealed_as_cancelled(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    cluster.call("scancel", lab.number())
    lab.turns_until("it is settled", lab.settled)
    assert lab.sealed("cancelled") == [lab.run().name]
    assert lab.executed() == lab.sealed()


def test_a_run_that_is_scancelled_before_it_began_is_cancelled(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, options=["--begin=now+1hour"])
    lab.turns_until("it is told why it waits", lambda: [each["why"] for each in lab.placed()] == ["BeginTime"])
    assert [each["state"] for each in lab.placed()] == ["queued"]
    cluster.call("scancel", lab.number())
    lab.turns_until("it is settled", lambda: lab.sealed("cancelled"))
    assert lab.executed() == []


def test_a_refusal_pauses_the_experiment_once_and_is_not_repeated(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, runs=3, partition="nosuch")
    said = lab.turn()
    assert "invalid partition specified: nosuch" in said.all
    assert "sinfo" in said.all
    assert "labctl resume sweep" in said.all
    again = lab.turn()
    assert "nosuch" not in again.all
    assert len(lab.runs()) == 1
    assert lab.sealed() == []
    assert "nosuch" in lab.labctl("status").out + lab.labctl("show", "sweep").out
    lab.row()
    lab.done("resume", "sweep")
    lab.turns_until("three runs are made", lambda: len(lab.sealed("success")) == 3)
    assert len(lab.executed()) == 3


def test_a_run_that_takes_too_much_memory_is_a_failed_run(tmp_path: Path, cluster: Cluster) -> None:
    if not cluster.confined:
        pytest.skip("Slurm can make no cgroups here")
    lab = Lab(tmp_path, cluster, program="x=$(head -c 400000000 /dev/zero | tr '\\0' x)", memory="120M")
    lab.turn()
    lab.turns_until("it is settled", lab.settled)
    assert lab.sealed("failed", "crash") == [lab.run().name]
    assert "out of memory" in (lab.run() / "RESULT.md").read_text()


@pytest.mark.slow
def test_a_run_whose_supervisor_is_wedged_is_ended_by_slurm_and_is_a_timeout(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS, time="1")
    lab.turn()
    lab.until("it runs", lab.executed)
    os.kill(int(str(lab.started()["pid"])), signal.SIGSTOP)  # it renews nothing, ends nothing, and hears no TERM
    lab.turns_until("it is settled", lab.settled, limit_s=240)
    assert lab.sealed("timeout") == [lab.run().name]
    assert lab.executed() == lab.sealed()


def test_a_second_body_of_a_run_is_refused_and_changes_nothing(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    command = [sys.executable, SHIM, "exec", "sweep", lab.run().name, "--data-root", str(lab.root)]
    second = subprocess.run(command, capture_output=True, check=False)
    assert second.returncode == 76
    (lab.specs / "go").touch()
    lab.turns_until("it is settled", lab.settled)
    assert lab.executed() == lab.sealed("success")
    late = subprocess.run(command, capture_output=True, check=False)
    assert late.returncode == 75


@pytest.mark.xdist_group("own")
def test_while_slurm_is_away_a_run_waits_and_then_it_is_made_once(tmp_path: Path, own_cluster: Cluster) -> None:
    lab = Lab(tmp_path, own_cluster)
    own_cluster.kill("slurmctld")
    said = lab.turn()
    assert "contact" in said.all
    assert not lab.sealed()
    own_cluster.start_controller()
    lab.turns_until("it is made", lambda: lab.sealed("success") and lab.settled())
    assert lab.executed() == lab.sealed()
    assert len(lab.runs()) == 1


@pytest.mark.xdist_group("own")
def test_a_lost_node_loses_a_run_that_is_not_counted_and_made_again(tmp_path: Path, own_cluster: Cluster) -> None:
    lab = Lab(
        tmp_path, own_cluster, program=f'test -e "$LAB_REPO_ROOT/again" || {{ touch "$LAB_REPO_ROOT/again"; {WAITS}; }}'
    )
    lab.turn()
    lab.until("it runs", lab.executed)
    node = own_cluster.call("squeue", "-h", "-o", "%N").stdout.strip()
    number = lab.number()
    own_cluster.kill(node)  # the machine is gone: its daemon, its keeper, and all that ran there
    for pid in own_cluster.processes():
        with suppress(ProcessLookupError):  # it went with one of the others
            os.kill(pid, signal.SIGKILL)
    own_cluster.call("scontrol", "update", f"nodename={node}", "state=down", "reason=lost")
    own_cluster.wait("it is lost", lambda: own_cluster.jobs()[number] == "NODE_FAIL")
    lab.turns_until("another one is made", lambda: lab.sealed("success") and lab.settled(), limit_s=100)
    assert len(lab.runs()) == 2
    assert lab.superseded() == [lab.runs()[0].name]
    assert lab.sealed() == [lab.runs()[1].name]


@pytest.mark.xdist_group("own")
@pytest.mark.needs_root
@pytest.mark.parametrize("hidden", ["lab", "all"])
def test_a_node_that_cannot_see_the_lab_is_found_out_by_the_job(
    tmp_path: Path, own_cluster: Cluster, hidden: str
) -> None:
    """Its folder is empty there, as a place where nothing is mounted; or there is no such folder."""
    lab = Lab(tmp_path / "place", own_cluster)
    for node in own_cluster.nodes:
        own_cluster.kill(node)
        own_cluster.start_node(node, without=lab.root if hidden == "lab" else lab.place)
    own_cluster.wait("the nodes are there", lambda: own_cluster.sinfo() == ["idle", "idle"])
    lab.turn()
    lab.turns_until("it is taken back", lab.superseded)
    assert (lab.executed(), lab.sealed()) == ([], [])
    assert "the lab is not to be seen" in (lab.runs()[0] / "SUPERSEDED.json").read_text()


PREEMPTING = """\
PartitionName=low Nodes=ALL PriorityTier=1 PreemptMode=CANCEL GraceTime=5 MaxTime=600 State=UP
PartitionName=high Nodes=ALL PriorityTier=10 MaxTime=600 State=UP
PreemptType=preempt/partition_prio
PreemptMode=CANCEL
"""


def test_a_run_that_is_preempted_is_not_counted_and_made_again(tmp_path: Path) -> None:
    require_slurm()
    with alone(nodes=1, more=PREEMPTING) as cluster:
        program = f'test -e "$LAB_REPO_ROOT/again" || {{ touch "$LAB_REPO_ROOT/again"; {WAITS}; }}'
        lab = Lab(tmp_path, cluster, program=program, partition="low", cpus=CPUS)
        lab.turn()
        lab.until("it runs", lab.executed)
        cluster.call("sbatch", "--partition=high", f"--cpus-per-task={CPUS}", "--output=/dev/null", "--wrap=true")
        lab.turns_until("another one is made", lambda: lab.sealed("success") and lab.settled(), limit_s=100)
        assert lab.superseded() == [lab.runs()[0].name]
        assert lab.sealed() == [lab.runs()[1].name]


def test_the_word_that_the_limit_of_slurm_is_near_makes_a_timeout(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    cluster.call("scancel", "--signal=USR1", "--batch", lab.number())  # as `--signal=B:USR1@60` has it sent
    lab.until("it is sealed", lambda: lab.sealed("timeout"))
    assert "time limit" in (lab.run() / "RESULT.md").read_text()


@pytest.mark.slow
def test_the_limit_of_slurm_is_a_timeout(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS, minutes=30, time="5")
    lab.turn()
    lab.until("it is sealed", lambda: lab.sealed("timeout"), limit_s=290)
    assert "time limit" in (lab.run() / "RESULT.md").read_text()


def test_a_run_that_slurm_has_suspended_is_not_lost(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    cluster.call("scontrol", "suspend", lab.number())
    for path in (*lab.locks.glob("*.claim"), *lab.locks.glob("*.started")):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 1000))
    lab.turn()
    assert [each["why"] for each in lab.placed()] == ["suspended"]
    cluster.call("scontrol", "resume", lab.number())
    for path in lab.locks.glob("*.claim"):  # which its body does at once, when it was silent for long
        path.touch()
    (lab.specs / "go").touch()
    lab.turns_until("it is sealed", lambda: lab.sealed("success") and lab.settled())
    assert lab.superseded() == []


def test_a_cancel_reaches_a_job_whose_setting_up_hangs(tmp_path: Path, cluster: Cluster) -> None:
    lab = Lab(tmp_path, cluster, setup=["sleep 3000"])
    lab.turn()
    cluster.wait("it runs", lambda: cluster.jobs()[lab.number()] == "RUNNING")
    number = lab.number()
    lab.done("cancel", "sweep")
    lab.turns_until("it is settled", lambda: lab.sealed("cancelled"))
    cluster.wait("its job is over", lambda: cluster.jobs()[number] == "CANCELLED")
    assert lab.executed() == []


@pytest.mark.xdist_group("own")
def test_a_body_on_a_node_that_cannot_be_reached_keeps_its_run_though_slurm_calls_it_cancelled(
    tmp_path: Path, own_cluster: Cluster
) -> None:
    lab = Lab(tmp_path, own_cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    number = lab.number()
    own_cluster.kill(own_cluster.call("squeue", "-h", "-j", number, "-o", "%N").stdout.strip())
    for pid in own_cluster.steps(number):
        os.kill(pid, signal.SIGKILL)
    own_cluster.call("scancel", number)
    own_cluster.call("scontrol", "update", f"nodename={','.join(own_cluster.nodes)}", "state=down", "reason=away")
    own_cluster.wait("Slurm is done with it", lambda: own_cluster.jobs()[number] in ("CANCELLED", "NODE_FAIL"))
    for path in (*lab.locks.glob("*.claim"), *lab.locks.glob("*.started")):  # a while after it was heard of
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 15))
    lab.turn()
    assert lab.sealed() == lab.superseded() == []
    (lab.specs / "go").touch()
    lab.turns_until("it seals its run", lambda: lab.sealed("success") and lab.settled())
    assert lab.superseded() == []
    lab.done("verify")
