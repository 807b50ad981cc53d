"""The engine `local`: detached bodies on this machine. They outlive the terminal that started them, and no daemon.

It reserves nothing: what a class asks of processors, memory and GPUs is asked of nobody here, as in the process itself;
`max_in_flight` is its limit. A job lives on the machine on which it was released, and no longer than that is up.
Another machine that shares the data root sees such a job, cannot know how it is, and can ask it to end.
"""

from __future__ import annotations

import math
import os
import signal
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import time_limit
from lab.core.errors import Unavailable
from lab.core.job import CANCELLED, HELD, LOST, OVER, RUNNING, Report
from lab.engines import kept, minder
from lab.engines.door import Refused
from lab.engines.kept import Asked, Begun, Ended, Folder
from lab.store import machine, processes
from lab.store.refusals import refused
from lab.store.sections import is_held

if TYPE_CHECKING:
    from lab.core.claim import Owner
    from lab.engines.door import Ground, Placement

KEEP_S = 3_600.0  # that an ended job is known
_MARGIN_S = 60.0  # that a body has beyond its budget: its own supervisor keeps the second
_MINDER_GONE = "its minder is gone"  # and cannot say any more how it ended
_FOREIGN = ("partition", "account", "qos", "options", "address")  # what only other engines understand


class Local:
    """A folder of small files, a minder for each job that runs, and nothing else."""

    hands_on = True
    forgets_after_s = 60.0  # how old a listing of a shared folder may be

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}  # files that never change, read once: a burst looks once a second
        self._ended: dict[str, Ended] = {}

    def submit(self, job: Placement, ground: Ground) -> str:
        """Write it down. Nothing runs, and nothing will, until it is released."""
        foreign = [name for name in _FOREIGN if getattr(job.wants, name)]
        if foreign:
            raise Refused(
                f"the engine local has no {', '.join(foreign)}",
                fix="take it out of the row of this class in engines.yaml, or name another engine there",
            )
        number = f"{int(time.time()):x}-{os.urandom(6).hex()}"  # processes are ended by it: no other lab may have it
        asked = Asked(
            name=job.name, number=number, by=machine.this_process("local"), argv=job.argv, cwd=job.cwd, root=job.root,
            output=job.output, limit_s=_limit_s(job), environ=dict(job.environ), setup=job.wants.setup,
        )  # fmt: skip
        try:
            if not self._folder(ground).make(asked, number, kept.ASKED):
                raise Unavailable(f"two jobs drew the number {number}", fix="try again")
        except OSError as error:
            raise refused(error) from error
        return number

    def release(self, number: str, ground: Ground) -> None:
        """Start it, on this machine and in these surroundings: no variable of theirs is ever written down."""
        folder = self._folder(ground)
        if folder.has(number, kept.BEGUN) or folder.has(number, kept.OVER):
            return
        asked = folder.load(Asked, number, kept.ASKED)
        if asked is not None and not _is_of_earlier_boot(asked.by, machine.this_process("local")):
            minder.start(folder, asked, ground.environ)

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        """By one listing of the folder; a job that runs costs one look at its lock."""
        folder = self._folder(ground)
        now_s, here = time.time(), machine.this_process("local")
        reports: list[Report] = []
        asked, ended = {}, {}
        try:
            for number, suffixes in sorted(folder.found().items()):
                if over := self._over(folder, number, suffixes, now_s):
                    ended[folder.place(number, "")] = over
                    reports.append(_report(over))
                elif job := self._known(folder, number, suffixes, now_s):
                    asked[folder.place(number, "")] = job
                    if job.name.startswith(prefix):  # in a copy of a lab lie the files of jobs of the other one
                        reports.append(self._live(folder, job, suffixes, here))
        except OSError as error:
            raise refused(error) from error
        folder.drop_drafts(now_s, KEEP_S)
        self._asked, self._ended = asked, ended
        return tuple(each for each in reports if each.name.startswith(prefix))

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        """Ask each to end; its minder ends it after a grace, with all that came from it, wherever that is."""
        folder = self._folder(ground)
        try:
            for number in numbers:
                asked = folder.load(Asked, number, kept.ASKED)
                over = folder.load(Ended, number, kept.OVER)
                if over is not None and over.how == LOST:
                    processes.end_all(_survivors(number))
                elif asked is not None and not folder.has(number, kept.OVER):
                    self._cancel(folder, asked)
        except OSError as error:
            raise refused(error) from error

    def where(self, ground: Ground) -> str:  # noqa: ARG002  # as the door has it
        """One: its jobs lie in a folder of the lab, where each says itself which machine has it."""
        return ""

    def describe(self, ground: Ground) -> str:
        """How many jobs it has, and where."""
        states = [report.state for report in self.listed(ground.lab, ground)]
        return f"this machine ({os.uname().nodename}): {states.count(RUNNING)} running, {states.count(HELD)} held"

    # -- what is known of one job -------------------------------------------------------------------------------

    def _folder(self, ground: Ground) -> Folder:
        return Folder(ground.folder, ground.files)

    def _over(self, folder: Folder, number: str, suffixes: set[str], now_s: float) -> Ended | None:
        """How it ended, where somebody wrote that. Forgets it when that was long ago."""
        if kept.OVER not in suffixes:
            return None
        over = self._ended.get(folder.place(number, "")) or folder.load(Ended, number, kept.OVER)
        if over is None or now_s - over.at_s <= KEEP_S:
            return over
        folder.forget(number)
        suffixes.clear()
        return None

    def _known(self, folder: Folder, number: str, suffixes: set[str], now_s: float) -> Asked | None:
        if kept.ASKED not in suffixes:
            return None
        asked = self._asked.get(folder.place(number, "")) or folder.load(Asked, number, kept.ASKED)
        if asked is None:  # a power cut emptied it; nobody can say any more whose job it was
            with suppress(OSError):
                if now_s - os.stat(folder.place(number, kept.ASKED)).st_mtime > KEEP_S:
                    folder.forget(number)
        return asked

    def _live(self, folder: Folder, asked: Asked, suffixes: set[str], here: Owner) -> Report:
        """A job of which nobody wrote how it ended."""
        if kept.OVER in suffixes:  # or what was written cannot be read
            return _report(_end(folder, asked, LOST, "how it ended cannot be read"))
        if kept.BEGUN not in suffixes:
            if _is_of_earlier_boot(asked.by, here):
                return _report(_end(folder, asked, LOST, "this machine has started again since"))
            return Report(name=asked.name, number=asked.number, state=HELD)
        begun = folder.load(Begun, asked.number, kept.BEGUN)
        if begun is not None and begun.minder is None:
            return _report(_end(folder, asked, CANCELLED, "cancelled before it began"))
        lives = False if begun is None or begun.minder is None else _lives(folder, asked.number, begun.minder, here)
        where = _place(begun.minder) if begun is not None and begun.minder is not None else ""
        if lives is None:
            why = "it is on another machine, and cannot be seen from here"
            return Report(name=asked.name, number=asked.number, state=RUNNING, where=where, why=why)
        if lives:
            return Report(name=asked.name, number=asked.number, state=RUNNING, where=where)
        return _report(_end(folder, asked, LOST, _MINDER_GONE, where))  # what is left of it is for `cancel`

    def _cancel(self, folder: Folder, asked: Asked) -> None:
        if folder.make(Begun(), asked.number, kept.BEGUN):  # nobody can start it any more
            _end(folder, asked, CANCELLED, "cancelled before it began")
            return
        begun = folder.load(Begun, asked.number, kept.BEGUN)
        owner = begun.minder if begun is not None else None
        if owner is None:
            return
        folder.mark_cancelled(asked.number)
        if machine.alive(owner):
            processes.send(owner.pid, signal.SIGTERM)  # at once; the word alone is seen within a second
            processes.send(owner.pid, signal.SIGCONT)
        elif _lives(folder, asked.number, owner, machine.this_process("local")) is False:
            processes.end_all(_survivors(asked.number))
            _end(folder, asked, LOST, _MINDER_GONE, _place(owner))


