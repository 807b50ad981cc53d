"""The process between the lab and a run: it starts the program, holds it to its limits, and writes down how it ended.

Forked, not started anew, and deaf to the terminal. All that must hold while the lab is stopped or killed happens here;
it ends by `os._exit` alone, so that nothing of the lab's own is tidied up twice.
"""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING, NoReturn

import msgspec

from lab.core import layout
from lab.core.errors import LabError
from lab.core.launch import MEMORY, ORPHANED, TIMEOUT, Exit, Limits, Program
from lab.core.manifest import Usage
from lab.core.record import encode
from lab.executors import starting
from lab.executors.capture import Capture
from lab.executors.limits import Surroundings
from lab.executors.starting import SIGNALS, Raised, Start
from lab.executors.tree import GROUP, NAMESPACE, SUBREAPER, Tree, memory_bytes
from lab.store import kernel
from lab.store.log import RunLog, draft_of, is_sealed, put

if TYPE_CHECKING:
    from lab.executors.limits import Cage
    from lab.store.files import Files

CANNOT_CONFINE = 71  # the exit code that asks the parent to try the next weaker confinement
TOLD_TOO = 72  # the exit code of a warden that was itself told to end, as was whatever it saw to
_PIECE_BYTES = 1 << 16
_TO_END = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
_FIRST_LOOK_S, _LOOK_EVERY_S = 0.05, 0.5
_WHILE_ENDING_S = 0.02
_END_WITHIN_S = 5.0
_MB = 1 << 20


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the warden is to see to."""

    program: Program
    limits: Limits
    path: str
    run_id: str
    how: str
    fence: Raised | None = None


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the lab tells the warden while the run goes on."""

    how: str
    why: str = ""
    at_once: bool = False


class _End(msgspec.Struct):
    """How the main program ended, once it has."""

    status: int = -1
    wall_s: float = 0.0


def _settle_in(orders: int, report: int, highest: int) -> None:
    """Out of the terminal's reach, without a file of the parent's: a lock that it holds must not live on here.

    The signals stay blocked: a handler of the lab's must not run here, and nothing but KILL and STOP is to be heard.
    """
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, children would vanish without telling how they ended
    nothing = os.open(os.devnull, os.O_RDWR)  # nothing is written to it
    for descriptor in (0, 1, 2):
        os.dup2(nothing, descriptor)
    first = 3
    for kept in sorted((orders, report)):
        os.closerange(first, kept)
        first = kept + 1
    os.closerange(first, highest + 1)


