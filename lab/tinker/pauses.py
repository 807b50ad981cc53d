"""Why a chunk waits: what the SDK keeps to itself while it tries again.

A service whose bill is not paid, that has no room, that fails or is away looks the same from outside: nothing comes.
The SDK says the first two in its log, late; the answers that it gets are in the log of its HTTP library. Both are
listened to, and each pause becomes a record, so that whoever watches a chunk sees `paused: billing` and not a stall.
What is not seen: a service that answers properly, and slowly.
"""

from __future__ import annotations

import logging
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.tinker.rows import Pause, plain

if TYPE_CHECKING:
    from collections.abc import Callable

BILLING, CAPACITY, RATE, ERRORS, AWAY = "billing", "capacity", "rate limit", "errors", "away"
SAID = frozenset({BILLING, CAPACITY, RATE})  # in which the service is alive, and asks to wait
MOST = 1000  # records of one chunk
QUEUE_GRACE_S = 5.0  # the SDK would say after a quarter of an hour that it stands in a queue
_SDK, _HTTP, _TRANSPORT = "tinker", "httpx", "tinker._base_client"
_BILLED, _TRYING, _PAUSED, _REASON = "paused due to billing", "because of try_again", "is paused", "Reason: "
_NOWHERE = "-"  # the address of whom nobody answered
_PAYMENT, _TOO_MANY, _FAILING, _GOOD = 402, 429, 500, 300


class Pauses(logging.Handler):
    """Listens while it is attached. `tell` gets a record when a pause begins, and the same one when it is over."""

    def __init__(self, tell: Callable[[Pause], None], say: Callable[[str], None] = lambda _words: None) -> None:
        super().__init__(logging.DEBUG)
        self._tell, self._say = tell, say
        self._open: dict[str, tuple[Pause, str]] = {}  # with the address that was refused
        self._told = 0
        self._guard = threading.Lock()
        self._levels: list[tuple[logging.Logger, int, bool]] = []
        self.said_at_s: float | None = None  # by time.monotonic(): when the service last asked to wait, or ceased to

    @property
    def words(self) -> str:
        """What the latest pause that goes on is about, in the words of who told it."""
        with self._guard:
            pauses = [pause for pause, _ in self._open.values()]
        return f"{pauses[-1].what}: {pauses[-1].words}" if pauses else ""

    @property
    def is_asked_to_wait(self) -> bool:
        """Whether the service itself does, now."""
        return not SAID.isdisjoint(self._open)

    def begin(self, what: str, words: str, address: str = "") -> None:
        """Something keeps the chunk waiting."""
        with self._guard:
            if what in SAID:
                self.said_at_s = time.monotonic()
            if what in self._open or self._told >= MOST:
                return
            pause = Pause(at=time.time(), what=what, words=plain(words))
            self._open[what] = (pause, address)
            self._told += 1
            self._write(pause)

    def away(self, words: str) -> None:
        """Nobody listens at the service yet; whoever reads the log hears of it while the chunk waits."""
        self._say(words)
        self.begin(AWAY, words)

    def over(self, address: str = "") -> None:
        """What was asked at this address was done. Without one: what was waited for came, whoever had told of a pause.

        A pause that an answer told of ends with a good answer from the same place, and with no other: of two requests
        that are on their way one may be held up.
        """
        if not self._open:
            return
        with self._guard:
            for what, (pause, refused) in [*self._open.items()]:
                if refused == address:
                    del self._open[what]
                    if what in SAID:
                        self.said_at_s = time.monotonic()
                    self._write(msgspec.structs.replace(pause, over=time.time()))

    def _write(self, pause: Pause) -> None:
        with suppress(LabError):  # a full disk stops the chunk at its next row, and not the thread of the SDK
            self._tell(pause)

    def attach(self) -> None:
        """Listen to the SDK, which must be loaded; it says no more on stderr."""
        from tinker.lib import queue_state_logger  # noqa: PLC0415  # the SDK is heavy, and what reads pauses lacks it

        queue_state_logger.PAUSE_GRACE_PERIOD = QUEUE_GRACE_S  # type: ignore[assignment]  # ours has a fraction
        for name, level in ((_SDK, logging.WARNING), (_HTTP, logging.INFO)):
            logger = logging.getLogger(name)
            self._levels.append((logger, logger.level, logger.propagate))
            logger.addHandler(self)
            logger.propagate = False
            logger.setLevel(level)

    def detach(self) -> None:
        """Leave the loggers as they were."""
        self.listen_closely(on=False)
        while self._levels:
            logger, level, propagate = self._levels.pop()
            logger.removeHandler(self)
            logger.propagate = propagate
            logger.setLevel(level)

    @staticmethod
    def listen_closely(*, on: bool) -> None:
        """Hear of connections that fail as well. It slows each call down: for a wait that is long already."""
        logging.getLogger(_TRANSPORT).setLevel(logging.DEBUG if on else logging.NOTSET)

    def emit(self, record: logging.LogRecord) -> None:
        """Take what was logged; called in whatever thread it was."""
        if record.name == _HTTP:
            self._answer(record)
        elif record.name == _TRANSPORT and record.levelno < logging.WARNING:
            failure = record.exc_info[1] if record.exc_info else None
            # A RuntimeError is that of a client which was closed here, and says nothing of the service.
            if isinstance(failure, Exception) and not isinstance(failure, RuntimeError):
                self.begin(AWAY, _reason(failure), _NOWHERE)
        elif record.levelno >= logging.WARNING:
            self._warning(record.getMessage())

    def _answer(self, record: logging.LogRecord) -> None:
        match record.args:
            case (_, url, _, int() as status, *_):
                address = str(url)
            case _:
                return
        if AWAY in self._open:
            self.over(_NOWHERE)
        if status < _GOOD:
            self.over(address)
        elif status == _PAYMENT:
            self.begin(BILLING, "HTTP 402: the account is not paid for", address)
        elif status == _TOO_MANY:
            self.begin(RATE, "HTTP 429: too many requests", address)
        elif status >= _FAILING:
            self.begin(ERRORS, f"HTTP {status}: it fails at its side", address)

    def _warning(self, text: str) -> None:
        if _BILLED in text:
            self.begin(BILLING, text)
        elif _PAUSED in text and _REASON in text:
            reason = text.partition(_REASON)[2]
            self.begin(RATE if "limit" in reason else CAPACITY, reason)
        elif _TRYING not in text:
            self._say(plain(text))


def _reason(error: BaseException) -> str:
    """The innermost words of an error: `Connection error.` says nothing."""
    words = [f"{type(error).__name__}: {error}"]
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__ or error
        words.append(str(error))
    return next((word for word in reversed(words) if word.strip()), words[0])
