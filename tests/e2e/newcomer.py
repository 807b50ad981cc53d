"""Somebody who types what a page says: an empty home, this checkout's labctl, and nobody's settings."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"
FENCE = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
FOREIGN = {
    "VIRTUAL_ENV",
    "LAB_DATA_ROOT",
    *(f"GIT_{who}_{what}" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")),
}


def page(example: str) -> str:
    """What the page of an example says to type."""
    return "".join(FENCE.findall((EXAMPLES / example / "README.md").read_text(encoding="utf-8")))


class Person:
    """Somebody with an empty home, whom git does not know yet, and `python3` of their own first on PATH."""

    def __init__(self, home: Path, python: str = sys.executable) -> None:
        self.home = home
        bins = home / "bin"
        bins.mkdir(exist_ok=True)
        shim = bins / "labctl"
        shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHECKOUT}/scripts/labctl.py" "$@"\n')
        shim.chmod(0o755)
        self.environ = {
            **{name: value for name, value in os.environ.items() if name not in FOREIGN},
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "PATH": f"{bins}:{os.path.dirname(python)}:{os.environ['PATH']}",
            "LAB_DATA_ROOT": str(home / "lab-data"),
        }

    def typed(self, line: str, *, code: int = 0, given: str = "", cwd: Path = CHECKOUT) -> str:
        done = subprocess.run(
            ["bash", "-euc", line], cwd=cwd, env=self.environ, input=given, capture_output=True, text=True, check=False
        )
        assert done.returncode == code, f"{line}\n{done.stdout}\n{done.stderr}"
        return done.stdout + done.stderr