class Warden:
    """Made before the fork: what it is made of then lies in pages that need not be copied to be written to."""

    def __init__(self, files: Files, job: Job, cage: Cage) -> None:
        self._files = files
        self._job = job
        self._cage = cage
        self._around = Surroundings()
        self._exit = f"{job.path}/{layout.EXIT}"
        self._draft = draft_of(self._exit)
        # Where the kernel ends the whole tree with its first process, nothing need be done between fork and exec.
        self._forks = job.how != NAMESPACE or bool(cage.folders() or cage.cores or (job.fence and job.fence.landlock))
        ignored = [n for n in SIGNALS if signal.getsignal(n) is signal.SIG_IGN] if self._forks else []
        self._begin = Start(program=job.program, fence=job.fence, cage=cage, ignored=tuple(ignored))
        self._logs = [RunLog(files, f"{job.path}/{name}") for name in (layout.STDOUT, layout.STDERR)]
        program, limits = job.program, job.limits
        self._captures = [Capture(log, limits.output_bytes, program.secrets) for log in self._logs]
        self._streams: dict[int, Capture] = {}
        self._poll = select.poll()
        self._end: _End | None = None
        self._stopped = self._why = self._problem = ""
        self._kill_at_s = self._give_up_at_s = float("inf")
        self._cpu_s = 0.0
        self._peak = 0
        self._floor_kb = 0

    def be(self, orders: int, report: int, highest: int) -> NoReturn:
        """Be the warden of one run. Called in the child of a fork, with all signals blocked.

        `highest` is a descriptor above which there is none.
        """
        code = 70
        try:
            gc.disable()  # a collection would touch, and so copy, every page that is shared with the parent
            _settle_in(orders, report, highest)
            self._orders = orders
            try:
                if self._job.how == NAMESPACE:
                    kernel.mount_proc()
                elif self._job.how == SUBREAPER:
                    kernel.adopt_orphans(on=True)
            except OSError:
                code = CANNOT_CONFINE
                return  # type: ignore[misc]  # through the `finally`, which does not return
            told = self._written(self.see_through())
            with suppress(OSError):  # the lab is gone: it reads the file
                os.write(report, told)
            code = TOLD_TOO if signal.sigpending() & _TO_END else 0
        finally:
            os._exit(code)

    def see_through(self) -> Exit:
        """The whole of the run."""
        self._begun_s = time.monotonic()
        refused = self._start()
        if refused:
            self._cage.remove()
            return Exit(run_id=self._job.run_id, started=False, problem=refused, confined=self._job.how)
        while not self._is_over():
            self._wait()
        self._sweep()
        self._drain()
        return self._told()

    def _written(self, found: Exit) -> bytes:
        """The last word, put down before the lab hears it: what it was told, it may forget."""
        text = encode(found)
        if is_sealed(self._job.path):  # somebody took the run and has said how it ended; nothing is added to that
            return text
        try:
            # A run may have deleted its folder. One that went with all around it is on a disk that is to come back.
            os.stat(os.path.dirname(self._job.path))
            put(self._files, self._draft, self._exit, text)
        except (OSError, LabError) as error:
            problem = "; ".join(filter(None, (found.problem, f"{layout.EXIT} could not be written: {error}")))
            return encode(msgspec.structs.replace(found, problem=problem))
        return text

    # -- starting -----------------------------------------------------------------------------------------------

    def _start(self) -> str:
        """Start the program; the reason when that cannot be."""
        out, err = os.pipe(), os.pipe()
        self._floor_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = starting.forked if self._forks else starting.spawned
        main, refused = start(self._begin, out[1], err[1])
        for writing in (out[1], err[1]):
            os.close(writing)
        if refused:
            return refused
        self._tree = Tree(self._job.how, main, deputy=bool(self._job.fence and self._job.fence.argv))
        for reading, capture in ((out[0], self._captures[0]), (err[0], self._captures[1])):
            os.set_blocking(reading, False)
            self._streams[reading] = capture
            self._poll.register(reading, select.POLLIN)
        self._poll.register(self._orders, select.POLLIN)
        self._main_fd = -1
        with suppress(OSError, AttributeError):  # an old kernel, another system: looked at from time to time
            self._main_fd = os.pidfd_open(main)
            self._poll.register(self._main_fd, select.POLLIN)
        self._look_at_s = time.monotonic() + _FIRST_LOOK_S
        return ""

    # -- while it runs ------------------------------------------------------------------------------------------

    def _wait(self) -> None:
        """Until something happens, or a time comes."""
        now = time.monotonic()
        times = [self._look_at_s, self._kill_at_s, self._give_up_at_s]
        if not self._stopped:
            times.append(self._begun_s + self._job.limits.budget_s)
        if self._stopped or self._main_fd < 0:
            times.append(now + _WHILE_ENDING_S)
        left_ms = max(0.0, min(times) - now) * 1e3
        for descriptor, _ in self._poll.poll(min(left_ms + 0.999, 1e6)):
            if descriptor in self._streams:
                self._read(descriptor)
            elif descriptor == self._orders and self._end is None:
                self._reap()  # before the order: a run that has ended by itself has ended by itself
                self._hear()
        self._reap()
        self._look()

    def _read(self, descriptor: int) -> bool:
        """One piece of a stream. False when there is nothing now, or never again."""
        try:
            data = os.read(descriptor, _PIECE_BYTES)
        except BlockingIOError:
            return False
        if data:
            self._streams[descriptor].take(data)
            return True
        self._poll.unregister(descriptor)
        del self._streams[descriptor]
        os.close(descriptor)
        return False

    def _hear(self) -> None:
        """An order, or the silence of a lab that has died."""
        data = os.read(self._orders, _PIECE_BYTES)
        if self._end is not None:
            self._poll.unregister(self._orders)
            return
        if not data:
            self._poll.unregister(self._orders)
            self._stop(Order(how=ORPHANED, why="the labctl that started it is gone", at_once=True))
            return
        for line in data.splitlines():
            self._stop(msgspec.json.decode(line, type=Order))

    def _stop(self, order: Order) -> None:
        if not self._stopped:
            self._stopped, self._why = order.how, order.why
            self._kill_at_s = time.monotonic() + self._job.limits.grace_s
            if not order.at_once:
                self._tree.ask()
        if order.at_once:
            self._kill_at_s = 0.0

    def _look(self) -> None:
        """What the clock and the meters say."""
        now = time.monotonic()
        if self._end is None and not self._stopped and now - self._begun_s > self._job.limits.budget_s:
            self._stop(Order(how=TIMEOUT, why=f"it took longer than its {self._job.limits.budget_s:g} s"))
        if now >= self._look_at_s:
            self._look_at_s = now + min(max(now - self._begun_s, _FIRST_LOOK_S), _LOOK_EVERY_S)  # short runs more often
            self._weigh()
        if now >= self._kill_at_s:
            self._tree.kill()
            if self._give_up_at_s == float("inf"):
                self._give_up_at_s = now + _END_WITHIN_S

    def _weigh(self) -> None:
        if not kernel.LINUX:
            return
        limit_mb = self._job.limits.memory_mb
        pids = self._tree.left()
        held = memory_bytes(pids)
        over = bool(limit_mb) and not self._cage.memory and held > (limit_mb or 0) * _MB
        if over:  # shared pages were counted more than once; the exact sum is dear, so only now
            held = memory_bytes(pids, exact=True)
            over = held > (limit_mb or 0) * _MB
        self._peak = max(self._peak, held)
        if (over or self._cage.ran_out()) and not self._stopped:
            self._stop(Order(how=MEMORY, why=f"it used more than its {limit_mb} MB of memory", at_once=True))

    def _reap(self) -> bool:
        """Take note of who has ended. False when there is nobody left to end."""
        while True:
            try:
                pid, status, used = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            self._cpu_s += used.ru_utime + used.ru_stime
            if used.ru_maxrss > self._floor_kb * 1.05:  # below that it is what the program had of us before exec
                self._peak = max(self._peak, used.ru_maxrss << 10)
            if pid == self._tree.main:
                self._has_ended(status)

    def _has_ended(self, status: int) -> None:
        wall_s = time.monotonic() - self._begun_s
        self._end = _End(status=status, wall_s=wall_s)
        if self._main_fd >= 0:
            self._poll.unregister(self._main_fd)
        if not self._stopped and wall_s > self._job.limits.budget_s:
            self._stopped, self._why = TIMEOUT, f"it took {wall_s:.3g} s of its {self._job.limits.budget_s:g} s"
            self._kill_at_s = 0.0

    def _is_over(self) -> bool:
        """Ended by itself: at once, whatever it left. Told to end: the rest of the tree has its grace too."""
        now = time.monotonic()
        if now >= self._give_up_at_s:
            return True
        return self._end is not None and (not self._stopped or now >= self._kill_at_s or not self._reap())

    # -- afterwards ---------------------------------------------------------------------------------------------

    def _sweep(self) -> None:
        """End whatever is left, and see that it is."""
        deadline = time.monotonic() + _END_WITHIN_S
        if self._job.how == GROUP:
            self._tree.kill()
        while self._reap():  # what has lost its parent is a child of this process, so no child means nobody
            self._tree.kill()
            if time.monotonic() > deadline:
                shown = ", ".join(map(str, self._tree.left()[:5]))
                self._problem = f"processes of the run cannot be ended (pid {shown})"
                return
            time.sleep(0.001)

    def _drain(self) -> None:
        """What the pipes still hold. Bounded: they are not waited for."""
        for descriptor in list(self._streams):
            while self._read(descriptor):
                pass

    def _told(self) -> Exit:
        ended = self._end or _End(wall_s=time.monotonic() - self._begun_s)
        out, err = (capture.finish() for capture in self._captures)
        self._peak = max(self._peak, self._cage.peak_bytes())
        code = os.waitstatus_to_exitcode(ended.status) if self._end is not None else None
        if code is not None and self._job.fence is not None and self._job.fence.argv:
            code = starting.told_by_bwrap(code)
        if code and not self._stopped and self._cage.ran_out():
            self._stopped, self._why = MEMORY, f"it used more than its {self._job.limits.memory_mb} MB of memory"
        if code == -signal.SIGKILL and not self._stopped and self._around.ran_out():
            self._stopped, self._why = MEMORY, "it was killed where it ran out of memory: ask for more of it"
        self._cage.remove()
        plain, number = (None, -code) if code is not None and code < 0 else (code, None)
        usage = Usage(
            cpu_s=round(self._cpu_s, 6),
            peak_memory_mb=round(self._peak / _MB, 3) if self._peak else None,
            exit_code=plain,
            exit_signal=number,
            stdout_bytes=out.total,
            stderr_bytes=err.total,
            confined=self._job.how + self._cage.words(self._job.limits),
        )
        problems = [self._problem, *(log.problem for log in self._logs)]
        return Exit(
            run_id=self._job.run_id, problem="; ".join(filter(None, problems)), code=plain, signal=number,
            stopped=self._stopped, why=self._why, wall_s=round(ended.wall_s, 6), usage=usage, stdout=out, stderr=err,
            confined=self._job.how, fenced=self._job.fence.said if self._job.fence else "",
        )  # fmt: skip
