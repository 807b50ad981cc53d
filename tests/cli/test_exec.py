"""`labctl exec`, as engines start it: a process of its own, which ends with the code that its engine goes by."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.scheduler import reclaim
from lab.store import bundles, leases
from tests.cli.handed import handed
from tests.cli.labs import SHIM, a_lab
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.run import Run
    from lab.scheduler.cycle import Running
    from lab.store.root import Root

PATIENCE_S = 20.0


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab")


def waiting(root: Root, command: str = "echo METRIC loss=0.5", engine: str = "slurm") -> Running:
    """A run that an engine has."""
    shell = json.dumps(f"sh -c {shlex.quote(f'cd $LAB_RUN_DIR; {command}')}")
    an_experiment(root, "a", f"executor_command: {shell}\nkill_grace_s: 1\n")
    return handed(root, "a", engine, number="7")


def body(root: Root, running: Running, **environ: str) -> subprocess.Popen[str]:
    """Its job, started as an engine does: from nowhere, and with what it prints beside the claim."""
    words = [sys.executable, SHIM, "exec", "a", running.manifest.run_id, "--data-root", root.layout.root]
    with open(root.layout.claim("a", running.manifest.generation, layout.OUTPUT_SUFFIX), "ab") as output:
        return subprocess.Popen(
            words,
            cwd="/",
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **environ},
            text=True,
        )


def sealed(root: Root, running: Running) -> Run:
    found = bundles.load_seal(running.path)
    assert found is not None
    return found[0].run


def until(there: object) -> None:
    limit_s = time.monotonic() + PATIENCE_S
    while not there():  # type: ignore[operator]
        assert time.monotonic() < limit_s
        time.sleep(0.02)


def test_a_job_that_is_done_has_sealed_its_run_and_left_nothing_beside(root: Root) -> None:
    running = waiting(root)
    assert body(root, running, SLURM_JOB_ID="7").wait(PATIENCE_S) == 0
    run = sealed(root, running)
    assert (run.outcome, run.value) == ("success", 0.5)
    assert {name for name in os.listdir(root.layout.claims("a")) if name.startswith("0")} == {"00000001.released"}
    manifest = bundles.load_manifest(running.path)
    assert manifest is not None
    assert manifest.owner.pid != 0
    with open(f"{running.path}/{layout.STDOUT}", encoding="utf-8") as file:
        assert file.read() == "METRIC loss=0.5\n"


def test_a_run_that_fails_is_a_job_that_did_its_work(root: Root) -> None:
    running = waiting(root, "exit 3")
    assert body(root, running).wait(PATIENCE_S) == 0
    assert sealed(root, running).outcome == "failed"


@pytest.mark.parametrize(("engine", "code"), [("local", 0), ("slurm", 77)])
def test_an_engine_that_ends_a_job_gets_a_run_that_says_so_or_says_itself_why(
    root: Root, engine: str, code: int
) -> None:
    running = waiting(root, "touch begun; exec sleep 60", engine)
    job = body(root, running)
    until(lambda: os.path.exists(f"{running.path}/begun"))
    job.send_signal(signal.SIGTERM)
    assert job.wait(PATIENCE_S) == code
    if code:
        assert bundles.load_seal(running.path) is None
    else:
        run = sealed(root, running)
        assert run.outcome == "cancelled"
        assert "SIGTERM" in run.reason


def test_a_second_job_of_a_run_ends_with_76_and_touches_nothing(root: Root) -> None:
    running = waiting(root, "touch begun; exec sleep 60")
    first = body(root, running)
    until(lambda: os.path.exists(f"{running.path}/begun"))
    assert body(root, running).wait(PATIENCE_S) == 76
    assert first.poll() is None
    first.send_signal(signal.SIGTERM)
    assert first.wait(PATIENCE_S) == 77


def test_a_job_whose_run_was_taken_ends_with_75_and_leaves_nothing(root: Root) -> None:
    running = waiting(root)
    reclaim.broken(root, "a", 1, actor="ann")
    assert body(root, running).wait(PATIENCE_S) == 75
    assert not os.path.exists(root.layout.claim("a", 1, layout.OUTPUT_SUFFIX))
    assert bundles.load_seal(running.path) is None


def test_a_job_that_loses_its_run_on_the_way_does_not_seal_it(root: Root) -> None:
    running = waiting(root, "touch begun; until [ -e over ]; do sleep 0.05; done; echo METRIC loss=1")
    job = body(root, running)
    until(lambda: os.path.exists(f"{running.path}/begun"))
    assert leases.supersede(root, "a", 1)
    with open(f"{running.path}/over", "w", encoding="utf-8"):
        pass
    assert job.wait(PATIENCE_S) == 75
    assert bundles.load_seal(running.path) is None


def test_a_lab_that_is_not_to_be_seen_is_74(root: Root, tmp_path: Path) -> None:
    running = waiting(root)
    elsewhere = tmp_path / "elsewhere"
    os.rename(root.layout.root, elsewhere)
    words = [sys.executable, SHIM, "exec", "a", running.manifest.run_id, "--data-root", root.layout.root]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode == 74
    assert "no lab here" in done.stderr
    assert not os.path.exists(root.layout.root)


@pytest.mark.parametrize("run", ["../../x", "RUN-20260102-030405-000000-scout", "x"])
def test_words_that_name_no_run_do_nothing(root: Root, run: str) -> None:
    waiting(root)
    words = [sys.executable, SHIM, "exec", "a", run, "--data-root", root.layout.root]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=PATIENCE_S)
    assert done.returncode in (2, 75)
    assert len(leases.survey(root, "a").held) == 1
