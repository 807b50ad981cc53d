"""The screen that renews itself. It looks once a second, draws what has changed, and leaves the terminal as it was."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from rich.console import Console
from rich.live import Live
from rich.text import Text

from lab.cli.signals import Signals
from lab.cli.watching import pilot
from lab.cli.watching.keys import Keys
from lab.cli.watching.waking import Waker

if TYPE_CHECKING:
    from types import FrameType

    from lab.cli.session import Session
    from lab.cli.watching.ending import Ending
    from lab.cli.watching.rows import Row
    from lab.store.root import Root

LOOK_S = 1.0
_LEAVE = b"\x1b[?1049l\x1b[?25h\x1b[0m"  # the other screen, the cursor, no colour
_MARGIN_S = 0.005
_USUAL = 80, 24  # where a terminal does not say


class Face:
    """The terminal while it is ours: another screen, no cursor, keys one by one. May be left and entered again."""

    def __init__(self) -> None:
        self.keys = Keys()
        self.console = Console(
            file=sys.stdout, force_terminal=True, force_jupyter=False, legacy_windows=False, markup=False, emoji=False,
            highlight=False,
        )  # fmt: skip
        self.plain = (self.console.encoding or "").lower().replace("-", "") != "utf8"
        self._live: Live | None = None
        self._drawn: tuple[tuple[int, int], list[Row]] | None = None

    def enter(self) -> None:
        """Take it."""
        self.keys.begin()
        self._drawn = None
        if self._live is None:
            self._live = Live(
                Text(""), console=self.console, screen=True, auto_refresh=False, redirect_stdout=False,
                redirect_stderr=False,
            )  # fmt: skip
            self._live.start()

    def leave(self) -> None:
        """Give it back."""
        live, self._live = self._live, None
        try:
            if live is not None:
                live.stop()
        finally:
            self.keys.end()

    def leave_now(self) -> None:
        """The same for a signal that is not waited for: whatever was being drawn stays as it is."""
        self.keys.end()
        if self._live is not None:
            os.write(self.console.file.fileno(), _LEAVE)

    @property
    def size(self) -> tuple[int, int]:
        """As the terminal says at each look: COLUMNS and LINES of the environment do not change with a window."""
        width, height = 0, 0
        with suppress(OSError, ValueError):
            width, height = os.get_terminal_size(self.console.file.fileno())
        return width or _USUAL[0], height or _USUAL[1]

    def draw(self, rows: list[Row]) -> None:
        """Show these rows, where they are not what is shown."""
        size = self.size
        now = (size, rows)
        if now == self._drawn or self._live is None:
            return
        self._drawn = now
        self.console.size = size
        spans = [span for row in rows for span in (*row, ("\n", ""))][:-1]
        self._live.update(Text.assemble(*spans, no_wrap=True, overflow="crop"), refresh=True)


class _Signals(Signals):
    """As for the other verbs; a second one that is not waited for still leaves the terminal as it was."""

    def __init__(self, face: Face) -> None:
        super().__init__()
        self._face = face
        self._also_kept: dict[int, object] = {}
        self.stops = False
        self.goes_on = False

    def __enter__(self) -> None:
        super().__enter__()
        for number in (signal.SIGTSTP, signal.SIGCONT, signal.SIGWINCH):
            self._also_kept[number] = signal.signal(number, self._take)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._also_kept.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us
        super().__exit__()

    def _take(self, number: int, frame: FrameType | None) -> None:
        """Noted: the wakeup pipe ends the wait, and the size is asked for at each frame."""
        del frame
        self.stops = self.stops or number == signal.SIGTSTP
        self.goes_on = self.goes_on or number == signal.SIGCONT

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.came():
            self._face.leave_now()
        super()._note(number, frame)

    def stop(self) -> None:
        """Ctrl-Z: stop as anybody would, and go on from here when the shell says so."""
        self.stops = False
        self._face.leave()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, self._take)
        self.goes_on = False
        self._face.enter()


def show(session: Session, root: Root, experiment: str, ending: Ending) -> None:
    """Watch until `q`, or until something else ends it. `Interrupted` where that was a signal."""
    face = Face()
    seen = pilot.Pilot(root, experiment, actor=session.actor, plain=face.plain, has_keys=face.keys.descriptor >= 0)
    signals = _Signals(face)
    with Waker(face.keys.descriptor) as waker, signals:
        ending.begin()
        face.enter()
        try:
            _loop(face, seen, signals, waker, ending)
        finally:
            face.leave()


def _loop(face: Face, seen: pilot.Pilot, signals: _Signals, waker: Waker, ending: Ending) -> None:
    look_at_s = 0.0
    while not seen.is_over:
        if signals.stops:
            signals.stop()
        if signals.goes_on:  # after a stop that nobody could catch, a shell may have changed the terminal
            signals.goes_on = False
            face.leave()
            face.enter()
        busy = False
        if time.monotonic() >= look_at_s:
            busy = bool(seen.look())
            look_at_s = time.monotonic() + LOOK_S
        if ending.is_reached(busy=busy or seen.is_busy, came=signals.came()):
            return
        face.draw(seen.rows(*face.size))
        left_s = look_at_s - time.monotonic()
        if waker.wait(min(max(left_s, 0.0) + _MARGIN_S, ending.left_s())):
            typed = face.keys.read()
            if typed is None:
                waker.deaf()
            for key in typed or ():
                if seen.press(key):
                    face.keys.forget()  # what was typed ahead is no answer to a question that nobody had seen
                    break
