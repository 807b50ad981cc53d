"""The processes that descend from the program of a run: what memory they hold, and how to end them all."""

from __future__ import annotations

import os
import signal

from lab.store.processes import descendants, send

NAMESPACE, SUBREAPER, GROUP = "namespace", "subreaper", "group"
_PAGE = os.sysconf("SC_PAGE_SIZE")


def memory_bytes(pids: list[int], *, exact: bool = False) -> int:
    """What these processes hold in memory. Pages that several share are counted once each, unless `exact`."""
    return sum(_shared_fairly(pid) if exact else _resident(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _shared_fairly(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            return sum(int(line.split()[1]) << 10 for line in file if line.startswith(b"Pss:"))
    except OSError:
        return _resident(pid)


class Tree:
    """The tree of the program that this process started, `main` being its pid and the leader of its session.

    A `deputy` only stands for the program and takes it along when it ends.
    """

    def __init__(self, how: str, main: int, *, deputy: bool = False) -> None:
        self.how = how
        self.main = main
        self.deputy = deputy

    def pids(self) -> list[int]:
        """All of it that runs. In a namespace /proc shows nothing else."""
        if self.how == NAMESPACE:
            return [int(name) for name in os.listdir("/proc") if name.isdecimal() and name != "1"]
        return descendants(os.getpid()) if self.how == SUBREAPER else [self.main]

    def tell(self, number: int) -> None:
        """Send a signal to every process, not only to the group: a program in a session of its own is told too."""
        if self.how == NAMESPACE:
            send(-1, number)
        elif self.how == GROUP:
            send(-self.main, number)
        else:
            for pid in self.pids():
                send(pid, number)

    def ask(self) -> None:
        """Ask all to end. Stopped ones are continued, for they could not hear it."""
        if self.deputy:  # asked to end, it would have the program killed that was to have its grace
            for pid in self.pids():
                if pid != self.main:
                    send(pid, signal.SIGTERM)
        else:
            self.tell(signal.SIGTERM)
        self.tell(signal.SIGCONT)

    def kill(self) -> None:
        """One round of it. Stopped first where each must be found: what forks faster than we look would get away."""
        if self.how == SUBREAPER:
            self.tell(signal.SIGSTOP)
        self.tell(signal.SIGKILL)

    def left(self) -> list[int]:
        """Who is still there, to be named when they cannot be ended."""
        try:
            return self.pids()
        except OSError:
            return []
