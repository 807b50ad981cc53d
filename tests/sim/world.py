"""The simulated world: one time for the file server, hosts with processes, clocks that disagree, runs that write.

`installed` puts it in the place of the machine: who lives, who writes where, how a lock is waited for.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
from collections import deque
from contextlib import contextmanager
from datetime import datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.claim import Owner
from lab.core.ended import Ended
from lab.core.errors import Busy
from lab.core.run import FAILED, SUCCESS
from lab.core.world import World as LabWorld
from lab.executors import door, leftovers
from lab.scheduler import reclaim
from lab.store import files, leases, machine, reading, sections
from lab.store.root import Root
from lab.testing.files import BEGINNING, _no_process
from tests.sim.baton import BLOCKED, Actor, Stage
from tests.sim.disk import SimulatedFiles

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.launch import Exit
    from lab.core.manifest import Manifest

LOG_LINES = 60
FAR_AHEAD_S = 7_200.0
DIES_TORN = 0.2
_DRAFT = re.compile(r"\.[0-9a-f]{12}-[0-9]+-[0-9]+\.draft")


class Temper(msgspec.Struct, frozen=True, kw_only=True):
    """What kind of world a seed makes: how often each kind of trouble comes, as a chance a step."""

    crash: float = 0.0
    reboot: float = 0.0
    refusal: float = 0.0
    full: float = 0.0
    sleep: float = 0.0  # somebody is stopped in the middle, for longer than a lease
    leap: float = 0.0  # time passes for everybody
    jump: float = 0.0  # one clock is set
    people: float = 0.0
    torn: float = 0.0
    reads: float = 0.0  # how many of the reads are pauses
    broken_specs: bool = True
    coarse: bool = False  # clocks that know only seconds
    hosts: int = 1
    dispatch: bool = False

    @property
    def calm(self) -> bool:
        """Whether nothing can go wrong: then nobody may lose a lease, and no run may be lost."""
        return not (self.crash or self.reboot or self.refusal or self.full or self.sleep or self.leap)


class Process(Actor):
    """An actor as a process of a host, with its own root, writer and clock."""

    def __init__(self, world: World, name: str, host: str, pid: int) -> None:
        super().__init__(world.stage, name)
        self.world = world
        self.host = host
        self.pid = pid
        self.boot = world.boots[host]
        self.rng = Random(world.rng.getrandbits(64))
        self.skew_s = 0.0
        self.asleep_until_s = 0.0
        self.here = hashlib.sha256(f"{host}/{self.boot}".encode()).hexdigest()[:8]
        self.files = SimulatedFiles(world, self)
        lab_world = LabWorld(now=self.clock, rng=self.rng, run=_no_process, environ={})
        self.root = Root(world.path, lab_world, files=self.files)

    @property
    def owner(self) -> Owner:
        return Owner(
            name=self.name, host=self.host, boot_id=self.boot, pid_namespace=1, pid=self.pid, start_ticks=self.pid
        )

    def clock(self) -> datetime:
        """What this host's clock shows. Time goes on by a microsecond with each look, unless the clock is coarse."""
        self.world.looks += 1
        seen = BEGINNING + timedelta(seconds=self.world.elapsed_s + self.skew_s, microseconds=self.world.looks)
        return seen.replace(microsecond=0) if self.world.temper.coarse else seen


class Work:
    """The program of a run: a process of its own, which may outlive the one that started it."""

    def __init__(self, parent: Process, path: str, run_id: str, todo: list[str]) -> None:
        self.parent, self.host = parent.name, parent.host
        self.path, self.run_id, self.todo = path, run_id, todo
        self.rng = Random(parent.rng.getrandbits(32))
        self.ended = False

    def runs(self) -> bool:
        return not self.ended

    def go_on(self) -> str:
        """Write the next thing, as programs do: not through the lab's verbs."""
        if not self.todo:
            self.ended = True
            return "ends"
        name = self.todo.pop(0)
        os.makedirs(os.path.dirname(f"{self.path}/{name}"), exist_ok=True)
        with open(f"{self.path}/{name}", "ab" if name.endswith(".log") else "wb") as file:
            file.write(b"[%d]\n" % self.rng.randrange(10**6))
        return f"writes {name}"


