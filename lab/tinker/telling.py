"""What a chunk leaves in its run's folder, and what it prints. Only this module of a recipe's process writes.

A row is on disk when `row` returns: what is not, did not happen as far as the lab knows. Lines of the report and of
pauses are for whoever watches; a crash may take the last of them.
"""

from __future__ import annotations

import errno
import math
import os
import sys
import threading
from typing import TYPE_CHECKING

from lab.core import chunk as names
from lab.core.errors import LabError
from lab.tinker import rows

if TYPE_CHECKING:
    from lab.core.chunk import Checkpoint
    from lab.tinker.rows import Pause, Row

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


class Unwritten(LabError):
    """What a chunk did cannot be written down here. No service is at fault, so it is not waited for."""


class Telling:
    """`folder` is the run's, `report` the path that LAB_REPORT names; without it nothing is reported."""

    def __init__(self, folder: str, report: str = "") -> None:
        self._folder = folder
        self._report = report
        self._open: dict[str, int] = {}
        self._guard = threading.Lock()  # pauses are told by the thread of the SDK

    def row(self, row: Row) -> None:
        """A step was done."""
        self._append(names.STEPS, rows.encode(row), f"the row of step {row.step}", sync=True)

    def checkpoint(self, record: Checkpoint) -> None:
        """A state was saved, or models were fixed."""
        self._append(names.CHECKPOINTS, rows.encode_record(record), f"the record of {record.name}", sync=True)

    def pause(self, pause: Pause) -> None:
        """The service lets it wait, or does no longer."""
        self._append(names.PAUSES, rows.encode_record(pause), "a pause", sync=False)

    def report(self, step: int, value: float) -> None:
        """A point of the run's curve."""
        if self._report and math.isfinite(value):
            self._append(self._report, f"{step} {value!r}\n".encode(), "the report", sync=False)

    def page(self, name: str, text: bytes) -> None:
        """A page of its own in the run's folder, in the place of an older one."""
        path = f"{self._folder}/{name}"
        try:
            with open(f"{path}.draft", "wb") as file:
                file.write(text)
            os.replace(f"{path}.draft", path)
        except OSError as error:
            raise Unwritten(f"{name} cannot be written: {error.strerror}", where=path) from error

    @staticmethod
    def metric(name: str, value: float) -> None:
        """A number that the lab reads of this run."""
        print(f"METRIC {name}={value!r}", flush=True)  # noqa: T201  # it is what the lab reads

    @staticmethod
    def say(words: str) -> None:
        """Words for the log."""
        print(words, flush=True)  # noqa: T201  # the log of a run of its own

    def step(self, row: Row) -> None:
        """A step in words, for who watches the log: a metric of held-out data comes at the end alone."""
        told = {**row.metrics, **({names.KL: row.kl} if row.kl is not None else {})}
        numbers = ", ".join(f"{name} {value:.6g}" for name, value in told.items())
        self.say(f"step {row.step}: {numbers} ({row.step_s:.2f} s)")

    @staticmethod
    def complain(words: str) -> None:
        """Words about what is wrong."""
        print(words, file=sys.stderr, flush=True)  # noqa: T201  # the same

    def close(self) -> None:
        """Close what is open."""
        with self._guard:
            while self._open:
                os.close(self._open.popitem()[1])

    def _append(self, name: str, line: bytes, what: str, *, sync: bool) -> None:
        path = name if os.path.isabs(name) else f"{self._folder}/{name}"
        try:
            with self._guard:
                descriptor = self._open.get(path)
                if descriptor is None:
                    descriptor = self._open[path] = _opened(path, sync=sync)
                rest = memoryview(line)
                while rest:
                    rest = rest[os.write(descriptor, rest) :]
                if sync:
                    os.fdatasync(descriptor)
        except OSError as error:
            fix = "make room: the next chunk begins at the last saved state" if error.errno in _FULL else ""
            raise Unwritten(f"{what} cannot be written: {error.strerror}", where=path, fix=fix) from error


def _opened(path: str, *, sync: bool) -> int:
    """Open a file to append to. What a killed process left of a line is ended, or it would take the next one along."""
    folder = os.path.dirname(path)
    os.makedirs(folder, exist_ok=True)
    is_new = not os.path.lexists(path)
    descriptor = os.open(path, _APPEND, 0o644)
    if is_new and sync:
        for place in (folder, os.path.dirname(folder)):
            _sync_folder(place)
    elif not is_new and _is_torn(path):
        os.write(descriptor, b"\n")
    return descriptor


def _is_torn(path: str) -> bool:
    reading = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        size = os.fstat(reading).st_size
        return size > 0 and os.pread(reading, 1, size - 1) != b"\n"
    finally:
        os.close(reading)


def _sync_folder(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
