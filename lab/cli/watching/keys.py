"""The keys of a terminal: as they come, without waiting for the end of a line, and without showing them."""

from __future__ import annotations

import codecs
import os
import select
import sys
import termios
from contextlib import suppress

UP, DOWN, ENTER, ESCAPE, TAB, BACK_TAB, RUB_OUT, CLEAR = (
    "up", "down", "enter", "escape", "tab", "back-tab", "rub-out", "clear",
)  # fmt: skip
_SEQUENCES = {
    "\x1b[A": UP, "\x1bOA": UP, "\x1b[B": DOWN, "\x1bOB": DOWN, "\x1b[Z": BACK_TAB, "\x1bOM": ENTER,
}  # fmt: skip
_SINGLE = {
    "\r": ENTER, "\n": ENTER, "\x1b": ESCAPE, "\t": TAB, "\x7f": RUB_OUT, "\x08": RUB_OUT, "\x15": CLEAR,
}  # fmt: skip
_REST_S = 0.05  # the rest of a sequence comes at once, also over a slow line
_MOST_BYTES = 4096


class Keys:
    """Of stdin, where that is a terminal. `begin` and `end` may be called in any order, and twice."""

    def __init__(self) -> None:
        self.descriptor = -1
        self._before: list[object] | None = None
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        with suppress(OSError, ValueError, AttributeError):  # no stdin
            if sys.stdin.isatty():
                self.descriptor = sys.stdin.fileno()

    def begin(self) -> None:
        """Take keys one by one. What the terminal was like is kept for `end`."""
        if self.descriptor < 0:
            return
        with suppress(termios.error):  # the terminal went away: keys will not come, and a signal says so
            settings = termios.tcgetattr(self.descriptor)
            if self._before is None:
                self._before = list(settings)
            settings[3] &= ~(termios.ICANON | termios.ECHO)
            settings[6][termios.VMIN], settings[6][termios.VTIME] = 1, 0
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, settings)

    def end(self) -> None:
        """Leave the terminal as it was. What was typed ahead is the next program's."""
        if self._before is None:
            return
        with suppress(termios.error):
            termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._before)  # type: ignore[arg-type]  # as it came
        self._before = None

    def read(self) -> list[str] | None:
        """What was typed: names of keys, and characters. None when nothing more will come."""
        data = self._some()
        if not data:
            return None
        if _is_begun(data) and select.select([self.descriptor], [], [], _REST_S)[0]:
            data += self._some()
        return parsed(self._decoder.decode(data))

    def forget(self) -> None:
        """Drop what was typed and not read: it was typed before what is asked now was to be seen."""
        if self.descriptor >= 0:
            with suppress(termios.error):
                termios.tcflush(self.descriptor, termios.TCIFLUSH)

    def _some(self) -> bytes:
        try:
            return os.read(self.descriptor, _MOST_BYTES)
        except BlockingIOError:
            return b""
        except OSError:  # the other end of the terminal is gone
            return b""


def parsed(typed: str) -> list[str]:
    """The keys in it. Sequences that mean nothing here are one key each, of no name."""
    found, place = [], 0
    while place < len(typed):
        sequence = _sequence(typed, place)
        if len(sequence) > 1:
            found.append(_SEQUENCES.get(sequence, ""))
        elif sequence in _SINGLE:
            found.append(_SINGLE[sequence])
        elif sequence.isprintable():
            found.append(sequence)
        place += len(sequence)
    return [key for key in found if key]


def _sequence(typed: str, place: int) -> str:
    """The character there, or the whole of what an escape begins."""
    if typed[place] != "\x1b" or typed[place + 1 : place + 2] not in ("[", "O"):
        return typed[place]
    end = place + 2
    if typed[place + 1] == "O":
        return typed[place : end + 1]
    while end < len(typed) and not "@" <= typed[end] <= "~":
        end += 1
    return typed[place : end + 1]


def _is_begun(data: bytes) -> bool:
    """Whether it ends in the middle of a sequence."""
    last = data.rfind(b"\x1b")
    if last < 0:
        return False
    rest = data[last + 1 :]
    return rest in (b"", b"[", b"O") or (rest[:1] == b"[" and not any(64 <= byte <= 126 for byte in rest[1:]))  # noqa: PLR2004  # @ to ~
