"""The minder of a local job: a small process between it and the machine, which starts it and writes how it ended.

It is a fork of whoever released the job, out of the reach of their terminal: a Python of its own would cost each job as
much as the rest of its start. It adopts what the body leaves, so whatever the body started descends from it and is
ended with it; and the body ends when the minder is killed.
"""

from __future__ import annotations

import fcntl
import gc
import os
import select
import signal
import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, NoReturn

from lab.core.errors import Busy, LabError, Unavailable
from lab.core.job import CANCELLED, DONE, FAILED, NOT_HERE, TIME
from lab.engines.kept import ASKED, BEGUN, CANCEL, OVER, Begun, Ended
from lab.store import kernel, machine, processes
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.engines.kept import Asked, Folder

MARK = "LABCTL_JOB"  # in the environment of a job: which one it is
GRACE_S = 30.0  # that a body has between TERM and KILL: its run has a grace of its own in it, and is sealed
_LINGER_S = 3.0  # that what a body left has to end by itself: a run's warden must still write what it saw
_KILL_WITHIN_S = 5.0
_LOOK_EVERY_S = 1.0  # for a word that no signal brings
_AGAIN_S = 0.02
_BEGIN_WITHIN_MS = 30_000
_WRITE_TRIES = 30  # a second apart: a full disk may be emptied
_CANNOT_START = 127
_SIGNALS = frozenset(range(1, 32)) - {signal.SIGKILL, signal.SIGSTOP}
_ENDING = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT})
_BEGUN, _ANOTHER = b"+", b"-"


def argv(asked: Asked) -> tuple[str, ...]:
    """What is started: the body, or the shell that becomes it after the lines of its set-up."""
    if not asked.setup:
        return asked.argv
    return ("/bin/bash", "-c", "\n".join((*asked.setup, 'exec "$@"')), "sh", *asked.argv)


def start(folder: Folder, asked: Asked, environ: Mapping[str, str]) -> None:
    """Start a job, once: of several that try, one has it. Returns when it has begun. `Unavailable`."""
    kernel.load()  # before the fork: a child that is minder for a day should import nothing
    minder = _Minder(folder, asked, {**environ, **asked.environ, MARK: asked.number})
    hears, tells = os.pipe()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        child = os.fork()
        if child == 0:
            minder.detach(tells)
    except OSError as error:
        raise Unavailable(f"no process could be made for a job: {error.strerror}", fix="see: ulimit -u") from error
    finally:
        os.close(tells)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    try:
        told = _heard(hears)
    finally:
        os.close(hears)
        with suppress(ChildProcessError):  # whoever has no interest in their children has them reaped
            os.waitpid(child, 0)
    if told not in (_BEGUN, _ANOTHER) and not folder.has(asked.number, BEGUN):
        raise Unavailable(f"a job could not be started: {told.decode(errors='replace') or 'its minder was killed'}")


def _heard(hears: int) -> bytes:
    poll, told = select.poll(), b""
    poll.register(hears, select.POLLIN)
    while poll.poll(_BEGIN_WITHIN_MS):
        piece = os.read(hears, 4096)
        told += piece
        if not piece:
            return told
    return b"its minder does not answer"


