"""Actors that take turns: a thread each, and one of them runs at a time, from one pause to the next.

A pause stands before each change of the disk, each look at a lock, and some of the reads. Whoever holds the baton in
between (the simulator) decides who goes on, who waits for an hour, and who dies there.
"""

from __future__ import annotations

import threading
import traceback
from typing import TYPE_CHECKING

from lab.testing.files import Crash

if TYPE_CHECKING:
    from collections.abc import Callable

HANGS_AFTER_S = 60.0
IDLE, READY, BLOCKED, WAITING, DEAD = "idle", "ready", "blocked", "waiting", "dead"


class Actor:
    """Somebody with a process: does one deed at a time, and can be stopped, or die, at each pause."""

    def __init__(self, stage: Stage, name: str) -> None:
        self.stage = stage
        self.name = name
        self.state = IDLE
        self.at = ""  # what it is about to do
        self.deed = ""
        self.doomed = False
        self.error: BaseException | None = None
        self.trace = ""
        self._job: Callable[[], None] = lambda: None
        self._go = threading.Lock()
        self._go.acquire()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        return self.state in (READY, BLOCKED, WAITING)

    def start(self, deed: str, job: Callable[[], None]) -> None:
        """Take up a deed; it runs when the actor is next resumed."""
        self.deed, self._job, self.state, self.at, self.error = deed, job, READY, "begins", None

    def resume(self) -> None:
        """Let it go on to its next pause, its end or its death. Returns when it is there."""
        self.stage.current = self
        self._go.release()
        if not self.stage.back.acquire(timeout=HANGS_AFTER_S):
            message = f"{self.name} does not come back from {self.at} of {self.deed}"
            raise AssertionError(message)
        self.stage.current = None

    def pause(self, at: str, state: str = READY) -> None:
        """Give the baton back. In the actor's own thread."""
        if self.doomed:  # the dead do not tidy up
            raise Crash(at)
        self.at, self.state = at, state
        self.stage.back.release()
        self._go.acquire()
        self.state = READY
        if self.doomed:
            raise Crash(at)

    def die(self) -> None:
        """As kill -9 does: nothing more is done, and the kernel drops its locks."""
        self.doomed = True
        self.resume()
        self._thread.join(HANGS_AFTER_S)

    def _live(self) -> None:
        while True:
            self._go.acquire()
            try:
                if self.doomed:
                    return
                self._job()
            except Crash:
                return
            except BaseException as error:  # noqa: BLE001  # whatever it is, the simulator judges it
                self.error, self.trace = error, traceback.format_exc()
            finally:
                self.state = DEAD if self.doomed else IDLE
                self.stage.back.release()


class Stage:
    """Where the actors play. `current` is the one that runs; None while the simulator itself looks around."""

    def __init__(self) -> None:
        self.current: Actor | None = None
        self.back = threading.Lock()
        self.back.acquire()
