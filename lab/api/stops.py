"""Ctrl-C, and the interrupt of a notebook, while a run is claimed, made or sealed: heard, and passed on afterwards."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object] | int | None


class Stops:
    """Raised wherever it happens to come, KeyboardInterrupt would leave a claim that its living process never seals.

    Only the main thread hears signals; elsewhere nothing is changed. A second one is not heard: the run is being
    ended, and ending this process would end a notebook with all that is in it.
    """

    def __init__(self) -> None:
        self._came = 0
        self._before: dict[int, Handler] = {}

    def came(self) -> str:
        """The name of the signal that came; empty while none did."""
        return signal.Signals(self._came).name if self._came else ""

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def pass_on(self) -> None:
        """Let whoever handled it before have it now: of Ctrl-C, Python raises KeyboardInterrupt. After the block."""
        if self._came:
            signal.raise_signal(self._came)

    def _note(self, number: int, _: FrameType | None) -> None:
        self._came = self._came or number
