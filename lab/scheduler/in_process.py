"""A run whose program is the caller: claimed, opened, renewed, sealed and judged as any other; nothing is started.

What holds other runs to their budget does not hold this one: no process stands between it and the lab. Its lease is
renewed as long as this process lives, and a process that dies leaves a claim that is known for dead.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.claim import RENEW_EVERY_S
from lab.core.ended import Ended
from lab.core.engines import HERE
from lab.core.errors import BadInput, Busy, LabError, Superseded
from lab.core.launch import IN_PROCESS
from lab.core.policy import Proceed
from lab.core.run import FAILED
from lab.core.view import OPEN_PHASES, to_open
from lab.projections import text
from lab.scheduler import closing, cycle, moves, refresh
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request, Visit
from lab.store import bundles, experiments, machine, reading

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.seal import Seal
    from lab.scheduler.cycle import Running
    from lab.scheduler.search.plan import Search
    from lab.scheduler.step import Step
    from lab.store.leases import Lease
    from lab.store.root import Root

OWNER = "in-process"


class Attempt:
    """One such run, from its claim to its seal. `running` is what it was given."""

    def __init__(self, root: Root, name: str, search: Search, *, tell: Callable[[Step], None]) -> None:
        """Claim it and open its bundle. `Busy` while others have all its slots, `Exhausted` when all was tried.

        A search that is given again has read the history already: then a run costs the same after thousands of them.
        """
        self._root = root
        self._turn = Turn(root, _request(name), tell=tell, interrupted=str)
        _prepare(root, name, search, self._turn)
        self._visit = Visit(
            root, name, self._turn.request, owner=machine.this_process(OWNER), tell=tell, interrupted=str, search=search
        )
        self.warnings: tuple[str, ...] = ()
        self.unfit: LabError | None = None  # why its end was not sealed as it was told
        begun = self._visit.begun()
        if begun is None:
            self._follow()
            raise self._refusal(name)
        self.running: Running = begun[0]
        self._pid = os.getpid()
        self._began_s = time.monotonic()
        self._is_over = threading.Event()
        told = (root, self.running.lease, self._is_over)
        self._beat = threading.Thread(target=_renew, args=told, name=f"lease of {name}", daemon=True)
        self._beat.start()
        # Who lost it, as by an interrupt before the block began, would hold the claim as long as the process lives.
        self._forgotten = weakref.finalize(self, _give_up, *told, self._pid)

    @property
    def wall_s(self) -> float:
        """How long it has been under way."""
        return round(time.monotonic() - self._began_s, 6)

    @property
    def is_ours(self) -> bool:
        """False in a fork of the process that has the claim: two of them must not seal one run."""
        return os.getpid() == self._pid

    def cancel_asked(self) -> str | None:
        """Why a person wants it ended; None when nobody does."""
        return self.running.lease.cancel_asked(self._root)

    def note(self, name: str, told: str) -> None:
        """Put a text into a log of its bundle. What stands in the way of it is found again, and said, by the seal."""
        if reading.is_folder(self.running.path):
            with suppress(OSError):
                self._root.files.create(f"{self.running.path}/{name}", told.encode(errors="replace"), durable=False)

    def seal(self, ended: Ended) -> Seal:
        """Seal it, and carry out what follows from it. `Superseded` when the lease was lost: it is not counted.

        An end that no seal can tell is sealed as a failure that says so, and the caller is told by `unfit`.
        """
        self._forgotten.detach()
        self._is_over.set()
        self._beat.join()  # a renewal after the release would touch a claim that is no more
        try:
            closing.told(self._root, self.running.manifest, ended)
        except BadInput as unfit:
            self.unfit, ended = unfit, Ended(outcome=FAILED, reason=text.line(unfit.what), wall_s=self.wall_s)
        is_there = reading.is_folder(self.running.path)
        own = bundles.name_for_own_metrics(self.running.path)
        self._visit.sealed(self.running, ended)
        with suppress(Busy):  # it is sealed, and the next turn leaves what was to be left for a person
            self._follow()
        if own:
            kept = f"the {layout.METRICS} that it wrote is kept as {own}"
            said = f"{self.running.manifest.run_id}: {kept}, and counts nothing: report() is what tells numbers"
            self.warnings = (*self.warnings, said)
        if self._visit.made is None:
            raise LabError("the run was not sealed")
        if not is_there:  # the block took it away
            fix = "a run may remove what it made, and not its own bundle"
            self.unfit = LabError(self._visit.made.run.reason, where=self.running.path, fix=fix)
        return self._visit.made

    def _follow(self) -> None:
        """What comes after a visit: what it decided, the pages of the lab, and word to people. In that order."""
        self._visit.follow()
        subject = self._visit.subject
        if subject is None:
            return
        with suppress(OSError):  # it is sealed, which is what was asked; `status` counts it in without these pages
            refresh.lab_pages(self._root, (subject,))
        self.warnings = tuple(moves.tell_people(self._root, [(self._visit.before, subject)]))

    def _refusal(self, name: str) -> LabError:
        if self._visit.used_up is not None:
            return self._visit.used_up
        move = self._visit.move
        why = move.reason if move is not None and not isinstance(move, Proceed) else "nothing is to be run"
        return Busy(f"{name} runs nothing now: {why}", fix=f"labctl show {name}")


def _renew(root: Root, lease: Lease, is_over: threading.Event) -> None:
    while not is_over.wait(RENEW_EVERY_S):
        with suppress(OSError):
            try:
                lease.renew(root)
            except Superseded:  # found out again, and said, by who seals
                return


def _give_up(root: Root, lease: Lease, is_over: threading.Event, pid: int) -> None:
    if os.getpid() == pid:
        is_over.set()
        lease.abandon(root)


def _request(name: str) -> Request:
    return Request(only=(name,), max_runs=1, now=True, engine=HERE, in_process=True)


def _prepare(root: Root, name: str, search: Search, turn: Turn) -> None:
    """Refuse now what no run could change, and load what a proposal needs."""
    experiments.require(root, name)
    turn.hear()
    turn.settle(name)
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    spec = cycle.usable(loaded)
    if spec.executor != IN_PROCESS:
        what = f"the runs of {name} are made by its executor ({spec.executor}), not by whoever asks for them"
        fix = f"labctl burst {name}; or make an experiment with `executor: {IN_PROCESS}` in its {layout.SPEC}"
        raise BadInput(what, fix=fix)
    if view.phase not in OPEN_PHASES:
        why = f" ({view.phase_reason})" if view.phase_reason else ""
        raise BadInput(f"{name} is {view.phase}{why}, so it runs nothing", fix=to_open(name, view.phase))
    search.ready(view, spec)
