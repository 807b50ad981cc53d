"""Runs of recipes as the lab would start them: an order in a folder, an environment, and what is left afterwards."""

from __future__ import annotations

import gc
import http.client
import json
import os
import subprocess
import sys
import time
import warnings
from collections import Counter
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import msgspec

from lab.core.chunk import Order
from lab.core.record import page
from lab.core.world import stamp
from lab.tinker import carrying, recipe, rows
from tests.tinker import recipes
from tests.tinker.conftest import BASE
from tests.tinker.served import CHECKOUT as CHECKOUT  # noqa: PLC0414  # tests start programs there

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from lab.tinker.job import Job
    from lab.tinker.rows import States, Steps
    from lab.tinker.training import Recipe

HOUR_S = 3600.0


class Chunk(msgspec.Struct, frozen=True):
    """What a run left."""

    folder: str
    code: int
    out: str
    err: str

    @property
    def steps(self) -> Steps:
        return rows.steps(self.folder)

    @property
    def states(self) -> States:
        return rows.states(self.folder)

    @property
    def state(self) -> str:
        last = self.states.last
        assert last is not None, self.err
        return last.state_path

    @property
    def metrics(self) -> dict[str, float]:
        lines = [line.removeprefix("METRIC ") for line in self.out.splitlines() if line.startswith("METRIC ")]
        return {name: float(value) for name, _, value in (line.partition("=") for line in lines)}

    def column(self, name: str) -> list[float]:
        return [row.metrics[name] for row in self.steps.rows]


def order(url: str, *, tuning: Mapping[str, object] | None = None, **given: object) -> Order:
    told: dict[str, object] = {"experiment": "exp", "run_id": "RUN-1", "number": 1, "steps": 5, "until": 12, "seed": 7}
    service: dict[str, object] = {"base_url": url, "base_model": BASE, "call_limit_s": 30.0, **(tuning or {})}
    return msgspec.convert({**told, **given, "tuning": service}, Order)


def write(folder: Path, told: Order) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "chunk.json").write_bytes(page(told))


def environment(folder: Path, **more: str) -> dict[str, str]:
    return {
        "LAB_CHUNK_PATH": str(folder / "chunk.json"), "LAB_RUN_DIR": str(folder), "TINKER_TELEMETRY": "0",
        "LAB_REPORT": str(folder / "lab-report.txt"), "HF_HUB_OFFLINE": "1", **more,
    }  # fmt: skip


class Here:
    """Carries chunks out in this process: no start, the same code."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch, self._capfd = monkeypatch, capfd

    def __call__(
        self, folder: Path, told: Order, kind: type[Recipe] = recipes.Plain, *words: str, **more: str
    ) -> Chunk:
        write(folder, told)
        with self._monkeypatch.context() as patch:
            for name in ("TINKER_API_KEY", "TINKER_CREDENTIAL_CMD", "LAB_DEADLINE", "LAB_TIME_BUDGET_SECONDS"):
                patch.delenv(name, raising=False)
            for name, value in environment(folder, HOME=str(folder), **more).items():
                patch.setenv(name, value)
            self._capfd.readouterr()
            code = recipe.main(kind(), words)
            out, err = self._capfd.readouterr()
            collect()
        return Chunk(str(folder), code, out, err)


def collect() -> None:
    """The SDK leaves the connection behind that it asked for its settings with; that is no failure of ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def start(folder: Path, told: Order, kind: str = "Plain", **more: str) -> subprocess.Popen[str]:
    """The same in a process of its own."""
    write(folder, told)
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "RECIPE": kind, **environment(folder, **more)}
    return subprocess.Popen(
        [sys.executable, "-m", "tests.tinker.recipes"], cwd=CHECKOUT, env={**environ, "PYTHONPATH": str(CHECKOUT)},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def ended(folder: Path, process: subprocess.Popen[str], limit_s: float = 50) -> Chunk:
    out, err = process.communicate(timeout=limit_s)
    return Chunk(str(folder), process.returncode, out, err)


def fault(url: str, path: str, **given: object) -> None:
    """Make the server fail."""
    _ask(url, "POST", "/api/v1/_fault", {"path": path, **given})


def calls(url: str) -> Counter[str]:
    """How often each address was asked so far."""
    return Counter(msgspec.json.decode(_ask(url, "GET", "/api/v1/_calls"), type=_Calls).counts)


class Clock:
    """The time of day as the chunk sees it; it can be moved on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._more_s = 0.0
        seen = SimpleNamespace(time=lambda: time.time() + self._more_s, monotonic=time.monotonic)
        monkeypatch.setattr(carrying, "time", seen)

    def move(self, job: Job, by_s: float) -> None:
        self._more_s += by_s
        waiting = job._open().waiting
        assert waiting.until_s is not None
        waiting.until_s -= by_s


def in_an_hour() -> dict[str, str]:
    """When the time of a run is up, for a test that moves its clock."""
    return {"LAB_DEADLINE": stamp(datetime.fromtimestamp(time.time() + HOUR_S, UTC)), "LAB_KILL_GRACE_SECONDS": "30"}


class _Calls(msgspec.Struct):
    counts: dict[str, int]


def _ask(url: str, verb: str, path: str, body: Mapping[str, object] | None = None) -> bytes:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=10)
    try:
        connection.request(verb, path, json.dumps(body), {"Content-Type": "application/json", "X-API-Key": "tml-test"})
        reply = connection.getresponse()
        data = reply.read()
    finally:
        connection.close()
    assert reply.status == 200, data
    return data
