"""Eight workers at one queue, and several ingesters at one heap: each package once, each with its own worker's name."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.core import package
from lab.scheduler import decisions
from lab.scheduler.dispatch import offers
from lab.store import bundles, leases, packages, reading, verify
from tests.crash import straced
from tests.crash.aftermath import SEED
from tests.crash.driver import open_root
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from lab.store.root import Root

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(120)]
CLAIMERS, EXPERIMENTS, SLOTS = 8, 8, 5
KILLING_S = 3.5
MORE = f"executor: stub\nmax_parallel: {SLOTS}\n"
# Each runs the verb of the command line until it says that there is nothing left, as a loop in a shell would.
LOOP = """
import sys
from lab.cli.main import main
verb, worker = sys.argv[1:3]
for _ in range(100):
    code = main(["--json", verb, *sys.argv[3:], *(["--worker", worker] if worker else [])])
    if code not in (0, 1):
        sys.exit(code)
    if verb == "dispatch-ingest":
        break
"""


@pytest.fixture
def root(ram: str) -> Root:
    return full(ram, MORE)


def full(ram: str, more: str) -> Root:
    """A lab with as many offers as it has slots."""
    made = a_lab(f"{ram}/lab", *(f"e{number}" for number in range(EXPERIMENTS)), more=more)
    for _ in range(SLOTS):
        said = offers.queue(made, actor="ann", max_runs=EXPERIMENTS)
        assert len(said) == EXPERIMENTS
    assert len(packages.found(made, package.READY)) == EXPERIMENTS * SLOTS
    return open_root(made.layout.root)


def start(root: Root, verb: str, worker: str, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", LOOP, verb, worker, *more], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        cwd=straced.CHECKOUT, env={**straced.environment(), "LAB_DATA_ROOT": root.layout.root},
    )  # fmt: skip


def answers(process: subprocess.Popen[str]) -> list[dict[str, object]]:
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, (process.returncode, out[-2000:], err)
    assert "Traceback" not in out + err
    return [json.loads(line) for line in out.splitlines()]


def test_eight_claimers_share_forty_packages_and_each_records_its_own_worker(root: Root) -> None:
    # In the peer one package of forty recorded the wrong worker, and eleven processes ended with a traceback.
    running = {
        f"w{number}": start(root, "dispatch-claim", f"w{number}", "--max-runs", "2") for number in range(CLAIMERS)
    }
    claimed: dict[str, str] = {}
    for worker, process in running.items():
        for said in answers(process):
            for each in said["data"]["claimed"]:  # type: ignore[index]
                assert each["dispatch_id"] not in claimed, "claimed twice"
                claimed[each["dispatch_id"]] = worker
    assert len(claimed) == EXPERIMENTS * SLOTS
    found = packages.found(root, package.RUNNING)
    assert {each.dispatch_id: each.worker for each in found} == claimed
    for each in found:
        taken = packages.taken_of(root, package.RUNNING, each)
        manifest = bundles.load_manifest(root.layout.run(each.experiment, taken.run_id))
        assert manifest is not None
        assert (taken.worker, manifest.worker, manifest.package) == (each.worker, each.worker, each.dispatch_id)
    generations = [(each.experiment, packages.taken_of(root, package.RUNNING, each).generation) for each in found]
    assert len(set(generations)) == len(generations)


def test_workers_and_ingesters_all_at_once_seal_each_run_once(root: Root) -> None:
    workers = [start(root, "dispatch-work", f"w{number}", "--max-runs", "9") for number in range(4)]
    ingesters = [start(root, "dispatch-ingest", "") for _ in range(4)]
    for process in (*workers, *ingesters):
        answers(process)
    last = [start(root, "dispatch-ingest", "") for _ in range(3)]
    for process in last:
        answers(process)
    assert all(not packages.found(root, stage) for stage in packages.STAGES)
    seen = []
    for number in range(EXPERIMENTS):
        for run_id in bundles.names(root, f"e{number}"):
            made = bundles.load_seal(root.layout.run(f"e{number}", run_id))
            assert made is not None
            assert made[0].run.outcome == "success"
            manifest = bundles.load_manifest(root.layout.run(f"e{number}", run_id))
            seen.append(manifest.package if manifest else "")
    assert len(seen) == len(set(seen)) == EXPERIMENTS * SLOTS
    assert not verify.verify(root).damage
    assert not os.path.isdir(root.layout.stage(package.REFUSED)) or not os.listdir(root.layout.stage(package.REFUSED))


def test_workers_and_ingesters_that_are_killed_at_random_lose_no_package_and_count_none_twice(ram: str) -> None:
    root = full(ram, f"executor_command: sh -c 'sleep 0.05; echo METRIC loss=1'\nmax_parallel: {SLOTS}\n")
    rng = random.Random(SEED)
    deadline_s = time.monotonic() + KILLING_S
    alive: list[subprocess.Popen[str]] = []
    killed = number = 0
    while time.monotonic() < deadline_s:
        while len(alive) < 4:
            number += 1
            verb, worker = ("dispatch-ingest", "") if number % 3 == 0 else ("dispatch-work", f"w{number}")
            alive.append(start(root, verb, worker))
        time.sleep(rng.random() * 0.3)
        victim = alive.pop(0)  # the oldest: it has begun to do something
        victim.kill()
        _, err = victim.communicate()
        assert "Traceback" not in err, err
        killed += 1
    for process in alive:
        answers(process)
    for _ in range(3):
        answers(start(root, "dispatch-ingest", ""))
        for each in range(EXPERIMENTS):  # three crashes in a row wait for a person
            decisions.resume(root, f"e{each}", reason="", actor="ann")
        answers(start(root, "dispatch-work", "last", "--max-runs", "99"))
    answers(start(root, "dispatch-ingest", ""))
    assert killed > 10
    refused = [
        reading.read(f"{root.layout.package(package.REFUSED, each.name)}/REFUSED.md")
        for each in packages.found(root, package.REFUSED)
    ]
    assert not refused, f"seed {SEED}"
    assert [packages.found(root, stage) for stage in packages.STAGES] == [[], [], [], []], f"seed {SEED}"
    counted: list[str] = []
    for each in range(EXPERIMENTS):
        name = f"e{each}"
        assert not leases.survey(root, name).held
        for run_id in bundles.names(root, name):
            path = root.layout.run(name, run_id)
            made, manifest = bundles.load_seal(path), bundles.load_manifest(path)
            assert made is not None or os.path.isfile(f"{path}/SUPERSEDED.json"), f"{path}, seed {SEED}"
            if made is not None and manifest is not None:
                counted.append(manifest.package)
    assert len(counted) == len(set(counted)) == EXPERIMENTS * SLOTS, f"seed {SEED}"
    assert not verify.verify(root).damage
