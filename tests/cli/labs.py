"""Builders for tests of the command line: labs with runs in them, and `labctl` in this process or in one of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from lab.cli.main import main
from tests.cli import agreed
from tests.scheduler.labs import a_lab, dead, ended, foreign, me, one_run, tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from lab.store.root import Root

CHECKOUT = Path(__file__).resolve().parents[2]
SHIM = str(CHECKOUT / "scripts" / "labctl.py")
NOBODY = 65_534
TRACE = "Traceback"

__all__ = [
    "CHECKOUT", "NOBODY", "SHIM", "TRACE", "Labctl", "Said", "a_busy_lab", "a_lab", "as_stranger", "dead", "ended",
    "foreign", "give_away", "me", "one_run", "process", "runs_of", "tree", "whole_tree",
]  # fmt: skip


class Said(NamedTuple):
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def envelope(self) -> dict[str, Any]:
        """The one JSON document on stdout, as its schema describes it. Constants that are no JSON (NaN) are refused."""
        found = json.loads(self.out, parse_constant=_no_constant)
        assert isinstance(found, dict)
        agreed.check(found)
        return found

    @property
    def data(self) -> dict[str, Any]:
        """What a success carries."""
        assert self.code == 0, self
        found = self.envelope["data"]
        assert isinstance(found, dict)
        return found

    @property
    def error(self) -> dict[str, object]:
        """What a refusal carries."""
        found = self.envelope["error"]
        assert isinstance(found, dict)
        return found

    @property
    def all(self) -> str:
        return self.out + self.err


class Labctl:
    """`labctl` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: str) -> Said:
        """Run one command. A stack trace is a failure of every test."""
        self._capsys.readouterr()
        code = main(list(words))
        told = self._capsys.readouterr()
        assert TRACE not in told.out + told.err
        return Said(code, told.out, told.err)

    def done(self, *words: str) -> Said:
        """The same, for a command that must succeed."""
        said = self(*words)
        assert said.code == 0, said
        return said


def process(
    *words: str,
    root: Path | str = "",
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    limit_s: float = 15,
) -> Said:
    """`labctl` in a process of its own, with pipes for a terminal."""
    settings = {**os.environ, **({"LAB_DATA_ROOT": str(root)} if root else {}), **(env or {})}
    command = [sys.executable, SHIM, *words]
    done = subprocess.run(
        command, capture_output=True, env=settings, cwd=cwd, stdin=subprocess.DEVNULL, timeout=limit_s, check=False
    )
    return Said(done.returncode, done.stdout.decode(), done.stderr.decode())


# Root without its power over file modes: what belongs to somebody else is theirs, and Python itself can still be read.
_POWERLESS = """
import ctypes, os, sys
for capability in (1, 2, 3):  # DAC_OVERRIDE, DAC_READ_SEARCH, FOWNER
    if ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0):  # PR_CAPBSET_DROP
        sys.exit(f"the capability {capability} cannot be dropped here: {os.strerror(ctypes.get_errno())}")
os.execv(sys.argv[1], sys.argv[1:])
"""


def as_stranger(*words: str, root: Path | str) -> Said:
    """`labctl` as a user to whom file modes apply. Only root can start it; see `give_away`."""
    command = [sys.executable, "-c", _POWERLESS, sys.executable, SHIM, *words]
    settings = {**os.environ, "LAB_DATA_ROOT": str(root), "LABCTL_ACTOR": "stranger"}
    done = subprocess.run(
        command, capture_output=True, env=settings, cwd="/", stdin=subprocess.DEVNULL, timeout=15, check=False
    )
    said = Said(done.returncode, done.stdout.decode(), done.stderr.decode())
    assert TRACE not in said.all
    assert "the capability" not in said.err, said
    return said


def give_away(*places: Path) -> None:
    """Make somebody else the owner of these folders and of all in them."""
    for top in places:
        os.chown(top, NOBODY, NOBODY)
        for place, folders, names in os.walk(top):
            for name in (*folders, *names):
                os.lchown(os.path.join(place, name), NOBODY, NOBODY)


def a_busy_lab(place: Path) -> Root:
    """Two experiments with three runs each: one failed, and the best is not the last."""
    root = a_lab(place, "alpha", "beta")
    for name in ("alpha", "beta"):
        one_run(root, name, 0.25)
        one_run(root, name, None, "failed")
        one_run(root, name, 0.5)
    return root


def runs_of(root: Root, experiment: str) -> list[str]:
    return sorted(os.listdir(root.layout.runs(experiment)))


def whole_tree(folder: Path | str) -> dict[str, tuple[int, int, bytes]]:
    """Every file and folder with its mode, time and bytes: equal before and after means nothing at all was done."""
    found: dict[str, tuple[int, int, bytes]] = {}
    for place, folders, names in os.walk(folder):
        for name in (*folders, *names):
            path = os.path.join(place, name)
            seen = os.lstat(path)
            data = Path(path).read_bytes() if os.path.isfile(path) else b""
            found[os.path.relpath(path, folder)] = (seen.st_mode, seen.st_mtime_ns, data)
    return found


def _no_constant(name: str) -> object:
    message = f"{name} is no JSON"
    raise ValueError(message)
