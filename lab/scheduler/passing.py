"""Folders that go when the process that made them does: by itself, or by whoever comes next and finds it dead."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.store import machine

if TYPE_CHECKING:
    from lab.store.root import Root

_FORGOTTEN_S = 2 * 86_400.0


def fresh(folder: str) -> str:
    """A place in this folder that nobody has, and that says whose it is. Whoever makes it removes it."""
    return f"{folder}/{machine.here()}-{os.getpid()}-{os.urandom(4).hex()}"


def sweep(root: Root, folder: str) -> None:
    """Remove what processes left here that died before they could, and end what they left running in it."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    for name in names:
        where, _, rest = name.partition("-")
        pid = rest.partition("-")[0]
        if pid.isdecimal() and (machine.is_gone(where, int(pid)) or _is_forgotten(f"{folder}/{name}")):
            from lab.executors import leftovers  # noqa: PLC0415  # for what a killed lab left

            leftovers.end(f"{folder}/{name}")
            with suppress(OSError, RecursionError):
                root.files.discard_folder(f"{folder}/{name}")


def _is_forgotten(place: str) -> bool:
    """Whether a folder of another host or pid namespace, where nothing can be proven, is older than any work gets."""
    try:
        return time.time() - os.lstat(place).st_mtime > _FORGOTTEN_S
    except OSError:
        return False
