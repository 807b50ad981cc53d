"""Waiting for answers, never for ever.

Against a service that is away the SDK waits without a limit and says nothing. Here each answer has a limit. Where the
service itself asked to wait (billing, capacity), the limit counts from when it last did. The end of the run's time
holds in any case. What is not waited for firmly is given up when the chunk is to end: `check` raises then.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import Future
from typing import TYPE_CHECKING, TypeVar

from lab.tinker import failures

if TYPE_CHECKING:
    from collections.abc import Callable

    from tinker import APIFuture

    from lab.tinker.failures import Doing
    from lab.tinker.pauses import Pauses

T = TypeVar("T")
CLOSE_LISTENING_S = 0.9  # after that long without an answer it is looked for why
_SAID_HOLDS_S = 90.0  # the SDK says once a minute that it stands in a queue
_SLICE_S = 0.5  # how late a wish to end is heard


class Waiting:
    def __init__(
        self,
        limit_s: float,
        pauses: Pauses,
        until_s: float | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        self.limit_s = limit_s
        self.until_s = until_s  # by time.monotonic(): shortly before the run is killed
        self.check = check  # raises where nothing should be waited for any more that can be done without
        self.waited_s = 0.0
        self._pauses = pauses

    def end(self) -> None:
        """There is nothing more to wait for: stop listening for why."""
        self._pauses.detach()

    def is_away(self, words: str) -> None:
        """Nobody is there yet. It is said at once, and holds until the first answer."""
        self._pauses.away(words)

    def answer(self, future: APIFuture[T], doing: Doing, *, firmly: bool = False) -> T:
        """What the service answers, or an error of ours."""
        return self._result(future.future(), doing, self.limit_s, firmly=firmly)

    def aside(self, call: Callable[[], T], doing: Doing, limit_s: float | None = None, *, firmly: bool = False) -> T:
        """What a call gives that waits by itself. One that never comes back is left where it is, in a thread."""
        future: Future[T] = Future()

        def body() -> None:
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001  # it is told, in the thread that waits for it
                future.set_exception(error)
            else:
                future.set_result(result)

        threading.Thread(target=body, name="tinker-call", daemon=True).start()
        return self._result(future, doing, self.limit_s if limit_s is None else limit_s, firmly=firmly)

    def _result(self, future: Future[T], doing: Doing, limit_s: float, *, firmly: bool) -> T:
        begun_s = time.monotonic()
        try:
            while not self._is_done(future, min(_SLICE_S, limit_s)):
                if not firmly:
                    self.check()
                self._look(doing, begun_s, limit_s)
        finally:
            waited_s = time.monotonic() - begun_s
            self.waited_s += waited_s
            if waited_s > CLOSE_LISTENING_S:
                self._pauses.listen_closely(on=False)
        error = future.exception()
        if error is not None:
            raise failures.told(error, doing) from error
        self._pauses.over()
        return future.result()

    @staticmethod
    def _is_done(future: Future[T], limit_s: float) -> bool:
        try:
            future.exception(limit_s)
        except TimeoutError:
            return False
        return True

    def _look(self, doing: Doing, begun_s: float, limit_s: float) -> None:
        now_s = time.monotonic()
        end_s = begun_s + limit_s
        said_s = self._pauses.said_at_s
        if said_s is not None:
            end_s = max(end_s, said_s + (max(limit_s, _SAID_HOLDS_S) if self._pauses.is_asked_to_wait else limit_s))
        why = self._pauses.words
        if self.until_s is not None and end_s > self.until_s:
            end_s = self.until_s
            why = f"the run's time is up; {why}" if why else "the run's time is up"
        if now_s >= end_s:
            raise failures.late(doing, now_s - begun_s, why)
        if now_s - begun_s > CLOSE_LISTENING_S:
            self._pauses.listen_closely(on=True)
