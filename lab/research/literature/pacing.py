"""One line to each host for the whole lab: how long ago it was asked last is in a file, under a lock.

Processes of one lab wait for each other, on whichever machines they are: moments are those of the file server's clock.
Those of two labs do not. What the file says is no promise: a moment that is still to come, because a clock was set back
or somebody tore the file, is taken for now, so it costs one wait of the length that was asked for.
"""

from __future__ import annotations

import re
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Busy
from lab.research.literature.entry import Unanswered
from lab.store import leases, reading
from lab.store.sections import hold

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.store.root import Root

FOLDER = "scratch/research/hosts"
_SLICE_S = 0.2
_LONGEST_S = 86_400.0
_TICK_S = 0.01  # times of files are no finer than that


class Asked(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """When a host was asked last, in seconds since 1970, and for how long from then it does not want to be asked."""

    at: float = 0.0
    wait_s: float = 0.0


class Pace:
    """The line to one host. `check` is called while it waits, and ends that by raising."""

    def __init__(self, root: Root, place: str, gap_s: float, check: Callable[[], None]) -> None:
        name = re.sub(r"[^a-z0-9.-]", "_", place.lower())[:100]
        self._root = root
        self._path = root.layout.place(f"{FOLDER}/{name}.json")
        self._gap_s = gap_s
        self._check = check

    @contextmanager
    def turn(self, until_s: float) -> Iterator[None]:
        """Be the only one who asks it, a gap after the last who did. `Unanswered` when that is after `until_s`."""
        with self._alone(until_s):
            left_s = self._wait_s()
            if time.monotonic() + left_s > until_s:
                raise Unanswered(f"it may be asked again in {left_s:,.0f} s only, and so long is not left for it")
            pause(left_s, self._check)
            self._note(Asked(at=self._now_s()))
            try:
                yield
            finally:
                # From its end: a request may be long on its way, and two that are sent apart could arrive together.
                self._note(msgspec.structs.replace(self._asked(), at=self._now_s()))

    def hold_off(self, seconds: float) -> None:
        """What a host asked for: nobody of this lab asks it sooner. Called within a turn."""
        self._note(Asked(at=self._now_s(), wait_s=min(max(seconds, 0.0), _LONGEST_S)))

    @contextmanager
    def _alone(self, until_s: float) -> Iterator[None]:
        while True:
            self._check()
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                raise Unanswered("no time is left to ask it")
            try:
                with hold(f"{self._path}.section", wait_s=min(left_s, 1.0)):
                    yield
                return
            except Busy:
                continue

    def _wait_s(self) -> float:
        asked, now_s = self._asked(), self._now_s()
        if asked.at > now_s + _TICK_S:  # noted, or each who comes would wait from the beginning
            asked = msgspec.structs.replace(asked, at=now_s)
            self._note(asked)
        left_s = max(self._gap_s, min(asked.wait_s, _LONGEST_S)) - (now_s - asked.at)
        return left_s + _TICK_S if left_s > 0 else 0.0

    def _now_s(self) -> float:
        return leases.server_time(self._root)

    def _asked(self) -> Asked:
        try:
            return msgspec.json.decode(reading.read(self._path) or b"{}", type=Asked)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return Asked()

    def _note(self, asked: Asked) -> None:
        self._root.files.replace(self._path, msgspec.json.encode(asked))


def pause(seconds: float, check: Callable[[], None]) -> None:
    """Wait, and be stopped at any moment."""
    until_s = time.monotonic() + seconds
    while (left_s := until_s - time.monotonic()) > 0:
        check()
        time.sleep(min(left_s, _SLICE_S))
