"""A folder of this process alone, in memory where there is room, for what reads only files. Gone when it ends."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from functools import cache

MEMORY = "/dev/shm"  # noqa: S108  # only the parent of a fresh private folder


@cache
def _own(process: int) -> str:
    path = tempfile.mkdtemp(prefix="labctl-fuzz-", dir=MEMORY if os.access(MEMORY, os.W_OK | os.X_OK) else None)
    atexit.register(_remove, path, process)
    return path


def _remove(path: str, process: int) -> None:
    if os.getpid() == process:
        shutil.rmtree(path, ignore_errors=True)


def folder(name: str) -> str:
    """A folder that is there, with whatever the input before left in it."""
    path = f"{_own(os.getpid())}/{name}"
    os.makedirs(path, exist_ok=True)
    return path


def fresh(name: str) -> str:
    """A folder with nothing in it."""
    shutil.rmtree(f"{_own(os.getpid())}/{name}", ignore_errors=True)
    return folder(name)


def file(name: str, data: bytes) -> str:
    """A file that holds these bytes."""
    path = f"{folder(os.path.dirname(name))}/{os.path.basename(name)}"
    with open(path, "wb") as kept:
        kept.write(data)
    return path