class _Minder:
    """Made before the fork: nothing is to be looked for afterwards."""

    def __init__(self, folder: Folder, asked: Asked, environ: dict[str, str]) -> None:
        self._folder = folder
        self._asked = asked
        self._environ = environ
        self._argv = argv(asked)
        self._ending = ""
        self._kill_at_s = float("inf")
        self._status: int | None = None

    def detach(self, tells: int) -> NoReturn:
        """In the child: make the minder and go. It is nobody's child then, and leaves no zombie with the caller."""
        try:
            os.setsid()
            if os.fork() == 0:
                self._be(tells)
        except OSError as error:
            os.write(tells, str(error).encode())
        finally:
            os._exit(0)

    def _be(self, tells: int) -> None:
        gc.disable()  # a collection would touch, and so copy, every page that is shared with the caller
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish without telling how they ended
        tells = _settled(tells)
        if kernel.LINUX:
            kernel.call_itself(f"labctl: job {self._asked.name}")
            kernel.adopt_orphans(on=True)
        try:
            with hold(self._folder.place(self._asked.number, ASKED), wait_s=0):
                me = machine.this_process("local")
                if not self._folder.make(Begun(minder=me), self._asked.number, BEGUN):
                    os.write(tells, _ANOTHER)
                    return
                with suppress(OSError):  # whoever released it is gone: it was released
                    os.write(tells, _BEGUN)
                os.close(tells)
                self._see_through(me.host.partition("/")[0])
        except Busy:
            os.write(tells, _ANOTHER)
        except (OSError, LabError) as error:
            with suppress(OSError):
                os.write(tells, str(error).encode())

    def _see_through(self, where: str) -> None:
        """The whole of the job."""
        body, refused = self._started()
        if refused:
            ended = self._ended(FAILED, where, code=_CANNOT_START, why=refused)
        else:
            self._wait(body)
            left = self._sweep()
            ended = self._judged(where, left)
        for _ in range(_WRITE_TRIES):
            try:
                if os.path.isdir(self._folder.path):  # a lab that was removed must not come again
                    self._folder.make(ended, self._asked.number, OVER)
                return
            except (OSError, LabError):
                time.sleep(1)

    # -- the body -----------------------------------------------------------------------------------------------

    def _started(self) -> tuple[int, str]:
        """Its pid, or why there is none."""
        hears, fault = os.pipe()
        minder = os.getpid()
        body = os.fork()
        if body == 0:
            self._become(minder, fault)
        os.close(fault)
        refused = os.read(hears, 4096).decode(errors="replace")
        os.close(hears)
        if refused:
            os.waitpid(body, 0)
        return body, refused

    def _become(self, minder: int, fault: int) -> NoReturn:
        """In the child: be the body, or say why not."""
        asked = self._asked
        doing = f"what it prints cannot go to {asked.output}"
        try:
            os.setsid()
            if kernel.LINUX:
                kernel.die_with_parent(signal.SIGKILL)
                if os.getppid() != minder:
                    os._exit(_CANNOT_START)
            is_here = os.path.isdir(asked.root)
            with suppress(OSError) if not is_here else nullcontext():
                output = os.open(asked.output, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
                os.dup2(output, 1)
                os.dup2(output, 2)
            if not is_here:
                os.write(
                    2, f"the data root {asked.root} is not to be seen from here\n".encode(errors="surrogateescape")
                )
                os._exit(NOT_HERE)
            for number in _SIGNALS:
                if signal.getsignal(number) == signal.SIG_IGN:
                    signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            doing = f"it cannot be started in {asked.cwd}"
            os.chdir(asked.cwd)
            doing = f"it cannot be started: {self._argv[0]}"
            os.execve(self._argv[0], self._argv, self._environ)  # noqa: S606  # no shell is the point
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) else str(error)
            os.write(fault, f"{doing}: {said}".encode(errors="replace"))
        finally:
            os._exit(_CANNOT_START)

    def _wait(self, body: int) -> None:
        """Until the body has ended; asked to after its time, or when somebody says so."""
        ends_at_s = time.monotonic() + (self._asked.limit_s or float("inf"))
        self._reap(body)
        while self._status is None:
            now = time.monotonic()
            if not self._ending and now >= ends_at_s:
                self._end(body, TIME)
            elif not self._ending and self._folder.has(self._asked.number, CANCEL):
                self._end(body, CANCELLED)
            if now >= self._kill_at_s:
                processes.send(body, signal.SIGKILL)  # only the body: who minds a run in it sees to the rest
            until_s = self._kill_at_s if self._ending else ends_at_s
            heard = signal.sigtimedwait(_SIGNALS, min(max(until_s - now, _AGAIN_S), _LOOK_EVERY_S))
            if heard is not None and heard.si_signo in _ENDING and not self._ending:
                self._end(body, CANCELLED)
            self._reap(body)

    def _end(self, body: int, how: str) -> None:
        """Ask the body, and nobody else: it ends its run in the way that is right, and seals it."""
        self._ending = how
        self._kill_at_s = time.monotonic() + GRACE_S
        processes.send(body, signal.SIGTERM)
        processes.send(body, signal.SIGCONT)  # stopped, it could not hear it

    def _reap(self, body: int) -> bool:
        """Take note of who has ended. False when there is nobody left to end."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == body:
                self._status = status

    def _sweep(self) -> int:
        """End what the body left behind. Returns how many could not be ended."""
        kill_at_s = time.monotonic() + _LINGER_S
        while self._reap(0):
            now = time.monotonic()
            if now >= kill_at_s:
                left = processes.descendants(os.getpid())
                if now >= kill_at_s + _KILL_WITHIN_S:
                    return len(left)
                for number in (signal.SIGSTOP, signal.SIGKILL):  # what forks faster than we look would get away
                    for pid in left:
                        processes.send(pid, number)
            signal.sigtimedwait({signal.SIGCHLD}, _AGAIN_S)
        return 0

    # -- its end ------------------------------------------------------------------------------------------------

    def _judged(self, where: str, left: int) -> Ended:
        code = os.waitstatus_to_exitcode(self._status or 0)
        how = self._ending or (DONE if code == 0 else FAILED)
        if code < 0:
            why = f"ended by {signal.Signals(-code).name}" if -code in _names() else f"ended by signal {-code}"
            if code == -signal.SIGKILL and not self._ending:
                why += "; a machine that runs out of memory does that"
        else:
            why = f"exit code {code}" if code else ""
        if self._ending == TIME:
            why = f"it took longer than {self._asked.limit_s:.0f}s"
        if left:
            why = "; ".join(filter(None, (why, f"{left} of its processes cannot be ended")))
        return self._ended(DONE if code == 0 else how, where, code=code if code >= 0 else None, why=why)

    def _ended(self, how: str, where: str, *, code: int | None, why: str) -> Ended:
        asked = self._asked
        return Ended(name=asked.name, number=asked.number, how=how, at_s=time.time(), code=code, where=where, why=why)


def _names() -> set[int]:
    return {int(each) for each in signal.Signals}


def _settled(tells: int) -> int:
    """Without a file of the caller's: a lock that it holds must not live on here. Returns where the pipe is now."""
    tells = fcntl.fcntl(tells, fcntl.F_DUPFD_CLOEXEC, 3)  # the caller may have had no stdin, and the pipe its number
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    highest = tells
    with suppress(OSError):
        highest = max(map(int, os.listdir("/proc/self/fd")))
    os.closerange(3, tells)
    os.closerange(tells + 1, max(highest, tells) + 1)
    os.chdir("/")
    return tells
