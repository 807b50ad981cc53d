"""The simulated disk: every step is a pause, can be refused, and a write can stop half way."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from lab.core import layout
from lab.store.files import Files
from lab.testing.files import NEEDS_ROOM

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.sim.world import Process, World

DEAF = frozenset({errno.EIO})


class Refusal(OSError):
    """A disk said no because the simulator wanted it to. Any other OSError that comes out of the lab is a fault."""


class SimulatedFiles(Files):
    """Writes of one simulated process. Times of files are the simulated file server's."""

    def __init__(self, world: World, owner: Process | None = None) -> None:
        super().__init__(durable=False)
        self.world = world
        self.owner = owner
        self.refusing = 0  # how many of the next steps are refused
        self.errno = errno.ENOSPC

    def step(self, name: str, path: str) -> None:
        """A pause, then perhaps a refusal."""
        if self.owner is None:
            return
        self.owner.pause(f"{name} {self.world.short(path)}")
        full = self.world.full_disk and name in NEEDS_ROOM
        if full or (self.refusing > 0 and (self.errno in DEAF or name in NEEDS_ROOM)):
            self.refusing = max(0, self.refusing - 1)
            number = errno.ENOSPC if full else self.errno
            self.world.say(f"{self.owner.name}: {os.strerror(number)}: {name} {self.world.short(path)}")
            raise Refusal(number, os.strerror(number), path)

    def touch(self, path: str) -> None:
        self.step("utime", path)
        os.utime(path, (self.world.server_s(), self.world.server_s()))

    def _write_new(self, path: str, data: bytes | Iterable[bytes], *, durable: bool, mode: int) -> None:
        super()._write_new(path, data, durable=durable, mode=mode)
        os.utime(path, (self.world.server_s(), self.world.server_s()))

    def draft_beside(self, path: str) -> str:
        self._drafts += 1
        folder, name = os.path.split(path)
        here, pid = (self.owner.here, self.owner.pid) if self.owner else ("0" * 8, 1)
        return f"{folder}/.{name}.{here}abcd-{pid}-{self._drafts}{layout.DRAFT_SUFFIX}"
