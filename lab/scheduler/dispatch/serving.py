"""A worker that goes on: it takes turns, and waits while there is nothing to do or while its lab is not there."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core.ended import Ended
from lab.core.errors import Busy, LabError, Unavailable
from lab.core.run import CRASH, SUCCESS
from lab.scheduler import due, engines
from lab.scheduler.dispatch import ingest, mend, offers, working
from lab.scheduler.dispatch.offers import DONE, PROBLEM, SET_ASIDE, Said
from lab.store import machine, refusals

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from lab.scheduler.dispatch.offers import Held
    from lab.store.root import Root

EVERY_S = 10.0
WAITING = "waiting: "
_FIRST_S, _LOOK_S, _SLOWER = 0.25, 0.1, 2.0
_MOST_TOLD, _KEPT = 1_000, 20
_JUDGED = ("keep", "discard")  # of a code loop: such as the same change as before, which has no value


class Shift(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker ends. `idle_s` None: never by itself; 0: with the first look that finds nothing."""

    max_runs: int = 0
    idle_s: float | None = None
    every_s: float = EVERY_S


class Tally(msgspec.Struct, kw_only=True):
    """What a worker did. `last` are the newest of its runs: it may go on for months."""

    worked: int = 0
    failed: int = 0
    troubles: int = 0
    last: list[Said] = []

    def add(self, one: Said) -> None:
        """Count one thing that was said."""
        self.troubles += one.kind in (PROBLEM, SET_ASIDE)
        if one.kind == DONE:
            self.worked += 1
            self.failed += one.outcome != SUCCESS and one.verdict not in _JUDGED
            self.last = [*self.last[1 - _KEPT :], one]


class Once:
    """Passes on what was not said before: a worker looks every few seconds, and what it waits for stays the same."""

    def __init__(self, tell: Callable[[Said], None]) -> None:
        self._tell = tell
        self._told: set[str] = set()

    def __call__(self, one: Said) -> None:
        key = f"{one.kind} {one.experiment} {one.dispatch_id} {one.what}"
        if one.kind not in (DONE, offers.INGESTED) and key in self._told:
            return
        if len(self._told) >= _MOST_TOLD:
            self._told.clear()
        self._told.add(key)
        self._tell(one)

    def forget(self) -> None:
        """What it waited for has come: should it go again, that is news."""
        self._told = {key for key in self._told if WAITING not in key}


def serve(
    turn: Callable[[Callable[[Said], None]], bool],
    shift: Shift,
    *,
    interrupted: Callable[[], str],
    tell: Callable[[Said], None],
) -> Tally:
    """Take turns until the shift is over. A turn tells what it did, and whether it did anything.

    A lab or a disk that is not there is waited for: it is said once. Where there is a limit to idling, it is raised.
    """
    tally = Tally()

    def add(one: Said) -> None:
        tally.add(one)
        tell(one)

    once = Once(add)
    idle_from_s, wait_s = time.monotonic(), _FIRST_S
    while not interrupted() and not (shift.max_runs and tally.worked >= shift.max_runs):
        trouble: LabError | None = None
        try:
            did = turn(once)
        except (Unavailable, Busy, OSError) as error:
            trouble = error if isinstance(error, LabError) else refusals.refused(error)
            did = False
            once(Said(kind=PROBLEM, what=f"{WAITING}{trouble.what}", path=trouble.where, fix=trouble.fix))
        if did:
            once.forget()
            idle_from_s, wait_s = time.monotonic(), _FIRST_S
            continue
        left_s = None if shift.idle_s is None else shift.idle_s - (time.monotonic() - idle_from_s)
        if left_s is not None and left_s <= 0:
            if trouble is not None:
                raise trouble
            break
        pause(min(wait_s, shift.every_s if left_s is None else min(left_s, shift.every_s)), interrupted)
        wait_s *= _SLOWER
    return tally


def pause(for_s: float, interrupted: Callable[[], str]) -> None:
    """Wait, but not for a person who wants it to end."""
    until_s = time.monotonic() + for_s
    while not interrupted() and (left_s := until_s - time.monotonic()) > 0:
        time.sleep(min(_LOOK_S, left_s))


class AtLab:
    """Turns of a worker that sees the lab: offers are claimed, and what is due is offered where nothing waits.

    Each run is taken in as soon as it is complete, so nobody else has to turn a crank for it.
    """

    def __init__(
        self,
        lab: Callable[[], Root],
        worker: str,
        *,
        classes: Collection[str] = (),
        only: Collection[str] = (),
        interrupted: Callable[[], str],
    ) -> None:
        self._lab = lab
        self._worker = worker
        self._classes = classes
        self._only = only
        self._interrupted = interrupted
        self._ended: tuple[Held, Ended | None] | None = None  # a run whose end the lab was not there to hear

    def __call__(self, tell: Callable[[Said], None]) -> bool:
        """One package, if there is one."""
        root = self._lab()
        if self._ended is not None:
            return self._finished(root, tell)
        for one in mend.mend(root):
            tell(one)
        held = self._next(root, tell)
        if held is None:
            return False
        self._ended = (held, None)
        self._ended = (held, working.carried_out(root, held, self._interrupted))
        return self._finished(self._lab(), tell)

    def _next(self, root: Root, tell: Callable[[Said], None]) -> Held | None:
        held = self._claimed(root, tell)
        if held is None and not self._interrupted():
            classes = self._fitting(root)
            said = (
                offers.queue(root, actor=self._worker, max_runs=1, classes=classes, only=self._only) if classes else []
            )
            for one in said:
                if one.kind != offers.QUEUED:
                    tell(one)
            held = self._claimed(root, tell) if any(one.kind == offers.QUEUED for one in said) else None
        return held

    def _fitting(self, root: Root) -> Collection[str]:
        """The classes of which it may offer runs: those it was told, else all that are not an engine's."""
        if self._classes:
            return self._classes
        return due.classes(root) - engines.placed_classes(root)

    def _claimed(self, root: Root, tell: Callable[[Said], None]) -> Held | None:
        me = machine.this_process("worker")
        held, said = offers.claim(
            root, self._worker, classes=self._classes, only=self._only, process=me, interrupted=self._interrupted
        )
        for one in said:
            if one.kind != offers.CLAIMED:
                tell(one)
        return held[0] if held else None

    def _finished(self, root: Root, tell: Callable[[Said], None]) -> bool:
        if self._ended is None:
            return False
        held, ended = self._ended
        # While the disk goes away in the middle of it, nobody knows of its run how it ended.
        word = ended or Ended(outcome=CRASH, reason="the disk of the lab was not there while it ran")
        try:
            said = working.finished(root, held, word)
        except (Unavailable, Busy):
            raise  # the lab is to hear of it once it is there again
        except LabError as wrong:
            self._lab()  # one that went away meanwhile looks as if it had lost the package
            said = working.told(offers.of(PROBLEM, held), wrong)
        self._ended = None
        tell(said)
        if said.kind == DONE:
            for one in ingest.ingest(root, named=(held.place.dispatch_id,)):
                if one.kind != offers.INGESTED:
                    tell(one)
        return True
