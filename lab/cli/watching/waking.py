"""Waiting for the next look, which a key, a signal or a reader that goes away ends sooner."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType


class Waker:
    """A pipe that every signal with a handler of ours is written into, and the descriptors that matter."""

    def __init__(self, keys: int = -1) -> None:
        """`keys`: where keys come from; -1 where nobody types."""
        self._keys = keys
        self._end, self._signals = os.pipe()
        self._poll = select.poll()
        self._output = -1

    def __enter__(self) -> Self:
        for each in (self._end, self._signals):
            os.set_blocking(each, False)
        self._before = signal.set_wakeup_fd(self._signals, warn_on_full_buffer=False)
        self._poll.register(self._end, select.POLLIN)
        if self._keys >= 0:
            self._poll.register(self._keys, select.POLLIN)
        with suppress(OSError, ValueError, AttributeError):  # no stdout
            self._output = sys.stdout.fileno()
            if self._output != self._keys:
                self._poll.register(self._output, 0)  # told of an error alone: nobody reads any more
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        signal.set_wakeup_fd(self._before)
        os.close(self._signals)
        os.close(self._end)

    def deaf(self) -> None:
        """No more keys will come."""
        if self._keys >= 0:
            self._poll.unregister(self._keys)
            self._keys = -1

    def wait(self, for_s: float) -> bool:
        """Whether there are keys to read. `BrokenPipeError` when whoever read what we print has gone away."""
        typed = False
        for descriptor, what in self._poll.poll(max(0.0, for_s) * 1000):
            if descriptor == self._end:
                with suppress(BlockingIOError):
                    os.read(self._end, 4096)
            elif descriptor == self._keys:
                typed = True
            elif what & (select.POLLERR | select.POLLHUP | select.POLLNVAL):
                raise BrokenPipeError
        return typed
