"""How a command that runs something takes Ctrl-C and TERM."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType


class Signals:
    """Ctrl-C, TERM and a closed terminal are noticed by whoever waits for the run, when nothing is half written.

    The second one is not waited for: the process ends as it would have without us.
    """

    def __init__(self, *, limit: bool = False) -> None:
        """`limit`: an engine says by USR1 that the time which it gives is nearly up. Noted, and not waited for less."""
        self._also = (signal.SIGUSR1,) if limit else ()
        self._came = ""
        self._is_asked = False
        self._before: dict[int, object] = {}

    def came(self) -> str:
        return self._came

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, *self._also):
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                self._before[number] = signal.signal(number, self._note)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal gave us

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        if self._is_asked and number not in self._also:
            signal.signal(number, signal.SIG_DFL)
            signal.raise_signal(number)
        self._is_asked = self._is_asked or number not in self._also
        self._came = self._came or signal.Signals(number).name
