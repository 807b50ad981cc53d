"""Memory and CPU of a run: by a cgroup where one can be made, else memory by looking and CPU by pinning.

A cgroup is named after the process that made it, so that the next run that makes one can clear away what a killed lab
left behind.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.store import machine

if TYPE_CHECKING:
    from lab.core.launch import Limits

_MOUNT = "/sys/fs/cgroup"
_PREFIX = "labctl-"
_PERIOD_US = 100_000
_PROCS = "cgroup.procs"


class Cage:
    """The limits of one run as the kernel keeps them. Without cgroups it keeps none, and says so."""

    def __init__(self) -> None:
        self.memory = ""
        self.cpu = ""
        self.cores: set[int] = set()

    def folders(self) -> set[str]:
        return {folder for folder in (self.memory, self.cpu) if folder}

    def enter(self) -> None:
        """Put the calling process in. Between fork and exec: nothing that it starts can be outside."""
        for folder in self.folders():
            _write(f"{folder}/{_PROCS}", "0")
        if self.cores:
            os.sched_setaffinity(0, self.cores)

    def ran_out(self) -> bool:
        """Whether the kernel ended a process of the run for its memory."""
        if not self.memory:
            return False
        return _killed(self.memory) > 0

    def peak_bytes(self) -> int:
        """The most it held at once, as the kernel counted it; 0 when it did not."""
        if not self.memory:
            return 0
        text = _read(f"{self.memory}/memory.peak") or _read(f"{self.memory}/memory.max_usage_in_bytes")
        return int(text) if text.strip().isdecimal() else 0

    def remove(self) -> None:
        """Take the cgroups away. One that still holds a process stays, for the next run to clear."""
        for folder in self.folders():
            with suppress(OSError):
                os.rmdir(folder)

    def words(self, limits: Limits) -> str:
        """Which limits were kept, and by what."""
        said = []
        if limits.memory_mb:
            said.append(f", memory {'by cgroup' if self.memory else 'watched'}")
        if limits.cpu:
            said.append(f", cpu {'by cgroup' if self.cpu else 'by affinity' if self.cores else 'not limited'}")
        return "".join(said)


class Surroundings:
    """The memory of the place that we are in ourselves, such as a job of a batch system: its limit is not ours."""

    def __init__(self, mount: str = _MOUNT) -> None:
        self._folder = next(iter(_parents("memory", mount)), "")
        self._before = _killed(self._folder)

    def ran_out(self) -> bool:
        """Whether the kernel ended a process here for its memory since this was made. It may have been another's."""
        return _killed(self._folder) > self._before


def _killed(folder: str) -> int:
    """How many processes of a cgroup the kernel ended for their memory."""
    text = _read(f"{folder}/memory.events") or _read(f"{folder}/memory.oom_control") if folder else ""
    counts = [line.split()[1] for line in text.splitlines() if line.startswith("oom_kill ")]
    return int(counts[0]) if counts and counts[0].isdecimal() else 0


def cage(limits: Limits, *, mount: str = _MOUNT) -> Cage:
    """What can be enforced here. Nothing is made when nothing was asked for."""
    made = Cage()
    if not (limits.memory_mb or limits.cpu):
        return made
    name = f"{_PREFIX}{machine.here()}-{os.getpid()}"
    if limits.memory_mb:
        made.memory = _make("memory", name, _memory(limits.memory_mb << 20), mount)
    if limits.cpu:
        made.cpu = _make("cpu", name, _cpu(limits.cpu), mount)
        if not made.cpu:
            made.cores = _some_cores(math.ceil(limits.cpu))
    return made


def _memory(limit: int) -> list[tuple[str, str, bool]]:
    """(file, text, whether it must be there). Swap counts too, or the limit would only make the run slow."""
    return [
        ("memory.max", str(limit), True), ("memory.swap.max", "0", False), ("memory.oom.group", "1", False),
        ("memory.limit_in_bytes", str(limit), True), ("memory.memsw.limit_in_bytes", str(limit), False),
    ]  # fmt: skip


def _cpu(cpus: float) -> list[tuple[str, str, bool]]:
    quota = max(1_000, round(cpus * _PERIOD_US))
    return [
        ("cpu.max", f"{quota} {_PERIOD_US}", True), ("cpu.cfs_period_us", str(_PERIOD_US), False),
        ("cpu.cfs_quota_us", str(quota), True),
    ]  # fmt: skip


def _make(controller: str, name: str, texts: list[tuple[str, str, bool]], mount: str) -> str:
    """The folder of a new cgroup with these limits, or empty where none can be made."""
    for parent in _parents(controller, mount):
        _clear(parent)
        folder = f"{parent}/{name}"
        try:
            if not os.path.isdir(folder):
                os.mkdir(folder)
        except OSError:
            continue
        kept = False
        try:
            for file, text, needed in texts:
                if os.path.exists(f"{folder}/{file}"):
                    with suppress(OSError):
                        _write(f"{folder}/{file}", text)
                        kept = kept or needed
        finally:
            if not kept:
                with suppress(OSError):
                    os.rmdir(folder)
        if kept:
            return folder
    return ""


def _parents(controller: str, mount: str) -> list[str]:
    """Where a cgroup of ours may hang: below the one we are in, else beside it, else at the top."""
    for line in _read("/proc/self/cgroup").splitlines():
        number, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        base = mount if number == "0" else f"{mount}/{names}"
        wanted = not names and os.path.exists(f"{base}/cgroup.controllers")
        if controller in names.split(",") or (wanted and controller in _read(f"{base}/cgroup.controllers").split()):
            own = (base + path).rstrip("/")
            return list(dict.fromkeys((own, os.path.dirname(own) if own != base else base, base)))
    return []


def _clear(parent: str) -> None:
    """Remove what killed labs left here. A folder that holds a process refuses, and one of a living lab is left."""
    with suppress(OSError):
        for name in os.listdir(parent):
            where, _, pid = name.removeprefix(_PREFIX).partition("-")
            if name.startswith(_PREFIX) and pid.isdecimal() and machine.is_gone(where, int(pid)):
                with suppress(OSError):
                    os.rmdir(f"{parent}/{name}")


def _some_cores(count: int) -> set[int]:
    """Cores to pin to. Begun at another one by each process, or runs side by side would all share the first."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    start = os.getpid() % len(cores)
    return set((cores[start:] + cores[:start])[:count])


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)
