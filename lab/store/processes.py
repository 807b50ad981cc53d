"""Processes of this machine: who descends from whom, and how to end those that are not ours to reap."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

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


def above() -> list[int]:
    """The caller and what it descends from, the nearest first. Of whoever outlived its parent no more is known."""
    try:
        seen = parents()
    except OSError:
        return []
    found, pid = [], os.getpid()
    while pid and pid in seen and pid not in found:
        found.append(pid)
        pid = seen[pid][0]
    return found


def send(pid: int, number: int) -> bool:
    """Send a signal; False when nobody was there, or somebody who may not be told."""
    try:
        os.kill(pid, number)
    except OSError:
        return False
    return True


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
