"""A lab as a user's laptop has it: `labctl` of an environment without torch, as real processes, beside a service."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from lab.tinker import rows
from tests.cli.labs import TRACE, Said

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.tinker.rows import Row

BASE = "lab/tiny"  # as the templates call it
PYTHON = os.environ.get("LABCTL_CLIENT_PYTHON", "")  # read at once: each test has an environment of its own


def needs_client() -> str:
    """The Python of the client. Skip, loudly, where none is named: one that has torch would prove nothing."""
    if not PYTHON:
        pytest.skip("LABCTL_CLIENT_PYTHON names no Python with labctl[tinker] and without torch (scripts/check does)")
    return PYTHON


class Lab:
    """A folder to type commands in, and a lab. Experiments of it train at `url`."""

    def __init__(self, place: Path, url: str, python: str) -> None:
        self.place, self.url, self.python = place, url, python
        (place / "home").mkdir(parents=True)
        self.environ = {
            "PATH": f"{os.path.dirname(python)}:{os.environ['PATH']}", "HOME": str(place / "home"), "LANG": "C.UTF-8",
            "LAB_DATA_ROOT": str(place / "lab"), "LABCTL_ACTOR": "ann", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1",
        }  # fmt: skip

    def __call__(self, *words: str, python: str = "", limit_s: float = 55) -> Said:
        """`labctl` with these words. A stack trace is a failure of every test."""
        done = subprocess.run(
            [self._labctl(python), *words], cwd=self.place, env=self.environ, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=limit_s, check=False,
        )  # fmt: skip
        said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
        assert TRACE not in said.all, said
        return said

    def done(self, *words: str, python: str = "", limit_s: float = 55) -> Said:
        """The same, for a command that must succeed."""
        said = self(*words, python=python, limit_s=limit_s)
        assert said.code == 0, said
        return said

    def begin(self, *words: str) -> subprocess.Popen[bytes]:
        """The same, and nobody waits."""
        return subprocess.Popen(
            [self._labctl(""), *words], cwd=self.place, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    def _labctl(self, python: str) -> str:
        return os.path.join(os.path.dirname(python or self.python), "labctl")

    def spec(self, name: str) -> Path:
        return self.place / "lab/experiments" / name / "SPEC.yaml"

    def create(self, template: str, name: str = "", **changes: object) -> str:
        """An experiment from a shipped template: as it is but for the port, and the fields that `changes` names."""
        self.done("create", template, *(["--id", name] if name else []))
        spec = self.spec(name or template)
        adjust(spec, **changes)
        spec.write_text(spec.read_text().replace("\ntinker:", f"\ntinker:\n  base_url: {self.url}"))
        return name or template

    def burst(self, name: str, *, limit_s: float = 110) -> None:
        self.done("burst", name, "-n", "20", limit_s=limit_s)

    def shell(self, line: str, *, python: str = "") -> None:
        """A line as a person types it, that must succeed; with the programs of an environment."""
        with self.begin_shell(line, python=python) as running:
            assert running.wait(200) == 0, f"{line}: {self.log()[-3000:]}"

    def log(self) -> str:
        """What lines that were typed have said so far."""
        return (self.place / "shell.log").read_text()

    def begin_shell(self, line: str, *, python: str = "") -> subprocess.Popen[bytes]:
        """The same, and nobody waits."""
        path = f"{os.path.dirname(python or self.python)}:{self.environ['PATH']}"
        with (self.place / "shell.log").open("ab") as log:
            return subprocess.Popen(
                ["bash", "-c", line], cwd=self.place, env={**self.environ, "PATH": path}, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def beside(self, program: str, *words: str, **more: str) -> Said:
        """Another program of the client's environment, which asks the same service."""
        environ = {**self.environ, "TINKER_BASE_URL": self.url, "TINKER_API_KEY": "tml-local", "TINKER_TELEMETRY": "0"}
        done = subprocess.run(
            [os.path.join(os.path.dirname(self.python), program), *words], cwd=self.place, env={**environ, **more},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=55, check=False,
        )  # fmt: skip
        return Said(done.returncode, done.stdout.decode(), done.stderr.decode())

    def runs(self, name: str) -> list[Path]:
        return sorted((self.place / "lab/experiments" / name / "runs").glob("RUN-*"))

    def chain(self, name: str) -> list[Row]:
        """The steps of what is in the chain, in one line."""
        told = self.done("tinker", "runs", name, "--json").data
        return [
            row
            for run_id in told["stages"][-1]["lineage"]
            for row in rows.steps(str(self.spec(name).parent / "runs" / run_id)).rows
        ]


def adjust(spec: Path, **changes: object) -> None:
    """Other values for fields of a SPEC, each of which is there once."""
    text = spec.read_text()
    for name, value in changes.items():
        text, count = re.subn(rf"(?m)^( *{name}:).*$", rf"\1 {value}", text)
        assert count == 1, f"{spec} has {count} lines that begin with {name}"
    spec.write_text(text)


def numbers(line: list[Row]) -> list[tuple[int, dict[str, float], float | None]]:
    """All that a step told, but for times, names of runs, and what it used: a chunk's last one reads to measure too."""
    return [(row.step, row.metrics, row.kl) for row in line]


def column(line: list[Row], name: str) -> list[float]:
    return [row.metrics[name] for row in line]


def until(is_so: Callable[[], bool], within_s: float = 50) -> None:
    """Wait for what another process does."""
    end_s = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < end_s, "it did not come to that"
        time.sleep(0.02)


@contextlib.contextmanager
def ended(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """A process that does not outlive its test, with all that it started."""
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
