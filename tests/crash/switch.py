"""A switch on the machine: everything stops before the nth step, or the disk refuses it, whichever process takes it.

A step is what `Files.step` announces, and the start of a program that writes for the lab (git, crontab). They are
counted across all processes of a command: the switch is in the environment, and `switched/sitecustomize.py` turns it on
in each new Python.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.store.files import Files
from lab.testing.files import NEEDS_ROOM

if TYPE_CHECKING:
    from collections.abc import Iterator

PLACE = "CRASH_SWITCH"
SITE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "switched")
STOP, FULL, BAD, COUNT = "stop", "full", "bad", "count"
STOPPED = 99
PROGRAMS = frozenset({"git", "crontab", "systemctl", "launchctl"})
_START = "start"


class Switch:
    """The switch as one process sees it. `plan` says what happens, when, and who outlives it."""

    def __init__(self, place: str) -> None:
        self._count, self._log, self._struck = (f"{place}/{name}" for name in ("count", "log", "struck"))
        with open(f"{place}/plan", encoding="utf-8") as file:
            self.mode, at, reaper = file.read().split()
        self.at = int(at)
        self.reaper = int(reaper)

    def step(self, name: str, path: str) -> None:
        """One step of anybody: it happens, it is refused, or the machine stops before it."""
        if self.mode == STOP and os.path.exists(self._struck):
            os._exit(STOPPED)
        number = self._counted(f"{name} {path}\n")
        if self.mode == STOP and number == self.at:
            self._strike(f"{name} {path}")
            for pid in descendants(self.reaper):
                if pid != os.getpid():
                    with suppress(OSError):
                        os.kill(pid, signal.SIGKILL)
            os._exit(STOPPED)
        full = self.mode == FULL and number >= self.at and name in NEEDS_ROOM
        if full or (self.mode == BAD and number == self.at):
            self._strike(f"{name} {path}")
            code = errno.ENOSPC if full else errno.EIO
            raise OSError(code, os.strerror(code), path)

    def _counted(self, line: str) -> int:
        """The number of this step among all. One byte each, so that the end of the file is the count."""
        opened = os.open(self._count, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            os.write(opened, b".")
            number = os.lseek(opened, 0, os.SEEK_CUR)
        finally:
            os.close(opened)
        if self.mode == COUNT:
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(line)
        return number

    def _strike(self, what: str) -> None:
        with suppress(FileExistsError), open(self._struck, "x", encoding="utf-8") as file:
            file.write(what)


def turn_on(place: str) -> None:
    """In this process and in all that it forks."""
    switch = Switch(place)
    began = subprocess.Popen.__init__

    def starting(process: subprocess.Popen[bytes], args: object, *more: object, **named: object) -> None:
        words = [args] if isinstance(args, str) else list(args) if isinstance(args, (list, tuple)) else []
        program = os.path.basename(str(words[0])) if words else ""
        if program in PROGRAMS:
            switch.step(_START, " ".join([program, *map(str, words[1:6])]))
        began(process, args, *more, **named)  # type: ignore[call-overload]

    Files.step = switch.step  # type: ignore[method-assign,assignment]
    subprocess.Popen.__init__ = starting  # type: ignore[method-assign,assignment]


def set_up(place: str, mode: str, at: int) -> None:
    """Called by whoever outlives the command."""
    os.mkdir(place)
    with open(f"{place}/plan", "w", encoding="utf-8") as file:
        file.write(f"{mode} {at} {os.getpid()}")


def struck(place: str) -> str:
    """Before which step it stopped or was refused; empty when nothing happened."""
    try:
        with open(f"{place}/struck", encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        return ""


def steps(place: str) -> list[str]:
    """What a command that was only counted did, in its order."""
    try:
        with open(f"{place}/log", encoding="utf-8") as file:
            return file.read().splitlines()
    except FileNotFoundError:
        return []


def descendants(pid: int) -> Iterator[int]:
    """All of them, whatever session they are in; the parents first."""
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as file:
                own = [int(each) for each in file.read().split()]
            for each in own:
                yield each
                yield from descendants(each)
