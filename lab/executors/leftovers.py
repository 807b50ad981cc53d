"""What a run left running whose owner is proven dead: found by what its environment says, or by where it works."""

from __future__ import annotations

import os
from contextlib import suppress

from lab.store import machine, processes

_WITHIN_S = 2.0


def end(run_dir: str) -> int:
    """Kill every process of a run on this host, and wait until they are gone. Returns how many there were.

    Never the caller or what it descends from: a person may stand in the folder of the run with their shell.
    """
    seen = _parents()
    spared, pid = {0, 1}, os.getpid()
    while pid and pid not in spared:
        spared.add(pid)
        pid = seen.get(pid, (0, ""))[0]
    wanted = {f"LAB_RUN_DIR={path}".encode(errors="surrogateescape") for path in (run_dir, os.path.realpath(run_dir))}
    found = {pid for pid in seen if wanted & _environ(pid)} | set(machine.writers(run_dir))
    pids = sorted(pid for pid in found - spared if processes.runs(pid))
    processes.end_all(pids, _WITHIN_S)
    return len(pids)


def _parents() -> dict[int, tuple[int, str]]:
    try:
        return processes.parents()
    except OSError:
        return {}  # no /proc here: nothing can be known, and nothing is done


def _environ(pid: int) -> set[bytes]:
    with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
        return set(file.read().split(b"\0"))
    return set()
