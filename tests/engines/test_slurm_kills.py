"""Whoever submits is killed, the body is killed, Slurm's daemons are killed: each run is sealed once, none twice.

Whoever submits is killed at each system call, always; a body at some of them, and at each with --slow. All that waits
for Slurm waits at the same time.

`LABCTL_KILL_SEED` repeats what chance chose: a test that fails prints it.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM
from tests.crash import straced
from tests.engines.labs import Lab, wrapper

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.crash.straced import Point
    from tests.engines.cluster import Cluster

pytestmark = [
    pytest.mark.heavy, pytest.mark.xdist_group("slurm"), pytest.mark.needs("strace"), pytest.mark.timeout(1200),
]  # fmt: skip

PROCESSES = ("vfork", "clone", "clone3", "wait4", "pipe2")
CALLS = ",".join((straced.CALLS, *PROCESSES))
WAITS = 'while ! test -e "$LAB_REPO_ROOT/go"; do sleep 0.1; done'
FEW = 12
AT_ONCE = 12
SEED = os.environ.get("LABCTL_KILL_SEED") or str(random.SystemRandom().randrange(10_000))


@pytest.fixture(autouse=True)
def _told() -> None:
    print(f"to repeat this: LABCTL_KILL_SEED={SEED}")  # noqa: T201  # pytest shows it beside a failure


def test_wherever_the_submitter_is_killed_the_next_turn_has_the_run_made_once(tmp_path: Path, cluster: Cluster) -> None:
    traced = Lab(tmp_path / "traced", cluster)
    log = str(tmp_path / "log")
    _strace(traced, "-y", "-s", "0", "-o", log, "-e", f"trace={CALLS}")

    def killed(point: Point, place: Path) -> None:
        lab = Lab(place, cluster)
        chosen = ("-e", f"trace={point.name}", "-e", f"inject={point.name}:signal=KILL:when={point.number}")
        ended = _strace(lab, "-o", "/dev/null", *chosen)
        # Whoever waits for sbatch with a limit asks as often as it takes: the last time may not come.
        assert ended == -signal.SIGKILL or (point.name == "wait4" and ended == 0), point
        lab.turns_until(f"{point}: it is sealed", lab.over, limit_s=120, pause_s=1.0)
        assert lab.sealed() == lab.sealed("success")
        assert lab.executed() == lab.sealed(), (point, lab.report())
        assert len(lab.runs()) == 1 + len(lab.superseded()), (point, lab.report())

    _sweep(_points(log, str(traced.root)), killed, tmp_path)


@pytest.mark.parametrize("most", [FEW, pytest.param(100_000, marks=pytest.mark.slow)], ids=["some", "each"])
def test_wherever_a_body_is_killed_its_run_is_sealed_once_and_no_run_is_carried_out_twice(
    tmp_path: Path, cluster: Cluster, most: int
) -> None:
    log = str(tmp_path / "log")
    traced = Lab(tmp_path / "traced", cluster)
    traced.row(python=wrapper(traced.place, "strace", "-qq", "-y", "-s", "0", "-o", log, "-e", f"trace={CALLS}"))
    traced.turns_until("it is sealed", lambda: traced.sealed("success") and traced.settled())

    def killed(point: Point, place: Path) -> None:
        lab = Lab(place, cluster)
        chosen = ("-e", f"trace={point.name}", "-e", f"inject={point.name}:signal=KILL:when={point.number}")
        lab.row(python=wrapper(lab.place, "strace", "-qq", "-o", "/dev/null", *chosen))
        lab.turn()
        lab.row()  # whoever comes after it lives
        lab.turns_until(f"{point}: it is settled", lab.over, limit_s=120, pause_s=2.0)
        assert max(Counter(lab.executed()).values(), default=0) <= 1, (point, lab.report())
        assert len(lab.sealed()) == 1, (point, lab.report())
        assert len(lab.runs()) == 1 + len(lab.superseded()), (point, lab.report())

    _sweep(_spread(_points(log, str(traced.root)), most), killed, tmp_path)


@pytest.mark.xdist_group("own")
def test_a_controller_that_is_killed_again_and_again_loses_no_run_and_doubles_none(
    tmp_path: Path, own_cluster: Cluster
) -> None:
    many, chance = 24, random.Random(SEED)
    lab = Lab(tmp_path, own_cluster, runs=many, parallel=many, program="sleep 1")
    kills = 0

    def turn() -> bool:
        nonlocal kills
        lab.turn()
        if kills < 4:
            own_cluster.kill("slurmctld")
            with ThreadPoolExecutor(1) as pool:
                meanwhile = pool.submit(lab.turn)
                own_cluster.wait("it is away for a while", lambda: chance.random() < 0.01)
                own_cluster.start_controller()
            meanwhile.result()
            kills += 1
        own_cluster.mend()
        return len(lab.sealed()) >= many and lab.settled()

    lab.until("all are sealed", turn, limit_s=300)
    assert kills == 4
    assert len(lab.sealed("success")) == many
    assert max(Counter(lab.executed()).values()) == 1
    assert set(lab.sealed()) <= set(lab.executed())
    assert not set(lab.sealed()) & set(lab.superseded())


@pytest.mark.xdist_group("own")
def test_a_job_that_slurm_starts_twice_has_one_bundle_and_its_second_body_is_refused(
    tmp_path: Path, own_cluster: Cluster
) -> None:
    """The keeper of the job is killed, its body lives on; Slurm misses the job on the node, and starts it again."""
    lab = Lab(tmp_path, own_cluster, program=WAITS)
    lab.turn()
    lab.until("it runs", lab.executed)
    number = lab.number()
    own_cluster.call("scontrol", "update", f"jobid={number}", "requeue=1")  # as where JobRequeue is a site's default
    for pid in own_cluster.steps(number):
        os.kill(pid, signal.SIGKILL)
    node = own_cluster.call("squeue", "-h", "-j", number, "-o", "%N").stdout.strip()

    def missed() -> bool:
        own_cluster.kill(node)  # it tells the controller what it has when it starts: not this job
        own_cluster.start_node(node)
        return own_cluster.jobs()[number] == "PENDING"

    def refused() -> bool:
        own_cluster.call(
            "scontrol", "update", f"jobid={number}", "starttime=now", check=False
        )  # and not in two minutes
        told = own_cluster.call("scontrol", "show", "job", number).stdout
        return "Restarts=1" in told and "ExitCode=76:0" in told

    own_cluster.wait("Slurm queues it again", missed, limit_s=60, pause_s=1.0)
    own_cluster.call("scontrol", "update", f"nodename={node}", "state=drain", "reason=it has forgotten a job")
    own_cluster.wait("Slurm starts it again, and the second body ends", refused, limit_s=60)
    lab.turn()
    assert lab.sealed() == []  # the first one is at it
    (lab.specs / "go").touch()
    lab.turns_until("it is sealed", lambda: lab.sealed("success") and lab.settled())
    assert lab.executed() == [lab.run().name]


def _strace(lab: Lab, *words: str) -> int:
    """One `labctl run-once` under strace: the same calls each time."""
    given = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "LAB_DATA_ROOT": str(lab.root)}
    command = ["strace", "-qq", *words, sys.executable, SHIM, "run-once"]
    environ = {**os.environ, **given, **lab.cluster.environ}
    return subprocess.run(command, env=environ, capture_output=True, check=False).returncode


def _points(log: str, path: str) -> list[Point]:
    """Every call that changes something in the root, or has to do with another process, from the first change on.

    What only reads between two of them leaves the same disk behind.
    """
    counts: Counter[str] = Counter()
    found: list[Point] = []
    with open(log, encoding="utf-8", errors="replace") as file:
        for match in filter(None, map(straced._CALL.match, file)):
            name, rest = match.groups()
            counts[name] += 1
            changes = path in rest and name != "close" and (name != "openat" or straced._WRITES.search(rest))
            if changes or (found and name in PROCESSES):
                found.append(straced.Point(name, counts[name], rest.replace(path, "")[:90].strip()))
    return found


def _spread(points: list[Point], most: int) -> list[Point]:
    step = max(1, -(-len(points) // most))
    return points[random.Random(SEED).randrange(step) :: step]


def _sweep(points: list[Point], killed: Callable[[Point, Path], None], place: Path) -> None:
    """Each point with a lab of its own, some beside each other: most of the time is Slurm's tick of a second."""
    assert points
    with ThreadPoolExecutor(AT_ONCE) as pool:
        try:
            for done in [pool.submit(killed, point, place / str(number)) for number, point in enumerate(points)]:
                done.result()
        finally:
            pool.shutdown(cancel_futures=True)  # one that failed is told of now
