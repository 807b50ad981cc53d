"""Measure `labctl mcp serve`: what a client waits for when a session begins, and what a call adds to its verb.

    python scripts/bench/mcp.py [--quick] [--only initialize call] [--json | --markdown]

`initialize` is a whole process that answers it and ends, against a Python that does nothing, in turns. Not a test.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from typing import TYPE_CHECKING

if __name__ == "__main__":
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.bench import gauge, grow, program, start
from scripts.bench.table import Row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scripts.bench.program import Measure
    from scripts.bench.table import Size

RATIO = 3.0
_OPENING = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}
_INITIALIZE = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": _OPENING}
_STATUS = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "lab_status"}}


def initialize(scratch: str, size: Size) -> list[Row]:
    """CPU and wall time of a server that answers `initialize`, whichever way it is started."""
    place = f"{scratch}/mcp"
    grow.grown(place, [("exp-0000", 1)])
    asked = f"{scratch}/initialize.jsonl"
    with open(asked, "w", encoding="utf-8") as file:
        file.write(json.dumps(_INITIALIZE) + "\n")
    servers = {how: [*launcher, "mcp", "serve", "--data-root", place] for how, launcher in start.launchers().items()}
    rows = []
    for what, take in (("CPU", _cpu_s), ("wall", _timed_s)):
        taken: dict[str, list[float]] = {name: [] for name in ("floor", *servers)}
        for turn in range(size.repeats + 1):
            for name, command in {"floor": list(gauge.FLOOR), **servers}.items():
                used_s = take(command, asked)
                if turn:
                    taken[name].append(used_s)
        floor = gauge.median(taken["floor"])
        for how in servers:
            ours = gauge.median(taken[how])
            rows.append(
                Row(
                    what=f"initialize, {what} of the whole server [{how}]",
                    ours=f"{1e3 * ours:.1f} ms",
                    floor=f"{1e3 * floor:.1f} ms (python -c pass)",
                    ratio=ours / floor,
                    goal=f"<= {RATIO:g}x",
                    met=ours / floor <= RATIO,
                    number=ours,
                )
            )
    return rows


def call(scratch: str, size: Size) -> list[Row]:
    """A `lab_status` asked of a running server, against the verb typed at a terminal. By the clock: two processes."""
    place = f"{scratch}/mcp"
    grow.grown(place, [("exp-0000", 1)])
    launcher = next(iter(start.launchers().values()))
    environ = gauge.environment()
    command = [*launcher, "mcp", "serve", "--data-root", place]
    ours, floor = [], []
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environ
    ) as server:
        _asked(server, _INITIALIZE)
        for turn in range(size.repeats + 1):
            took_s = _asked(server, _STATUS)
            verb_s = _timed_s([*launcher, "status", "--json", "--data-root", place], "")
            if turn:
                ours.append(took_s)
                floor.append(verb_s)
        if server.stdin is not None:
            server.stdin.close()
    took_s, verb_s = gauge.median(ours), gauge.median(floor)
    return [
        Row(
            what="lab_status, wall, of a server that runs",
            ours=f"{1e3 * took_s:.1f} ms",
            floor=f"{1e3 * verb_s:.1f} ms (labctl status --json)",
            ratio=took_s / verb_s,
            number=took_s,
        )
    ]


def _asked(server: subprocess.Popen[bytes], message: object) -> float:
    began_s = time.monotonic()
    if server.stdin is None or server.stdout is None:
        return 0.0
    server.stdin.write(json.dumps(message).encode() + b"\n")
    server.stdin.flush()
    server.stdout.readline()
    return time.monotonic() - began_s


def _cpu_s(command: Sequence[str], asked: str) -> float:
    """User and system time of a process that is given this file for its stdin, its end included."""
    given = [(os.POSIX_SPAWN_OPEN, 0, asked, os.O_RDONLY, 0)]
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (1, 2)]
    pid = os.posix_spawn(command[0], list(command), gauge.environment(), file_actions=[*given, *silent])
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


def _timed_s(command: Sequence[str], asked: str) -> float:
    with open(asked or os.devnull, "rb") as given, tempfile.TemporaryFile() as silent:
        began_s = time.monotonic()
        subprocess.run(
            command, stdin=given, stdout=silent, stderr=subprocess.DEVNULL, env=gauge.environment(), check=True
        )
        return time.monotonic() - began_s


MEASURES: dict[str, Measure] = {
    "initialize": lambda scratch, _, size: initialize(scratch, size),
    "call": lambda scratch, _, size: call(scratch, size),
}


if __name__ == "__main__":
    program.run(__doc__, MEASURES)
