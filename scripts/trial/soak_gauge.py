"""What must not grow while a lab goes on: what is looked at from outside, at each sample, and compared at the end."""

from __future__ import annotations

import os
import statistics
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

KIB = 1024
PAGE = os.sysconf("SC_PAGE_SIZE")


class Bound(NamedTuple):
    """How much more the last quarter may have than the first: a share, and as much again as no growth explains."""

    name: str
    unit: str
    share: float
    slack: float


# A quarter has some more on a busy machine, and in a process that has just begun; what leaks has many times as much.
BOUNDS = (
    Bound("an idle tick: CPU", "ms", 0.3, 40.0),
    Bound("an idle tick: files that it changed", "", 0.0, 0.0),
    Bound("an idle tick: bytes that it wrote", "", 0.0, 0.0),
    Bound("status: CPU", "ms", 0.3, 40.0),
    Bound("serve: memory", "KiB", 0.2, 8_192.0),
    Bound("serve: open files", "", 0.0, 3.0),
    Bound("serve: threads", "", 0.0, 3.0),
    Bound("worker: memory", "KiB", 0.2, 8_192.0),
    Bound("worker: open files", "", 0.0, 3.0),
    Bound("processes beside those at work", "", 0.0, 12.0),
    Bound("scratch/: files", "", 0.5, 40.0),
    Bound("scratch/: bytes", "", 0.5, 4_194_304.0),
    Bound("registry/locks: files", "", 0.5, 200.0),
    Bound("registry/cache: bytes", "", 0.5, 262_144.0),
    Bound("the log of ticks: bytes", "", 0.0, 6.0 * KIB * KIB),
    Bound("dispatch/: files", "", 0.5, 60.0),
    Bound("drafts", "", 0.0, 12.0),
    Bound("disk a sealed run: bytes", "", 0.1, 4_096.0),
)


class Gauge:
    """Samples by name."""

    def __init__(self) -> None:
        self.samples: dict[str, list[float]] = {bound.name: [] for bound in BOUNDS}

    def add(self, name: str, value: float) -> None:
        self.samples[name].append(value)

    def quarters(self, name: str) -> tuple[float, float] | None:
        """The medians of the first and of the last quarter; None of too few samples."""
        found = self.samples[name]
        count = len(found) // 4
        if not count:
            return None
        return statistics.median(found[:count]), statistics.median(found[-count:])

    def rows(self) -> Iterable[tuple[str, str, list[str]]]:
        """What was looked at, its quarters in words, and whether it grew."""
        for bound in BOUNDS:
            told = self.quarters(bound.name)
            if told is None:
                continue
            first, last = told
            most = first * (1 + bound.share) + bound.slack
            unit = f" {bound.unit}" if bound.unit else ""
            shown = f"{first:,.0f}{unit} in the first quarter, {last:,.0f}{unit} in the last"
            yield bound.name, shown, [f"{shown}; {most:,.0f} was expected at most"] if last > most else []


def memory_kib(pid: int) -> float:
    """What a process holds in memory; 0 of one that is gone."""
    with suppress(OSError), open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE / KIB
    return 0.0


def count(folder: str) -> int:
    """The names in a folder of /proc, or anywhere."""
    with suppress(OSError):
        return len(os.listdir(folder))
    return 0


def sizes(top: str) -> tuple[int, int]:
    """Files below a folder, and their bytes."""
    files = size = 0
    for place, _, names in os.walk(top):
        for name in names:
            with suppress(OSError):
                size += os.lstat(f"{place}/{name}").st_size
                files += 1
    return files, size


def identities(top: str) -> dict[str, tuple[int, int, int]]:
    """Every file by inode, size and time: equal before and after means that nothing was written."""
    found = {}
    for place, _, names in os.walk(top):
        for name in names:
            path = f"{place}/{name}"
            with suppress(OSError):
                seen = os.lstat(path)
                found[path] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)
    return found
