"""A person with an empty home and this labctl, who types what a page says, and looks at what came of it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.cli.labs import Said

if TYPE_CHECKING:
    from collections.abc import Mapping

CHECKOUT = Path(__file__).resolve().parents[3]
EXAMPLES = CHECKOUT / "examples"
SHIM = CHECKOUT / "scripts/labctl.py"
FENCE = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
NOBODY = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}


@cache
def alone() -> tuple[str, ...]:
    """What a program is started by so that it has no network, not even this machine's; nothing where that cannot be."""
    words = ("unshare", "-n")
    try:
        return words if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0 else ()
    except OSError:
        return ()


class Home:
    """Its lab is at lab-data, whether or not there is one yet."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.lab = place / "lab-data"
        shim = place / "bin/labctl"
        shim.parent.mkdir()
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{SHIM}" "$@"\n')
        shim.chmod(0o755)
        self.environ = {
            **os.environ,
            **NOBODY,
            "HOME": str(place),
            "PATH": f"{shim.parent}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
            "LAB_DATA_ROOT": str(self.lab),
            "LABCTL_ACTOR": "ann",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
        }

    def types(self, example: str) -> str:
        """Everything that the page of an example says, from the checkout. What was printed."""
        lines = "".join(FENCE.findall((EXAMPLES / example / "README.md").read_text(encoding="utf-8")))
        done = subprocess.run(
            [*alone(), "bash", "-euc", lines],
            cwd=CHECKOUT, env=self.environ, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def labctl(self, *words: str, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> Said:
        done = subprocess.run(
            [sys.executable, str(SHIM), *words],
            cwd=cwd or self.place, env={**self.environ, **(env or {})}, capture_output=True, text=True, check=False,
            stdin=subprocess.DEVNULL, timeout=100,
        )  # fmt: skip
        said = Said(done.returncode, done.stdout, done.stderr)
        assert "Traceback (most recent call last)" not in said.all, said
        return said

    def done(self, *words: str, cwd: Path | None = None) -> Said:
        """The same, for what must succeed."""
        said = self.labctl(*words, cwd=cwd)
        assert said.code == 0, said
        return said

    def begun(self, *words: str) -> subprocess.Popen[bytes]:
        """A labctl that goes on while somebody looks, with what it starts in a group of its own."""
        return subprocess.Popen(
            [sys.executable, str(SHIM), *words],
            cwd=self.place, env=self.environ, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    # -- what lies there afterwards -----------------------------------------------------------------------------------

    def runs(self, project: str) -> list[Bundle]:
        """The runs of a project, in the order in which they were begun."""
        folder = self.lab / "experiments" / project / "runs"
        found = [Bundle(path) for path in folder.iterdir()] if folder.is_dir() else []
        return sorted(found, key=lambda each: each.path.name)

    def did(self, project: str) -> list[str]:
        """The phases that are done, as their sealed runs say it, in their order."""
        return [each.phase for each in self.runs(project) if each.outcome == "success"]

    def told(self) -> list[dict[str, Any]]:
        """The events of the lab."""
        lines = (self.lab / "registry/events.jsonl").read_text(encoding="utf-8").splitlines()
        return [json.loads(line)["event"] for line in lines]

    def left(self, project: str, phase: str) -> Path:
        """The outputs of the last run that did a phase."""
        return [each for each in self.runs(project) if each.phase == phase and each.outcome == "success"][-1].outputs


class Bundle:
    """The folder of a run."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outputs = path / "artifacts"

    @property
    def order(self) -> dict[str, Any]:
        return read(self.path / "params.json")

    @property
    def phase(self) -> str:
        return str(self.order["phase"])

    @property
    def is_sealed(self) -> bool:
        return (self.path / "SEAL.json").is_file()

    @property
    def outcome(self) -> str:
        return str(read(self.path / "manifest.json")["status"]) if self.is_sealed else ""


def read(path: Path) -> dict[str, Any]:
    """A document of JSON."""
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def killed(process: subprocess.Popen[bytes]) -> None:
    """kill -9, of it alone: what it started has to look after itself."""
    process.send_signal(signal.SIGKILL)
    process.wait()
