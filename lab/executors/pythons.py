"""The Python that has certain modules, for what the lab starts in a process of its own. Nothing is imported to find it.

Asked are the Pythons that `interpreter` asks for torch, in the same order. A module that is there may still fail to
load: what it says then is the run's to tell.
"""

from __future__ import annotations

import subprocess
from functools import cache
from typing import TYPE_CHECKING

from lab.core.errors import Unavailable
from lab.executors import interpreter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_ASK_S = 20.0  # a network drive that is slow must not look like a Python without the modules
_OURS = ("LAB_", "HERMES_LAB_")  # other ones in each run, and they lead no Python anywhere
_QUESTION = """
import importlib.util, sys
lacking = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
print(" ".join(["lacking:", *lacking]))
"""


def find(names: Sequence[str], environ: Mapping[str, str], install: str) -> str:
    """The first that has all of these modules, as a run with these variables finds them.

    `Unavailable` where none has, with what each one lacks; `install` is what mends it.
    """
    given = tuple(sorted((name, value) for name, value in environ.items() if not name.startswith(_OURS)))
    told = []
    for python in interpreter.candidates(environ):
        try:
            return _having(python, tuple(names), given)
        except LookupError as lacking:
            told.append(f"{python} lacks {lacking}")
    what = f"no Python here has {' and '.join(names)}: {'; '.join(told) or 'no python3 is on PATH'}"
    raise Unavailable(what, fix=f"{install}, into the Python that the lab runs on")


@cache  # only what was found is kept: it may be installed while a lab runs
def _having(python: str, names: tuple[str, ...], environ: tuple[tuple[str, str], ...]) -> str:
    # -P: a folder of the same name where the lab was started is no module of it.
    command = (python, "-P", "-c", _QUESTION, *names)
    try:
        done = subprocess.run(
            command, env=dict(environ), capture_output=True, stdin=subprocess.DEVNULL, timeout=_ASK_S, check=False
        )
    except (OSError, subprocess.SubprocessError):
        raise LookupError("an answer") from None
    last = done.stdout.decode(errors="replace").rstrip().rpartition("\n")[2]  # a sitecustomize may print something
    word, _, lacking = last.partition(":")
    if done.returncode or word != "lacking":
        raise LookupError("an answer")  # before 3.11 there is no -P, and lab does not run there
    if lacking.strip():
        raise LookupError(" and ".join(lacking.split()))
    return python
