"""A real terminal for a test: a pty, a `labctl` that has it for its own, and an emulator that says what is on it."""

from __future__ import annotations

import fcntl
import os
import select
import struct
import subprocess
import sys
import termios
import time
from typing import TYPE_CHECKING, Self

import pyte

from tests.cli.labs import SHIM

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

PATIENCE_S = 20.0
# What makes the pty the terminal of a new session, as a login does; then it becomes what it was asked to be.
_LOGIN = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY, 0); os.execvp(sys.argv[1], sys.argv[1:])"


class Terminal:
    """So many columns and rows, with a program on it."""

    def __init__(
        self, *words: str, columns: int = 100, rows: int = 30, env: Mapping[str, str] | None = None, program: str = ""
    ) -> None:
        command = [program, *words] if program else [sys.executable, SHIM, "watch", *words]
        self._screen = pyte.Screen(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        self.raw = b""
        self._ours, self.theirs = os.openpty()
        self.resize(columns, rows, tell=False)
        self.before = self.settings()
        settings = {**os.environ, "TERM": "xterm-256color", **(env or {})}
        self.child = subprocess.Popen(
            [sys.executable, "-c", _LOGIN, *command],
            stdin=self.theirs, stdout=self.theirs, stderr=self.theirs, env=settings, start_new_session=True,
        )  # fmt: skip

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.child.kill()
        self.child.wait()
        os.close(self._ours)
        os.close(self.theirs)

    @property
    def lines(self) -> list[str]:
        """What is to be seen, a line a row."""
        return [line.rstrip() for line in self._screen.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self._ours)
        self._ours = os.open(os.devnull, os.O_RDONLY)

    def settings(self) -> list[object]:
        """How the terminal is set: what a program that leaves it has to leave as it was."""
        return list(termios.tcgetattr(self.theirs))

    def resize(self, columns: int, rows: int, *, tell: bool = True) -> None:
        """Another size. The kernel tells whoever has the terminal."""
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        if tell:
            self._screen.resize(rows, columns)

    def type(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def until(self, wanted: str | Callable[[Terminal], bool]) -> str:
        """Wait until this is to be seen. A failure shows what is."""
        end_s = time.monotonic() + PATIENCE_S
        while True:
            if wanted in self.text if isinstance(wanted, str) else wanted(self):
                while self._take(0.02):  # the rest of the frame
                    pass
                return self.text
            assert time.monotonic() < end_s, f"not seen: {wanted}\n{self.text}"
            self._take(0.05)

    def ended(self) -> int:
        """Wait for its end, and take the last that it wrote."""
        code: int | None = None
        self.until(lambda _: self.child.poll() is not None)
        code = self.child.returncode
        while self._take(0.05):
            pass
        return code

    def is_restored(self) -> bool:
        """Whether the terminal is as it was before: its settings, the first screen, the cursor."""
        return (
            self.settings() == self.before
            and self.raw.rfind(b"\x1b[?1049l") > self.raw.rfind(b"\x1b[?1049h")
            and self.raw.rfind(b"\x1b[?25h") > self.raw.rfind(b"\x1b[?25l")
        )

    def _take(self, wait_s: float) -> bool:
        if not select.select([self._ours], [], [], wait_s)[0]:
            return False
        data = os.read(self._ours, 1 << 16)
        self.raw += data
        self._stream.feed(data)
        return bool(data)
