"""Writers that stop or fail where a test says so, and a data root on a clock that a test can foresee."""

from __future__ import annotations

import errno
import os
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from lab.core.world import Done, World
from lab.store.files import Files
from lab.store.root import Root

if TYPE_CHECKING:
    from collections.abc import Sequence

NEVER = 1 << 62
BEGINNING = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
# The steps that need room on the disk. Removing, renaming and touching work on a full one.
NEEDS_ROOM = frozenset({"append", "link", "mkdir", "open", "write"})


class Crash(BaseException):
    """The machine stopped here. Not an Exception: nothing may handle it and go on."""


class CrashingFiles(Files):
    """Stops before the n-th step, as a kill would: what was done before stands, nothing after it happens.

    It does not model a power cut: what was written but not synced is still there.
    """

    def __init__(self, *, at: int = NEVER, durable: bool = False) -> None:
        super().__init__(durable=durable)
        self.at = at
        self.steps = 0
        self.log: list[tuple[str, str]] = []

    def step(self, name: str, path: str) -> None:
        """Count, and crash when it is time. After the crash every further step crashes too: the dead do not tidy up."""
        self.steps += 1
        self.log.append((name, path))
        if self.steps >= self.at:
            message = f"step {self.steps}: {name} {path}"
            raise Crash(message)


class FullDisk(Files):
    """A disk that is full from its n-th write-like step on, until `free`."""

    def __init__(self, *, at: int = NEVER, durable: bool = False) -> None:
        super().__init__(durable=durable)
        self.at = at
        self.steps = 0

    def step(self, name: str, path: str) -> None:
        """Refuse what needs room, as a full disk does."""
        if name not in NEEDS_ROOM:
            return
        self.steps += 1
        if self.steps >= self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def free(self) -> None:
        """Somebody made room."""
        self.at = NEVER


class SteadyClock:
    """Each look is one second later than the one before; `moment` is what the last one saw."""

    def __init__(self, start: datetime = BEGINNING) -> None:
        self.moment = start - timedelta(seconds=1)

    def __call__(self) -> datetime:
        """The next second."""
        self.moment += timedelta(seconds=1)
        return self.moment


def a_root(
    path: str | os.PathLike[str], files: Files | None = None, *, start: datetime = BEGINNING, is_made: bool = True
) -> Root:
    """A data root whose clock is steady, whose luck is seeded, and which starts no process.

    Of a lab only its two own folders: the rest is made by whoever writes into them, or by `scheduler.create.make_lab`.
    Not even those where it is not `is_made`.
    """
    for name in ("registry", "experiments") if is_made else ():
        Files(durable=False).folder(f"{os.fspath(path)}/{name}")
    world = World(now=SteadyClock(start), rng=Random(0), run=_no_process, environ={})
    return Root(os.fspath(path), world, files=files or Files(durable=False))


def _no_process(argv: Sequence[str], *, given: str = "", limit_s: float = 30.0) -> Done:
    del given, limit_s
    message = f"a test started a process: {argv!r}"
    raise AssertionError(message)
