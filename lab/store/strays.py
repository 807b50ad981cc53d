"""Engines that may have a job which no claim tells of: an answer was lost, a run was taken while nobody could be asked.

One small file for each, made anew with each such doubt. While it is younger than a day, a turn asks the engine also
where nothing is out, and cancels what waits for a run that is over.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import leases, reading

if TYPE_CHECKING:
    from lab.store.root import Root

KEEP_S = 86_400.0


class Doubt(Record, frozen=True, kw_only=True):
    """What is to be asked."""

    engine: str
    address: str = ""
    at: str = ""


def suspect(root: Root, engine: str, address: str = "") -> None:
    """Look for jobs that nobody waits for, for a day from now on. A disk that refuses it costs only that."""
    made = Doubt(engine=engine, address=address, at=root.now())
    with suppress(OSError):
        root.files.replace(_file(root, made), encode(made))


def suspected(root: Root) -> list[Doubt]:
    """What is in doubt; by one listing. What was for long enough is forgotten."""
    found = []
    folder = os.path.dirname(root.layout.doubt("x"))
    with suppress(OSError):
        for name in os.listdir(folder):
            path = f"{folder}/{name}"
            if name.startswith(".") or not name.endswith(layout.DOUBT_SUFFIX):
                continue
            if leases.server_time(root) - os.stat(path).st_mtime > KEEP_S:
                root.files.discard(path)
                # Of an engine in which nothing is left nobody would hear that it answers again.
                root.files.discard(root.layout.silence(name.removesuffix(layout.DOUBT_SUFFIX)))
                continue
            with suppress(Corrupt):
                found.append(parse(Doubt, reading.read(path) or b"", path))
    return found


def _file(root: Root, doubt: Doubt) -> str:
    return root.layout.doubt(called(doubt.engine, doubt.address))


def called(engine: str, address: str) -> str:
    """One engine among all that a lab may speak to, as the name of a file has it."""
    return f"{engine}-{hashlib.sha256(address.encode()).hexdigest()[:8]}" if address else engine
