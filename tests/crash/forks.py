"""A step of the drive in a forked child: 5 ms instead of the 150 ms of a new interpreter.

It is forked by a small process that is there for nothing else. A worker of pytest that has run many tests holds a
gigabyte, and each fork of it costs more than what the child does.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pickle
import struct
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from tests.crash.driver import drive, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.store.files import Files

_CHECKOUT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct("!I")
BOOT = "LABCTL_CRASH_BOOT"  # a file: what children are to take for the boot of the machine
_BOOT_ID = b"/proc/sys/kernel/random/boot_id"
_NEW_MOUNTS, _BIND, _PRIVATE = 0x20000, 0x1000, 0x44000  # of unshare and mount


class Answer(NamedTuple):
    """How a child ended, the lines it told, and its complaint."""

    code: int
    lines: list[str]
    stderr: str


class _Asked(NamedTuple):
    call: Callable[..., int]
    given: tuple[object, ...]
    environ: Mapping[str, str]
    cwd: str


def child(path: str, *steps: str, writer: Files | None = None, then: tuple[str, ...] = ()) -> Answer:
    """Drive in a process of its own, whose death is all that this one sees of it.

    `then` are steps that the same process goes on with, however the first ones ended; the code is theirs.
    """
    return called(_driven, path, steps, writer, then)


def _driven(path: str, steps: tuple[str, ...], writer: Files | None, then: tuple[str, ...]) -> int:
    code = drive(path, list(steps), say, writer)
    return drive(path, list(then), say) if then else code


def called(call: Callable[..., int], *given: object) -> Answer:
    """The same with a function of a module of tests, which ends with what it returns. Pickled: both, and the writer."""
    to, of = _forking()
    _put(to, _Asked(call, given, dict(os.environ), os.getcwd()))
    answer = _take(of)
    assert isinstance(answer, Answer), "the process that forks is gone"
    return answer


# -- the process that forks -----------------------------------------------------------------------------------------


@cache
def _forking() -> tuple[IO[bytes], IO[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.crash.forks"], cwd=_CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def end(to: IO[bytes] = process.stdin, of: IO[bytes] = process.stdout) -> None:
        to.close()
        of.close()
        process.wait()

    atexit.register(end)
    return process.stdin, process.stdout


def _put(to: IO[bytes], what: object) -> None:
    data = pickle.dumps(what)
    to.write(_LENGTH.pack(len(data)) + data)
    to.flush()


def _take(of: IO[bytes]) -> object:
    """The next object; None at the end."""
    length = of.read(_LENGTH.size)
    return pickle.loads(of.read(_LENGTH.unpack(length)[0])) if len(length) == _LENGTH.size else None  # noqa: S301  # of our own child


def _serve() -> None:
    """Fork as often as it is asked to. What a child had to import is here before the next one needs it."""
    asks, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(2, 1)
    while isinstance(asked := _take(asks), _Asked):
        with tempfile.TemporaryFile() as told, tempfile.TemporaryFile() as complaint, tempfile.TemporaryFile() as used:
            pid = os.fork()
            if pid == 0:
                _call(asked, told.fileno(), complaint.fileno(), used.fileno())
            code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
            for each in (told, complaint, used):
                each.seek(0)
            _put(answers, Answer(code, told.read().decode().splitlines(), complaint.read().decode()))
            for name in used.read().decode().split():
                with suppress(ImportError):  # what an extension makes by itself is in no file
                    import_module(name)


def _call(asked: _Asked, told: int, complaint: int, used: int) -> None:
    """The child. It does not come back."""
    code = 70
    try:
        known = set(sys.modules)
        os.environ.clear()
        os.environ.update(asked.environ)
        os.chdir(asked.cwd)
        os.dup2(told, 1)
        os.dup2(complaint, 2)
        if boot := os.environ.pop(BOOT, ""):
            _restarted(boot)
        code = asked.call(*asked.given)
        os.write(used, "\n".join(each for each in set(sys.modules) - known).encode())
    except BaseException:  # noqa: BLE001  # a child must never go on as a second one that forks
        os.write(2, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _restarted(boot: str) -> None:
    """See another boot of the machine, as does whoever is started from here. It takes mounts of its own, and root."""
    libc = ctypes.CDLL(None, use_errno=True)
    refused = libc.unshare(_NEW_MOUNTS)
    refused = refused or libc.mount(None, b"/", None, _PRIVATE, None)
    if refused or libc.mount(os.fsencode(boot), _BOOT_ID, None, _BIND, None):
        raise OSError(ctypes.get_errno(), "no other boot of the machine can be shown here")


if __name__ == "__main__":
    import_module("tests.crash.forks")._serve()  # under the name that what is pickled goes by
