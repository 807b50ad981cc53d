"""When watching is over."""

from __future__ import annotations

import math
import time

from lab.core.errors import Interrupted


class Ending:
    """After so many seconds, or once nothing happened for so many while no run was under way; else by a person."""

    def __init__(self, for_s: float | None, until_idle_s: float | None) -> None:
        self._for_s = math.inf if for_s is None else for_s
        self._idle_s = math.inf if until_idle_s is None else until_idle_s
        self._began_s = self._busy_s = time.monotonic()
        self.why = ""

    def begin(self) -> None:
        """From now on."""
        self._began_s = self._busy_s = time.monotonic()

    def is_reached(self, *, busy: bool, came: str = "") -> bool:
        """Whether it is over; `why` says by what. `came`, a signal, is no end of ours: `Interrupted`."""
        now_s = time.monotonic()
        if came:
            raise Interrupted(f"stopped watching by {came}; nothing else was stopped", fix="labctl watch goes on")
        if busy:
            self._busy_s = now_s
        if now_s - self._began_s >= self._for_s:
            self.why = "time"
        elif not busy and now_s - self._busy_s >= self._idle_s:
            self.why = "idle"
        return bool(self.why)

    def left_s(self) -> float:
        """How long it goes on at least, if nothing happens."""
        now_s = time.monotonic()
        return max(0.0, min(self._began_s + self._for_s, self._busy_s + self._idle_s) - now_s)
