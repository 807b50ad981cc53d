"""What a process or a loop costs: CPU time, memory, bytes and system calls.

Wall time is not here. The machines that run this are shared, and a loaded machine changes it by ten; CPU time by a
tenth. What is compared is measured in turns (A B A B), so that a slow minute is everybody's.
"""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))
FLOOR = (sys.executable, "-c", "pass")
_BEGIN, _END = "/labctl-bench/begin", "/labctl-bench/end"
_CALL = re.compile(r"(?:\d+ +)?(\w+)\(")


class Median(float):
    """The middle of what was measured, which knows the least and the most of it; of a sum or a ratio nobody knows."""

    least: float
    most: float

    def spread(self) -> str:
        """How far the repeats lay from it, in shares of it: `-3 to +8 %`."""
        if not self:
            return ""
        return f"{100 * (self.least / self - 1):+.0f} to {100 * (self.most / self - 1):+.0f} %"


def median(samples: Iterable[float]) -> Median:
    """The median of these."""
    taken = list(samples)
    return between(statistics.median(taken), float(min(taken)), float(max(taken)))


def between(middle: float, least: float, most: float) -> Median:
    made = Median(middle)
    made.least, made.most = least, most
    return made


def told(value: object) -> str:
    """JSON, medians with what they know: what a step tells whoever started it."""
    return json.dumps(_spelled(value))


def read(text: str | bytes) -> dict[str, object]:
    """The same back."""
    value: dict[str, object] = json.loads(text, object_hook=_median)
    return value


def _spelled(value: object) -> object:
    match value:
        case Median():
            return {"median": float(value), "least": value.least, "most": value.most}
        case dict():
            return {key: _spelled(each) for key, each in value.items()}
        case list() | tuple():
            return [_spelled(each) for each in value]
    return value


def _median(value: dict[str, object]) -> object:
    match value:
        case {"median": float(middle), "least": float(least), "most": float(most), **rest} if not rest:
            return between(middle, least, most)
    return value


def cpu_s() -> float:
    """User and system time of this process until now."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def process_cpu_s(command: Sequence[str], environ: Mapping[str, str]) -> float:
    """User and system time of a whole process, its start and end included. Raises when it fails."""
    silent = [(os.POSIX_SPAWN_OPEN, number, os.devnull, os.O_RDWR, 0) for number in (0, 1)]
    pid = os.posix_spawn(command[0], list(command), dict(environ), file_actions=silent)
    _, status, used = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"{' '.join(command)} ended with {os.waitstatus_to_exitcode(status)}")
    return used.ru_utime + used.ru_stime


def in_turns(commands: Mapping[str, Sequence[str]], environ: Mapping[str, str], repeats: int) -> dict[str, Median]:
    """The median CPU seconds of each command. The first round only warms the caches."""
    taken: dict[str, list[float]] = {name: [] for name in commands}
    for turn in range(repeats + 1):
        for name, command in commands.items():
            used_s = process_cpu_s(command, environ)
            if turn:
                taken[name].append(used_s)
    return {name: median(each) for name, each in taken.items()}


def io_bytes() -> tuple[int, int]:
    """Bytes that this process has read and written by system calls; zeros where the machine does not say."""
    try:
        with open("/proc/self/io", encoding="ascii") as file:
            found = dict(line.split(": ") for line in file.read().splitlines())
    except OSError:
        return 0, 0
    return int(found["rchar"]), int(found["wchar"])


def memory_mb(field: str) -> float:
    """`VmHWM` (the peak) or `VmRSS` of this process. Not ru_maxrss: a spawned child inherits its parent's."""
    try:
        with open("/proc/self/status", encoding="ascii", errors="replace") as file:
            lines = [line for line in file if line.startswith(field)]
    except OSError:
        return 0.0
    return int(lines[0].split()[1]) / 1024 if lines else 0.0


def mark(*, begin: bool) -> None:
    """Leave a trace for `calls_between_marks`. One system call on a name that is never there."""
    os.access(_BEGIN if begin else _END, os.F_OK)


def calls_between_marks(command: Sequence[str], environ: Mapping[str, str]) -> Counter[str] | None:
    """Which system calls a command makes between its marks, all stretches together; None without strace."""
    strace = shutil.which("strace")
    if strace is None:
        return None
    with tempfile.NamedTemporaryFile(mode="r", encoding="utf-8", errors="replace") as log:
        done = subprocess.run(
            [strace, "-f", "-s", "64", "-o", log.name, *command],
            cwd=CHECKOUT, env=dict(environ), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            return None  # a container may refuse ptrace
        return _counted(log.read().splitlines())


def _counted(lines: Sequence[str]) -> Counter[str]:
    found: Counter[str] = Counter()
    inside = False
    for line in lines:
        if _BEGIN in line:
            inside = True
        elif _END in line:
            inside = False
        elif inside and (call := _CALL.match(line)):
            found[call[1]] += 1
    return found


def environment(**more: str) -> dict[str, str]:
    """The environment of every measured process: the checkout importable, nothing of ours set by accident."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LAB", "HERMES_LAB", "PYTHON"))}
    return {**kept, "PYTHONPATH": CHECKOUT, "NO_COLOR": "1", **more}


def machine() -> str:
    """One line about where this ran."""
    load = ", ".join(f"{each:.1f}" for each in os.getloadavg())
    version = ".".join(map(str, sys.version_info[:3]))
    system = os.uname()
    return f"{os.cpu_count()} cores, load {load}, Python {version}, {system.sysname} {system.release} {system.machine}"