def _place(owner: Owner) -> str:
    """A machine as people name it."""
    return owner.host.partition("/")[0]


def _limit_s(job: Placement) -> float:
    """When the minder ends it, though nothing else did; 0 for never."""
    given = job.wants.time
    if not given:
        return job.budget_s + _MARGIN_S
    limit_s = time_limit.seconds(given)
    if limit_s is None:
        raise Refused(f"{given!r} is no time limit", fix="write 90 (minutes), 2:30:00 or 1-12:00:00 in engines.yaml")
    return 0.0 if math.isinf(limit_s) else limit_s


def _is_of_earlier_boot(owner: Owner, here: Owner) -> bool:
    """Whether this very machine has started again since: then what it had in hand is over."""
    return owner.host == here.host and bool(here.boot_id) and owner.boot_id != here.boot_id


def _lives(folder: Folder, number: str, owner: Owner, here: Owner) -> bool | None:
    """Whether a minder lives. None where that cannot be known: on another machine.

    The kernel that it runs under knows who holds its lock, also where pids mean nothing: in another container.
    """
    same_kernel = owner.boot_id == here.boot_id if here.boot_id else owner.host == here.host
    if same_kernel:
        return is_held(folder.place(number, kept.ASKED))
    return False if owner.host == here.host else None


def _end(folder: Folder, asked: Asked, how: str, why: str, where: str = "") -> Ended:
    """Write how it ended, unless somebody has: then it is their word that counts."""
    ended = Ended(name=asked.name, number=asked.number, how=how, at_s=time.time(), why=why, where=where)
    with suppress(OSError):  # a full disk: it is found again
        if not folder.make(ended, asked.number, kept.OVER):
            return folder.load(Ended, asked.number, kept.OVER) or ended
    return ended


def _report(ended: Ended) -> Report:
    return Report(
        name=ended.name, number=ended.number, state=OVER, how=ended.how, code=ended.code, where=ended.where,
        why=ended.why,
    )  # fmt: skip


def _survivors(number: str) -> list[int]:
    """Processes that say in their environment that they belong to a job. Never the caller."""
    mark = f"{minder.MARK}={number}".encode()
    found = []
    with suppress(OSError):
        for pid in processes.parents():
            with suppress(OSError), open(f"/proc/{pid}/environ", "rb") as file:
                if pid != os.getpid() and mark in file.read().split(b"\0"):
                    found.append(pid)
    return found
