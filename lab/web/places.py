"""How many may be connected at once, and who has to go when there are more.

A place costs a thread. Browsers connect ahead of time and say nothing, and so does somebody who wants to keep others
out: whoever has not asked yet goes first when the places are used up, the one that was silent for longest.
"""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

MOST_PLACES = 64
WAITS_S = 1.0  # until one of those who are being answered goes
MOST_STREAMS = 40  # of them: live pages and downloads; the rest is left for pages


class Place:
    """One connection."""

    __slots__ = ("connection", "is_heard", "is_stream")

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.is_heard = False  # its request has arrived whole
        self.is_stream = False


class Places:
    """Safe to use from several threads."""

    def __init__(self, most: int = MOST_PLACES, streams: int = MOST_STREAMS) -> None:
        self._most, self._streams = most, streams
        self._changed = threading.Condition()
        self._taken: dict[int, Place] = {}  # in the order in which they came

    def give(self, connection: socket.socket) -> Place | None:
        """A place, if need be that of somebody who says nothing. None when all stay for longer than one waits."""
        with self._changed:
            if not self._changed.wait_for(self._has_room, WAITS_S):
                return None
            if len(self._taken) >= self._most:
                silent = next(each for each in self._taken.values() if not each.is_heard)
                del self._taken[id(silent)]  # its thread ends by itself
                _hang_up(silent)
            place = Place(connection)
            self._taken[id(place)] = place
            return place

    def _has_room(self) -> bool:
        return len(self._taken) < self._most or any(not each.is_heard for each in self._taken.values())

    def take_back(self, place: Place) -> None:
        """It is over."""
        with self._changed:
            self._taken.pop(id(place), None)
            self._changed.notify()

    def streams(self, place: Place) -> bool:
        """Whether it may stay for long."""
        with self._changed:
            place.is_stream = sum(each.is_stream for each in self._taken.values()) < self._streams
            return place.is_stream

    def count(self) -> int:
        """How many there are."""
        return len(self._taken)

    def end(self, within_s: float) -> None:
        """Hang up on all, and wait until the threads have noticed; not those of streams, which wait for news."""
        with self._changed:
            for place in self._taken.values():
                _hang_up(place)
        until_s = time.monotonic() + within_s
        while self._waited_for() and time.monotonic() < until_s:
            time.sleep(0.005)

    def _waited_for(self) -> bool:
        with self._changed:
            return any(not place.is_stream for place in self._taken.values())


def _hang_up(place: Place) -> None:
    with suppress(OSError):
        place.connection.shutdown(socket.SHUT_RDWR)
