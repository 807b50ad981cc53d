"""One verb in a large lab: typed as a process of its own, and what that took.

The process is started by a small one, which the figures are read from: a child takes over the peak memory of whoever
started it, and a verb that is smaller than this program would be told as large as that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from scripts.bench import gauge

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Act = Callable[["Box"], object]
    Words = tuple[str, ...] | Callable[["Box"], tuple[str, ...]]

LABCTL = os.path.join(gauge.CHECKOUT, "scripts", "labctl.py")
PATIENCE_S = 600.0
TOLD = 1_500  # characters of what a command that went wrong said
CRONTAB = """\
#!/bin/sh
place="$HOME/crontab"
case "$1" in
  -l) test -f "$place" && cat "$place" || { echo "no crontab for me" >&2; exit 1; } ;;
  -) cat > "$place" ;;
  *) cat "$1" > "$place" ;;
esac
"""
# argv: where the figures go, then the command. /proc/PID/io of one that has ended is there until it is waited for.
STARTER = """\
import json, os, sys
pid = os.posix_spawn(sys.argv[2], sys.argv[2:], os.environ)
with open(sys.argv[1] + ".pid", "w") as file:
    file.write(str(pid))
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
try:
    with open("/proc/%d/io" % pid) as file:
        told = dict(line.split(": ") for line in file.read().splitlines())
except OSError:
    told = {"rchar": 0, "wchar": 0}
_, status, used = os.wait4(pid, 0)
with open(sys.argv[1], "w") as file:
    json.dump({"code": os.waitstatus_to_exitcode(status), "cpu_s": used.ru_utime + used.ru_stime,
               "peak_mb": used.ru_maxrss / 1024, "read": int(told["rchar"]), "written": int(told["wchar"])}, file)
"""


@dataclass(frozen=True, kw_only=True)
class Took:
    """What one command took, its children included, and what it said."""

    code: int
    cpu_s: float
    wall_s: float
    peak_mb: float
    read: int
    written: int
    out: str
    err: str


@dataclass(frozen=True, kw_only=True)
class Row:
    """One way to type a verb. `key` is the verb with its sub-verb, as the manifest names them."""

    key: str
    words: Words
    kind: str
    about: str = ""
    before: Act | None = None  # nobody measures this
    ok: tuple[int, ...] = (0,)
    until: str = ""  # a server: it is interrupted once this file is there
    after: Act | None = None
    also: tuple[str, ...] = field(default=())  # words that it has to say

    @property
    def name(self) -> str:
        return f"{self.key} ({self.about})" if self.about else self.key


class Box:
    """A lab, a folder to work in, and a home, that are nobody else's."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.lab, self.work, self.home = (f"{folder}/{name}" for name in ("lab", "work", "home"))
        self.going: list[subprocess.Popen[bytes]] = []
        for each in (self.work, f"{self.home}/bin"):
            os.makedirs(each, exist_ok=True)
        self.write(f"{self.home}/bin/crontab", CRONTAB)
        os.chmod(f"{self.home}/bin/crontab", 0o700)
        git = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
        config = {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
        path = os.pathsep.join((f"{self.home}/bin", os.environ.get("PATH", os.defpath)))
        # What a verb loads is compiled beside the sources, as it is where labctl is installed.
        self.environ = gauge.environment(HOME=self.home, PATH=path, LAB_DATA_ROOT=self.lab, **git, **config)

    def write(self, name: str, text: str) -> str:
        path = os.path.join(self.work, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def type(self, *words: str, ok: Sequence[int] = (0,)) -> str:
        """A command that prepares; what it printed."""
        done = subprocess.run(
            self._command(words), cwd=self.work, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        if done.returncode not in ok:
            raise RuntimeError(f"labctl {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout

    def start(self, *words: str) -> None:
        """One that goes on meanwhile."""
        self.going.append(
            subprocess.Popen(
                self._command(words), cwd=self.work, env=self.environ, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )
        )  # fmt: skip

    def ended(self) -> None:
        """Those that went on are waited for."""
        while self.going:
            self.going.pop().wait(timeout=PATIENCE_S)

    def shell(self, text: str) -> None:
        """What a person types there."""
        subprocess.run(
            ["/bin/sh", "-c", text], cwd=self.work, env=self.environ, stdin=subprocess.DEVNULL, capture_output=True,
            check=True,
        )  # fmt: skip

    def python(self, text: str, *words: str) -> None:
        """In a process of its own."""
        subprocess.run([sys.executable, "-c", text, *words], cwd=gauge.CHECKOUT, env=self.environ, check=True)

    def took(self, row: Row) -> Took:
        """Type it."""
        words = row.words(self) if callable(row.words) else row.words
        figures = f"{self.folder}/figures.json"
        command = [sys.executable, "-I", "-S", "-c", STARTER, figures, *self._command(words)]
        begun_s = time.monotonic()
        with subprocess.Popen(
            command, cwd=self.work, env=self.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="replace",
        ) as process:  # fmt: skip
            if row.until:
                self._interrupted(process, figures, row.until)
            out, err = process.communicate(timeout=PATIENCE_S)
        wall_s = time.monotonic() - begun_s
        with open(figures, encoding="ascii") as file:
            told = json.load(file)
        os.unlink(figures)
        return Took(wall_s=wall_s, out=out, err=err, **told)

    def _interrupted(self, process: subprocess.Popen[str], figures: str, until: str) -> None:
        give_up_s = time.monotonic() + PATIENCE_S
        while not os.path.exists(os.path.join(self.work, until)):
            if process.poll() is not None or time.monotonic() > give_up_s:
                return
            time.sleep(0.05)
        with open(f"{figures}.pid", encoding="ascii") as file:
            os.kill(int(file.read()), signal.SIGINT)

    def _command(self, words: Sequence[str]) -> list[str]:
        return [sys.executable, LABCTL, *words]

    def runs(self, experiment: str) -> list[str]:
        return sorted(os.listdir(f"{self.lab}/experiments/{experiment}/runs"))

    def package(self) -> str:
        """The id of the one package that is under way."""
        for stage in ("ready", "running", "complete"):
            for name in sorted(os.listdir(f"{self.lab}/dispatch/{stage}")):
                if name.startswith("DISPATCH-"):
                    return name.split("@")[0]
        raise RuntimeError("there is no package")
