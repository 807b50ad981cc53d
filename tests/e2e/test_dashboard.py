"""optuna-dashboard opens what `labctl export` writes: looked at in a real browser, without a screen."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import time
from importlib.util import find_spec
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from lab.core.curve import Curve
from tests.cli.labs import process
from tests.cli.searches import a_run, a_searched_lab, made, some_runs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = [
    pytest.mark.heavy,
    pytest.mark.needs("chromium"),
    pytest.mark.xdist_group("dashboard"),  # one server for all of them
    pytest.mark.timeout(120),  # a browser on a machine that is busy with other tests
    pytest.mark.skipif(find_spec("optuna_dashboard") is None, reason="optuna-dashboard is not installed"),
]
SERVER = "from optuna_dashboard._cli import main; main()"
# As root the browser has no sandbox to go into; it sees this machine alone.
BROWSER = (
    "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
    "--disable-background-networking", "--proxy-server=direct://", "--virtual-time-budget=20000",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)  # fmt: skip


def a_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("dashboard")


@pytest.fixture(scope="module")
def ids(place: Path) -> list[str]:
    """The runs of an experiment that lies in `lab`."""
    root = a_searched_lab(place / "lab")
    told = some_runs(root)
    stopped = Curve(points=((1.0, 0.9), (2.0, 0.8)))
    reason = "it was stopped early: step 2"
    seal = a_run(root, {"lr": 0.5}, None, outcome="cancelled", curve=stopped, reason=reason, origin=made(4))
    return [*told, seal.run.run_id]


@pytest.fixture(scope="module")
def address(ids: list[str], place: Path) -> Iterator[str]:
    """Where the dashboard shows the export of that experiment."""
    target = str(place / "journal.log")
    said = process("export", "sweep", "--format", "optuna", "--output", target, root=place / "lab")
    assert said.code == 0, said
    port = a_free_port()
    command = [sys.executable, "-c", SERVER, target, "--host", "127.0.0.1", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as server:
        try:
            _await(f"http://127.0.0.1:{port}/api/studies", server)
            yield f"http://127.0.0.1:{port}/dashboard"
        finally:
            server.kill()


def _await(address: str, server: subprocess.Popen[bytes]) -> None:
    for _ in range(600):
        assert server.poll() is None, "optuna-dashboard went away"
        try:
            with urlopen(address) as answer:  # noqa: S310  # our own server
                assert b"sweep.proxy" in answer.read()
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("optuna-dashboard did not answer")


def shown(address: str, tmp_path: Path) -> str:
    """The words on a page once its program has run."""
    command = [*BROWSER, f"--user-data-dir={tmp_path}/profile", "--dump-dom", address]
    home = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=home, timeout=60)
    shutil.rmtree(tmp_path / "profile", ignore_errors=True)
    assert done.returncode == 0, done.stderr
    page = re.sub(r"<(style|script).*?</\1>", " ", done.stdout, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_the_browser_shows_every_trial_with_how_it_ended(address: str, ids: list[str], tmp_path: Path) -> None:
    words = shown(f"{address}/studies/0/trials", tmp_path)
    assert "sweep.proxy (id=0)" in words
    assert "5 Trials Trial 0 Complete Trial 1 Complete Trial 2 Complete Best Trial Trial 3 Fail Trial 4 Pruned" in words
    assert f"labctl.run_id {ids[0]}" in words
    assert "Value 0.5" in words
    assert "lr 0.1 depth 3 kind adam" in words


def test_the_browser_shows_the_best_of_the_study(address: str, tmp_path: Path) -> None:
    words = shown(f"{address}/studies/0", tmp_path)
    assert "Best Trial (number=2) 0.25 Params = [lr: 0.001, depth: 3, kind: adam]" in words
    assert "labctl.experiment sweep labctl.tier proxy" in words
