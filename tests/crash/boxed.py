"""A command as a person types it, in a box: a home, a folder to work in, and a lab, that are nobody else's.

It runs in a forked process below one that outlives it, so that a machine that stops takes everything along that the
command has started, and so that a command that ends well leaves nobody behind.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING

from tests.crash import switch
from tests.crash.forks import Answer, called
from tests.crash.straced import CALLS, changing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.crash.straced import Point

_PR_SET_CHILD_SUBREAPER = 36
PATIENCE_S = 30.0
_SAME = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0", "LANG": "C.UTF-8"}  # it starts the same way every time
_CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
LAB, HOME, WORK = "lab", "home", "work"


def typed(box: str, words: Sequence[str], *, mode: str = "", at: int = 0) -> Answer:
    """`labctl` with these words; with a mode, under the switch."""
    place = f"{box}.switch"
    shutil.rmtree(place, ignore_errors=True)
    return called(_outlived, box, tuple(words), mode, at, place)


def killed(box: str, words: Sequence[str], point: Point) -> Answer:
    """The same as a real process, which gets kill -9 at a system call; whoever it started goes with it."""
    chosen = ("-e", f"trace={point.name}", "-e", f"inject={point.name}:signal=KILL:when={point.number}")
    return called(_program, box, ("strace", "-qq", "-o", "/dev/null", *chosen, *_real(words)))


def plainly(box: str, words: Sequence[str]) -> Answer:
    """The same, and nothing happens to it."""
    return called(_program, box, _real(words))


def points(box: str, words: Sequence[str]) -> list[Point]:
    """Every call of that process that changes something in the box, by its number among all calls of its name."""
    log = f"{box}.log"
    went = called(_program, box, ("strace", "-y", "-qq", "-s", "0", "-o", log, "-e", f"trace={CALLS}", *_real(words)))
    assert "Traceback" not in went.stderr, went
    return changing(log, box)


def _real(words: Sequence[str]) -> tuple[str, ...]:
    return (sys.executable, "-S", "-c", "from lab.cli.main import entry; entry()", *words)


def _program(box: str, words: tuple[str, ...]) -> int:
    """A program of the box, and nobody left of it."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    where = os.pathsep.join([_CHECKOUT, sysconfig.get_paths()["purelib"]])
    environ = {**os.environ, **_environ(box), "PYTHONPATH": where, **_SAME}
    process = subprocess.Popen(words, cwd=f"{box}/{WORK}", env=environ, stdin=subprocess.DEVNULL)
    code = process.wait()
    _ended(kill=True)
    return 128 - code if code < 0 else code


def stopped_before(box: str) -> str:
    return switch.struck(f"{box}.switch")


def steps_of(box: str) -> list[str]:
    return switch.steps(f"{box}.switch")


def make(box: str) -> None:
    for name in (HOME, WORK):
        os.makedirs(f"{box}/{name}")


def _outlived(box: str, words: tuple[str, ...], mode: str, at: int, place: str) -> int:
    """The process that outlives it: it inherits whoever is left alone, and ends them."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if mode:
        switch.set_up(place, mode, at)
    pid = os.fork()
    if pid == 0:
        os._exit(_command(box, words, place if mode else ""))
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    _learn(f"{box}.modules")
    is_dead = mode == switch.STOP and bool(switch.struck(place))
    left = _ended(kill=is_dead)
    if left:
        os.write(2, f"\nLEFT RUNNING: {left}\n".encode())
    return switch.STOPPED if is_dead else code


def _ended(*, kill: bool) -> list[str]:
    """Wait until nobody is left; whom it had to kill."""
    until_s = time.monotonic() + (0.0 if kill else PATIENCE_S)
    killed = []
    while True:
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
            if time.monotonic() > until_s:
                for each in switch.descendants(os.getpid()):
                    killed += [] if kill else [_words_of(each)]
                    with suppress(OSError):
                        os.kill(each, signal.SIGKILL)
                until_s += 1.0
            time.sleep(0.002)
            continue
        return killed


def _words_of(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read().replace("\0", " ")
    except OSError:
        return "(gone)"


def _command(box: str, words: tuple[str, ...], place: str) -> int:
    from lab.cli.main import main

    os.environ.update(_environ(box) | {"PYTHONPATH": os.pathsep.join([switch.SITE, _CHECKOUT])})
    os.chdir(f"{box}/{WORK}")
    if place:
        os.environ[switch.PLACE] = place
        switch.turn_on(place)
    else:
        os.environ.pop(switch.PLACE, None)
    known = set(sys.modules)
    try:
        code = main(list(words))
        sys.stdout.flush()
        sys.stderr.flush()
    except BaseException as error:  # noqa: BLE001  # `main` never raises; whatever does is told as what it is
        os.write(2, f"Traceback: {error!r}".encode())
        code = 70
    if not place:
        with open(f"{box}.modules", "w", encoding="utf-8") as file:
            file.write(
                "\n".join(each for each in set(sys.modules) - known if each.startswith(("lab.", "msgspec", "json")))
            )
    return code


def _environ(box: str) -> dict[str, str]:
    return {
        "HOME": f"{box}/{HOME}", "LAB_DATA_ROOT": f"{box}/{LAB}", "LABCTL_ACTOR": "ann", "PWD": f"{box}/{WORK}",
        "PATH": f"{box}/{HOME}/bin:{os.environ['PATH']}", "GIT_CONFIG_NOSYSTEM": "1",
    }  # fmt: skip


def _learn(place: str) -> None:
    """Load what the command had to load, so that those after it need not."""
    with suppress(FileNotFoundError), open(place, encoding="utf-8") as file:
        for name in file.read().split():
            with suppress(ImportError):
                import_module(name)