class World:
    """All that the simulated processes share."""

    def __init__(self, path: str, seed: int, temper: Temper) -> None:
        self.path = path
        self.rng = Random(seed)
        self.temper = temper
        self.stage = Stage()
        self.elapsed_s = 0.0
        self.looks = 0
        self.full_disk = False
        self.doom = False  # everybody is dead; what is looked at is a copy of what they left
        self.boots = {f"host-{number}": f"boot-{number}-0" for number in range(temper.hosts)}
        self.processes: list[Process] = []
        self.works: list[Work] = []
        self.exits: dict[str, float | None] = {}  # bundle -> the value of a run whose end was written down
        self.log: deque[str] = deque(maxlen=LOG_LINES)
        self.steps = 0
        self.holders: dict[str, Process | None] = {}  # section -> who took it last
        self._pids = 100

    def process(self, name: str, host: str) -> Process:
        self._pids += 1
        made = Process(self, f"{name}-{self._pids}", host, self._pids)
        self.processes.append(made)
        return made

    def say(self, line: str) -> None:
        self.log.append(f"{self.steps:>6} {self.elapsed_s:>9.1f}s  {line}")

    def short(self, path: str) -> str:
        return _DRAFT.sub(".draft", path.removeprefix(self.path + "/"))

    def server_s(self) -> float:
        """The file server's clock."""
        return BEGINNING.timestamp() + self.elapsed_s + (FAR_AHEAD_S if self.doom else 0.0)

    def outside(self, path: str) -> Root:
        """A root for the simulator's own looks, which nobody interrupts."""
        world = LabWorld(now=self._late, rng=Random(0), run=_no_process, environ={})
        return Root(path, world, files=SimulatedFiles(self))

    def _late(self) -> datetime:
        self.looks += 1
        return BEGINNING + timedelta(seconds=self.elapsed_s + FAR_AHEAD_S, microseconds=self.looks)

    # -- what stands in the place of the machine -------------------------------------------------------------------

    def asker(self) -> Process | None:
        found = self.stage.current
        return found if isinstance(found, Process) else None

    def alive(self, owner: Owner) -> bool | None:
        asker = self.asker()
        if not owner.host:
            return None  # the owner of a package: no process holds it
        if self.doom or asker is None:
            return False
        if asker.host != owner.host:
            return None
        if owner.boot_id != self.boots[owner.host]:
            return False
        return any(each.pid == owner.pid and not each.doomed for each in self.processes)

    def writers(self, folder: str) -> list[int]:
        asker = self.asker()
        if self.doom or asker is None:
            return []
        return [1 for work in self.works if work.path == folder and work.host == asker.host and not work.ended]

    def end(self, folder: str) -> int:
        asker = self.asker()
        for work in self.works:
            if work.path == folder and asker is not None and work.host == asker.host:
                work.ended = True
        return 0

    def is_gone(self, where: str, pid: int) -> bool:
        asker = self.asker()
        if self.doom or asker is None:
            return True
        return where == asker.here and all(each.doomed for each in self.processes if each.pid == pid)

    def this_process(self, name: str) -> Owner:
        asker = self.asker()
        assert asker is not None
        return msgspec.structs.replace(asker.owner, name=name)

    def waited(self, descriptor: int, path: str, wait_s: float) -> None:
        """Wait for a section as long as its holder, who may be stopped in it, keeps it; or give up."""
        asker = self.asker()
        assert asker is not None, f"the simulator itself waits for {path}"
        until_s = self.elapsed_s + wait_s
        while True:
            asker.pause(f"waits for {self.short(path)}", BLOCKED)
            try:
                self.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                assert self.holders.get(path) is not asker, f"{asker.name} waits for {path}, which it has itself"
                if self.elapsed_s > until_s:
                    raise Busy(f"{asker.name} waited {wait_s:.0f}s for a section", where=path) from None
                continue
            return

    def flock(self, descriptor: int, how: int) -> None:
        """The real one, noting who has it: a section is not reentrant."""
        fcntl.flock(descriptor, how)
        self.holders[os.readlink(f"/proc/self/fd/{descriptor}")] = self.asker()

    def sleep(self, seconds: float) -> None:
        self.elapsed_s += seconds
        asker = self.asker()
        if asker is not None:
            asker.pause(f"sleeps {seconds}s")

    def write_all(self, descriptor: int, data: bytes) -> None:
        """As `write` may do: half first. Who dies or is refused there leaves a torn line, or takes it back."""
        asker = self.asker()
        if asker is not None and len(data) > 1:
            if os.readlink(f"/proc/self/fd/{descriptor}").endswith("events.jsonl"):
                asker.pause("writes to the ledger")
            if asker.rng.random() < self.temper.torn:
                half = asker.rng.randrange(1, len(data))
                os.write(descriptor, data[:half])
                if self.temper.crash and asker.rng.random() < DIES_TORN:
                    self.say(f"{asker.name} is killed half way through {len(data)} bytes")
                    asker.doomed = True
                asker.files.step("write", f"{half} of {len(data)} bytes")
                data = data[half:]
        os.write(descriptor, data)


