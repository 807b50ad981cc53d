"""The Python that has torch, for programs that train. Looked for without importing torch, which takes seconds.

Asked are, in this order: the virtual environment that the run is in, the Python that the lab runs on, and the first
`python3` on the PATH of the run. Each is asked by a short child: only it knows all the places that it imports from.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from functools import cache
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

INSTALL = "pip install 'labctl[train]'"
_OURS = ("LAB_", "HERMES_LAB_")  # other ones in each run, and they lead no Python anywhere
_MOST_CHARS = 1 << 20
_ASK_S = 20.0  # a network drive that is slow must not look like a Python without torch
# torch/version.py is a few lines of `name: type = value`; an empty entry of sys.path would be the current folder.
_QUESTION = """
import sys
sys.path[:] = [place for place in sys.path if place]
import importlib.util, json, os, re
found = importlib.util.find_spec("torch")
if found is None or not found.origin:
    raise SystemExit(1)
told = {"version": "", "cuda": "", "hip": ""}
try:
    with open(os.path.join(os.path.dirname(found.origin), "version.py"), encoding="utf-8") as file:
        for line in file:
            match = re.match(r"(?:__)?(version|cuda|hip)(?:__)?(?::[^=]*)? *= *'([^']*)'", line)
            if match:
                told[match[1]] = match[2]
except OSError:
    pass
told["missing"] = [name for name in ("numpy", "tokenizers") if importlib.util.find_spec(name) is None]
print(json.dumps(told))
"""


class Torch(msgspec.Struct, frozen=True, kw_only=True):
    """A Python that has torch. `cuda` and `hip` are versions; both are blank in a torch that computes on the CPU."""

    python: str = ""
    version: str = ""
    cuda: str = ""
    hip: str = ""
    missing: tuple[str, ...] = ()  # what the training template wants besides, and is not there

    @property
    def built_for(self) -> str:
        """In a word, for a person."""
        return f"CUDA {self.cuda}" if self.cuda else f"ROCm {self.hip}" if self.hip else "the CPU"


def find(environ: Mapping[str, str]) -> Torch:
    """The first that has it, as a run with these variables would find it. `Unavailable` where none has."""
    asked = candidates(environ)
    for python in asked:
        try:
            return of(python, environ)
        except LookupError:
            continue
    named = ", ".join(asked) or "none: no python3 is on PATH"
    fix = f"{INSTALL} into one of them, or begin executor_command with the Python that has it"
    raise Unavailable(f"no Python here has torch; asked {named}", fix=fix)


def of(python: str, environ: Mapping[str, str]) -> Torch:
    """What this Python says of its torch in a run with these variables. `LookupError` when it has none, or is silent.

    Asked with the variables of whoever started the lab, it would find by PYTHONPATH a torch that no run finds.
    """
    given = sorted((name, value) for name, value in environ.items() if not name.startswith(_OURS))
    return _asked(python, tuple(given))


def text_of(script: str) -> str:
    """The text of a script as far as it can be read, and is not larger than any is."""
    try:
        with open(script, encoding="utf-8", errors="replace") as file:
            return file.read(_MOST_CHARS)
    except OSError:
        return ""


@cache  # only what was found is kept: torch may be installed while a lab runs
def _asked(python: str, environ: tuple[tuple[str, str], ...]) -> Torch:
    command = (python, "-c", _QUESTION)
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_S, check=False
        )
        if done.returncode == 0:
            answer = done.stdout.rstrip().rpartition(b"\n")[2]  # a sitecustomize may print something of its own
            return msgspec.structs.replace(msgspec.json.decode(answer, type=Torch), python=python)
    except (OSError, subprocess.SubprocessError, msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    raise LookupError(python)


def candidates(environ: Mapping[str, str]) -> tuple[str, ...]:
    """The Pythons that a run may be started with, in the order in which they are asked what they have."""
    folders = (environ.get("VIRTUAL_ENV", ""), environ.get("CONDA_PREFIX", ""))
    places = [f"{folder}/bin/python" for folder in folders if folder.startswith("/")]
    places.append(sys.executable)
    path = [folder for folder in (environ.get("PATH") or os.defpath).split(":") if folder.startswith("/")]
    places.append(shutil.which("python3", path=":".join(path)) or "")
    found: dict[tuple[str, str], str] = {}  # `python3` beside `python` is the same; in another folder it is not
    for place in places:
        if place and os.access(place, os.X_OK):
            found.setdefault((os.path.dirname(place), os.path.realpath(place)), place)
    return tuple(found.values())
