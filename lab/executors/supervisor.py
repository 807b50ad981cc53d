"""The lab's side of a run: a warden is forked, watched, and its report read."""

from __future__ import annotations

import os
import select
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Corrupt, LabError
from lab.core.launch import INTERRUPTED, LIMIT, Exit
from lab.core.record import parse
from lab.executors import limits as limiting
from lab.executors import warden
from lab.executors.starting import SIGNALS
from lab.executors.tree import GROUP, NAMESPACE, SUBREAPER
from lab.executors.warden import Job, Order, Warden
from lab.store import kernel, processes

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.launch import Limits, Program, Stop
    from lab.executors.gpu import Meter
    from lab.executors.limits import Cage
    from lab.store.files import Files

LEVELS = (NAMESPACE, SUBREAPER, GROUP)
_PATIENCE_S = 30.0  # beyond budget and grace: what a warden needs to sweep and to write on a slow disk
_PIECE_BYTES = 1 << 16


def supervise(  # noqa: PLR0913  # the run, where it lies, and how it is watched
    files: Files,
    program: Program,
    limits: Limits,
    *,
    path: str,
    run_id: str,
    watch: Callable[[], Stop | None],
    every_s: float = 0.25,
    confinement: str = "auto",
) -> Exit:
    """Run a program to its end, inside its limits, and say how it ended.

    `watch` is asked every `every_s`; a `Stop` ends the run. When it raises, the run is killed at once and what it
    raised goes on. Never called from several threads at a time: it forks.
    """
    if confinement not in ("auto", *LEVELS):
        raise BadInput(f"there is no confinement {confinement!r}", fix=f"use auto, {', '.join(LEVELS)}")
    kernel.load()
    levels = LEVELS if confinement == "auto" else (confinement,)
    if not kernel.LINUX:
        levels = (GROUP,)
    fence = None
    if program.fence is not None:
        from lab.executors import fence as fencing  # noqa: PLC0415  # only what a candidate started is fenced

        try:
            fence = fencing.raised(program)
        except LabError as refusal:
            return Exit(run_id=run_id, started=False, problem=refusal.what)
    cage = limiting.cage(limits)
    try:
        for how in levels:
            job = Job(program=program, limits=limits, path=path, run_id=run_id, how=how, fence=fence)
            found = _Watch(files, job, cage).over(watch, every_s)
            if found is not None:
                return found
    finally:
        cage.remove()
    return Exit(run_id=run_id, started=False, problem=f"this machine cannot confine a run by {confinement}")