class Reader:
    """The executor whose runs are simulated: how one ended stands in its `exit.json`."""

    def read(self, path: str, manifest: Manifest, ended: Exit) -> Ended:
        del path, manifest
        if ended.code == 0:
            return Ended(outcome=SUCCESS, value=ended.wall_s, wall_s=1.0)
        return Ended(outcome=FAILED, reason=f"exit code {ended.code}", wall_s=1.0)


class _Locks:
    LOCK_EX, LOCK_NB = fcntl.LOCK_EX, fcntl.LOCK_NB

    def __init__(self, world: World) -> None:
        self.flock = world.flock


class _Clock:
    def __init__(self, world: World) -> None:
        self.sleep = world.sleep

    def monotonic(self) -> float:
        return 0.0


@contextmanager
def installed(world: World) -> Iterator[None]:
    """Let the lab live in this world."""
    opened, read, survey = sections._open, reading.read, leases.survey

    def locks(path: str) -> int:
        asker = world.asker()
        if asker is not None:
            asker.pause(f"takes {world.short(path)}")
        return opened(path)

    def reads(path: str) -> bytes | None:
        asker = world.asker()
        if asker is not None and asker.rng.random() < world.temper.reads:
            asker.pause(f"reads {world.short(path)}")
        return read(path)

    def surveys(root: Root, experiment: str) -> leases.Survey:
        seen = survey(root, experiment)
        asker = world.asker()
        if asker is not None:
            asker.pause(f"has looked at the claims of {experiment}")
        return seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(machine, "alive", world.alive)
        patch.setattr(machine, "writers", world.writers)
        patch.setattr(machine, "is_gone", world.is_gone)
        patch.setattr(machine, "this_process", world.this_process)
        patch.setattr(leftovers, "end", world.end)
        patch.setattr(door, "find", lambda name: Reader())
        patch.setattr(reclaim, "time", _Clock(world))
        patch.setattr(sections, "_open", locks)
        patch.setattr(sections, "fcntl", _Locks(world))
        patch.setattr(sections, "_wait", world.waited)
        patch.setattr(reading, "read", reads)
        patch.setattr(leases, "survey", surveys)
        patch.setattr(files, "_write_all", world.write_all)
        yield


REFUSALS = (errno.ENOSPC, errno.EIO)
