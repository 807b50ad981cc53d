"""The drive as a process of its own under strace, which kills it, or refuses it, at a chosen system call."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from typing import NamedTuple

from tests.crash.forks import Answer

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CALLS = (
    "openat,write,pwrite64,fsync,fdatasync,rename,renameat,renameat2,link,linkat,symlink,symlinkat,unlink,unlinkat,"
    "mkdir,mkdirat,rmdir,ftruncate,truncate,utimensat,chmod,fchmod,fchmodat,flock,close"
)
_CALL = re.compile(r"(?:\d+ +)?(\w+)\((.*)")
_WRITES = re.compile(r"O_WRONLY|O_RDWR|O_CREAT|O_TRUNC")


class Point(NamedTuple):
    """The nth call of that name that the process makes, counted from its first breath."""

    name: str
    number: int
    what: str

    def __str__(self) -> str:
        return f"{self.name}#{self.number} {self.what}"


def command(path: str, steps: tuple[str, ...]) -> list[str]:
    """An interpreter that starts the same way every time: no site, no caches to write."""
    return [sys.executable, "-S", "-m", "tests.crash.driver", path, *steps]


def environment() -> dict[str, str]:
    where = f"{CHECKOUT}:{sysconfig.get_paths()['purelib']}"
    given = {"PYTHONPATH": where, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}
    return given | {"PATH": os.environ["PATH"]}


def points(path: str, steps: tuple[str, ...], log: str) -> list[Point]:
    """A dry run: every call that changes something in the root, with its number among all calls of its name."""
    tracer = ["strace", "-f", "-y", "-qq", "-s", "0", "-o", log, "-e", f"trace={CALLS}"]
    subprocess.run([*tracer, *command(path, steps)], check=True, capture_output=True, cwd=CHECKOUT, env=environment())
    return changing(log, path)


def changing(log: str, path: str) -> list[Point]:
    """The calls of a trace that change something below a path, each with its number among all calls of its name."""
    counts: dict[str, int] = {}
    found = []
    with open(log, encoding="utf-8", errors="replace") as file:
        for line in file:
            match = _CALL.match(line)
            if match is None:
                continue
            name, rest = match.groups()
            counts[name] = counts.get(name, 0) + 1
            if path in rest and (name != "openat" or _WRITES.search(rest)):
                found.append(Point(name, counts[name], rest.replace(path, "")[:90].strip()))
    os.unlink(log)
    return found


def inject(path: str, steps: tuple[str, ...], point: Point, what: str) -> Answer:
    """Run with `signal=KILL` or `error=ENOSPC` at that call."""
    chosen = ["-e", f"trace={point.name}", "-e", f"inject={point.name}:{what}:when={point.number}"]
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", *chosen, *command(path, steps)],
        check=False, capture_output=True, text=True, cwd=CHECKOUT, env=environment(),
    )  # fmt: skip
    return Answer(done.returncode, done.stdout.splitlines(), done.stderr)


def plain(path: str, *steps: str) -> Answer:
    """The same without strace."""
    done = subprocess.run(
        command(path, steps), check=False, capture_output=True, text=True, cwd=CHECKOUT, env=environment()
    )
    return Answer(done.returncode, done.stdout.splitlines(), done.stderr)