class _Watch:
    """One warden, from its fork to its last word."""

    def __init__(self, files: Files, job: Job, cage: Cage) -> None:
        self._files = files
        self._job = job
        self._cage = cage
        self._said = b""
        self._stop_told = False
        self._meter: Meter | None = None

    def over(self, watch: Callable[[], Stop | None], every_s: float) -> Exit | None:
        """The whole of it; None when the run could not be confined so and did not begin."""
        adopting = self._job.how == SUBREAPER
        before = kernel.adopt_orphans(on=True) if adopting else False
        ours = _children() if adopting and _has_children() else set()
        try:
            if not self._fork():
                return None
            self._begun_s = time.monotonic()
            try:
                self._follow(watch, every_s)
            except BaseException:
                self._order(Order(how=INTERRUPTED, why="the lab was interrupted", at_once=True))
                self._listen()
                raise
            finally:
                code = self._put_away()
                if adopting and not self._said:
                    _sweep(ours)
            found = self._read(code)
            return _with_all(found, watch()) if found is not None and code == warden.TOLD_TOO else found
        finally:
            if adopting and not before:
                kernel.adopt_orphans(on=False)

    def _fork(self) -> bool:
        """Fork the warden; all signals wait until it has settled in, or a Ctrl-C would run the lab's handlers in it."""
        hears, self._orders = os.pipe()
        self._report, tells = os.pipe()
        home = -1
        ready, highest = Warden(self._files, self._job, self._cage), _highest_descriptor()
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        try:
            if self._job.how == NAMESPACE:
                home = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
                kernel.unshare(kernel.CLONE_NEWPID)
            self._pid = os.fork()
            if self._pid == 0:
                ready.be(hears, tells, highest)
        except OSError:
            for descriptor in (self._orders, self._report):
                os.close(descriptor)
            if self._job.how == NAMESPACE:
                return False
            raise
        finally:
            if home >= 0:
                with suppress(OSError):
                    kernel.setns(home, kernel.CLONE_NEWPID)
                os.close(home)
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            os.close(hears)
            os.close(tells)
        return True

    def _follow(self, watch: Callable[[], Stop | None], every_s: float) -> None:
        poll = select.poll()
        poll.register(self._report, select.POLLIN)
        limits = self._job.limits
        patience_s = limits.budget_s + limits.grace_s + _PATIENCE_S
        while not poll.poll(every_s * 1e3):
            if self._job.how != NAMESPACE:
                processes.send(self._pid, signal.SIGCONT)  # the run may have stopped its warden, and the clock with it
            if time.monotonic() - self._begun_s > patience_s:
                processes.send(self._pid, signal.SIGKILL)
            self._look_at_gpus()
            stop = None if self._stop_told else watch()
            if stop is not None:
                self._stop_told = True
                self._order(Order(how=stop.how, why=stop.why, at_once=stop.at_once))
        self._listen()

    def _look_at_gpus(self) -> None:
        if self._meter is None:
            from lab.executors.gpu import Meter  # noqa: PLC0415  # most runs end before the first look

            self._meter = Meter()
        self._meter.look(self._pid)

    def _order(self, order: Order) -> None:
        with suppress(BrokenPipeError):  # it has just ended
            os.write(self._orders, msgspec.json.encode(order) + b"\n")

    def _listen(self) -> None:
        while data := os.read(self._report, _PIECE_BYTES):
            self._said += data

    def _put_away(self) -> int:
        os.close(self._orders)
        os.close(self._report)
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])
        except ChildProcessError:  # somebody made this process ignore the end of its children
            return 0

    def _read(self, code: int) -> Exit | None:
        if code == warden.CANNOT_CONFINE:
            return None
        try:
            found = parse(Exit, self._said, "the report of the supervising process")
        except Corrupt:
            from lab.executors import leftovers  # noqa: PLC0415  # for this only

            leftovers.end(self._job.path)
            wall_s = round(time.monotonic() - self._begun_s, 6)
            problem = f"the process that supervised the run was ended ({code})"
            return Exit(run_id=self._job.run_id, problem=problem, wall_s=wall_s, confined=self._job.how)
        peak = self._meter.peak_mb() if self._meter else None
        if peak is None:
            return found
        return msgspec.structs.replace(found, usage=msgspec.structs.replace(found.usage, gpu_peak_memory_mb=peak))


def _with_all(found: Exit, word: Stop | None) -> Exit:
    """The end of a run whose lab, warden and program were all told to end at once, by an engine or by an outer run.

    The program heard it before the lab could pass it on: it was interrupted, and did not fail, nor come to its end.
    """
    if found.stopped or word is None or word.how not in (INTERRUPTED, LIMIT):
        return found
    return msgspec.structs.replace(found, stopped=word.how, why=word.why)


def _highest_descriptor() -> int:
    """Asked before the fork, where it costs less; with some room for what another thread may open until then."""
    try:
        return max(map(int, os.listdir("/proc/self/fd"))) + 64
    except OSError:
        return os.sysconf("SC_OPEN_MAX")


def _has_children() -> bool:
    """One call of the kernel; to look for them is one for every process of the machine."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True


def _children() -> set[int]:
    own = os.getpid()
    return {pid for pid, (parent, _) in processes.parents().items() if parent == own}


def _sweep(ours: set[int]) -> None:
    """End and reap what came to this process when the warden was killed. What it had before is not touched."""
    for _ in range(1000):
        strangers = _children() - ours
        if not strangers:
            return
        for pid in strangers:
            for each in (*processes.descendants(pid), pid):
                processes.send(each, signal.SIGKILL)
        for pid in strangers:
            with suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(0.001)
