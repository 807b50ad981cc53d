"""The processes that descend from one: who they are, what memory they hold, and how to end them all."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

NAMESPACE, SUBREAPER, GROUP = "namespace", "subreaper", "group"
_PAGE = os.sysconf("SC_PAGE_SIZE")
_PARENT, _STATE = 1, 0
_END_WITHIN_S = 5.0


def parents() -> dict[int, tuple[int, str]]:
    """Each process that this one can see: its parent and its state letter."""
    found = {}
    for name in os.listdir("/proc"):
        if name.isdecimal():
            with suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:
                text = file.read().decode("ascii", "replace")
                fields = text[text.rfind(")") + 2 :].split(None, 2)
                found[int(name)] = (int(fields[_PARENT]), fields[_STATE])
    return found


def descendants(pid: int) -> list[int]:
    """Everything that came from a process and still runs; zombies are left out, they run no more."""
    try:
        seen = parents()
    except OSError:
        return []
    children: dict[int, list[int]] = {}
    for each, (parent, _) in seen.items():
        children.setdefault(parent, []).append(each)
    found, waiting = [], [pid]
    while waiting:
        for child in children.get(waiting.pop(), ()):
            waiting.append(child)
            if seen[child][1] not in "ZX":
                found.append(child)
    return found


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


def send(pid: int, number: int) -> bool:
    """Send a signal; False when nobody was there, or somebody who may not be told."""
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


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


def end_all(pids: list[int], within_s: float = _END_WITHIN_S) -> bool:
    """Kill processes that are not ours to reap, and wait until they are gone. False when some are not."""
    deadline = time.monotonic() + within_s
    left = [pid for pid in pids if send(pid, signal.SIGKILL)]
    while left and time.monotonic() < deadline:
        time.sleep(0.005)
        left = [pid for pid in left if runs(pid)]
    return not left


def runs(pid: int) -> bool:
    """Whether a process is there and is no zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except FileNotFoundError:
        return os.path.exists("/proc/self") is False and send(pid, 0)
    except OSError:
        return False
    return text[text.rfind(b")") + 2 :][:1] not in (b"Z", b"X")
