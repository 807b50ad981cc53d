"""Between the warden and the program: a process is made, put where it belongs, and becomes the program."""

from __future__ import annotations

import os
import signal
from typing import NoReturn

import msgspec

from lab.core.launch import Program
from lab.executors.limits import Cage
from lab.store import kernel

SIGNALS = tuple(range(1, 32))
_AS_SHELL = 128
_DEADLY = frozenset({
    signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGKILL, signal.SIGSEGV,
    signal.SIGTERM, signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
})  # fmt: skip


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A fence as it will stand: decided before the fork, entered between fork and exec."""

    said: str
    argv: tuple[str, ...] = ()  # words before those of the program
    writable: tuple[str, ...] = ()
    landlock: int = 0  # the version to be asked of the kernel; 0: not asked

    def enter(self) -> None:
        """Step inside. The calling process and all that it starts cannot step out again."""
        if self.landlock:
            from lab.executors import landlock  # noqa: PLC0415  # loaded before the fork, where the fence was decided

            landlock.enter(self.writable, self.landlock)


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be started, and in what."""

    program: Program
    cage: Cage
    fence: Raised | None = None
    ignored: tuple[int, ...] = ()  # signals that the lab is deaf to, and the program is not

    @property
    def argv(self) -> tuple[str, ...]:
        """The words of what is started: the program, or who starts it in its stead."""
        return (*self.fence.argv, *self.program.argv) if self.fence is not None else self.program.argv


def told_by_bwrap(code: int) -> int:
    """The end of the program that was started, as the kernel tells it: minus the signal where one killed it.

    bwrap tells of a signal as a shell does, by 128 more. A program that ended with such a number itself meant the same.
    """
    return _AS_SHELL - code if code - _AS_SHELL in _DEADLY else code


def spawned(start: Start, out: int, err: int) -> tuple[int, str]:
    """The cheap way: the pages of this process are lent to the child, and not copied."""
    program, argv = start.program, start.argv
    doing = f"started in {program.cwd}"
    try:
        os.chdir(program.cwd)
        doing = f"started: {argv[0]}"
        outputs = ((os.POSIX_SPAWN_DUP2, out, 1), (os.POSIX_SPAWN_DUP2, err, 2))
        files = ((os.POSIX_SPAWN_OPEN, 0, program.stdin, os.O_RDONLY, 0), *outputs)
        main = os.posix_spawn(
            argv[0], argv, program.environ, file_actions=files,
            setsid=True, setsigmask=(), setsigdef=SIGNALS,
        )  # fmt: skip
        os.chdir("/")  # what the run worked in can be taken away
    except (OSError, ValueError) as error:
        return 0, _refusal(doing, error)
    return main, ""


def forked(start: Start, out: int, err: int) -> tuple[int, str]:
    """The way for all that must be done between fork and exec."""
    hears, tells = os.pipe()
    try:
        main = os.fork()
    except OSError as error:
        return 0, _refusal("started", error)
    if main == 0:
        _become(start, out, err, tells)
    os.close(tells)
    refused = os.read(hears, 4096).decode(errors="replace")
    os.close(hears)
    if refused:
        os.waitpid(main, 0)
    return main, refused


def _become(start: Start, out: int, err: int, fault: int) -> NoReturn:
    """In the child: become the program, or say why not."""
    program, argv = start.program, start.argv
    doing = "prepared"
    try:
        os.setsid()
        if kernel.LINUX:
            kernel.die_with_parent(signal.SIGKILL)
        start.cage.enter()
        os.dup2(out, 1)
        os.dup2(err, 2)
        for number in start.ignored:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.dup2(os.open(program.stdin, os.O_RDONLY | os.O_CLOEXEC), 0)
        doing = f"started in {program.cwd}"
        os.chdir(program.cwd)
        if start.fence is not None:
            doing = f"fenced by {start.fence.said}"
            start.fence.enter()
        doing = f"started: {argv[0]}"
        os.execve(argv[0], argv, program.environ)  # noqa: S606  # no shell is the point
    except (OSError, ValueError) as error:
        os.write(fault, _refusal(doing, error).encode(errors="replace"))
    finally:
        os._exit(127)


def _refusal(doing: str, error: OSError | ValueError) -> str:
    said = error.strerror if isinstance(error, OSError) else str(error)
    return f"the program cannot be {doing}: {said}"
