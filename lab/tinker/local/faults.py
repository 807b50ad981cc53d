"""Faults on demand: what a service does when it has a bad day, so that a client can be tested against it.

Also counts the calls. Both are for tests and for whoever tries a training before it costs money.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from typing import Literal

import msgspec

from lab.tinker.local.calls import Call, Refusal, Reply, answer, read

LONGEST_DELAY_S = 600.0
WORDS = {402: "billing: the account is paused, by a fault that was asked for"}  # the SDK waits for it to pass


class Dropped(Exception):
    """The connection is to be cut without an answer."""


class Fault(msgspec.Struct, kw_only=True):
    """`path` is below /api/v1, or "*". It strikes `times` calls, or every call for `for_s` seconds.

    `drop`: cut the connection, "before" the call is done or "after", when only its answer is lost.
    """

    path: str
    status: int = 0
    detail: str = ""
    times: int = 1
    for_s: float = 0.0
    delay_s: float = 0.0
    drop: Literal["", "before", "after"] = ""


class Faults:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[Fault, float]] = []  # with the moment it ends, 0 for one that is counted
        self._counts: Counter[str] = Counter()

    def add(self, call: Call) -> Reply:
        fault = read(Fault, call.body)
        fault.path = fault.path.removeprefix("/api/v1")
        with self._lock:
            self._waiting.append((fault, time.monotonic() + fault.for_s if fault.for_s > 0 else 0.0))
        return answer()

    def clear(self, _call: Call) -> Reply:
        """Forget the faults that have not struck."""
        with self._lock:
            self._waiting.clear()
        return answer()

    def calls(self, _call: Call) -> Reply:
        with self._lock:
            return answer(counts=dict(sorted(self._counts.items())))

    def strike(self, path: str) -> Fault | None:
        """Count a call, and let the first fault that waits for it strike: raises, or returns one that drops after."""
        with self._lock:
            self._counts[path] += 1
            fault = self._take(path)
        if fault is None:
            return None
        time.sleep(min(max(fault.delay_s, 0.0), LONGEST_DELAY_S))
        if fault.drop == "before":
            raise Dropped
        if fault.status:
            raise Refusal(fault.status, fault.detail or WORDS.get(fault.status, "a fault that was asked for"))
        return fault

    def _take(self, path: str) -> Fault | None:
        now_s = time.monotonic()
        self._waiting = [(fault, end_s) for fault, end_s in self._waiting if not end_s or end_s > now_s]
        for place, (fault, end_s) in enumerate(self._waiting):
            if fault.path in (path, "*"):
                if not end_s:
                    fault.times -= 1
                    if fault.times <= 0:
                        del self._waiting[place]
                return fault
        return None
