"""Who knew the token: the sessions of one server, in memory only, and what becomes of wrong guesses.

Nobody guesses 128 bits, so a wrong guess is looked at like a right one, and who knows the token is let in whatever
others try meanwhile: to keep the server shut for a while after wrong ones would only let anybody who can open the port
keep its owner out. What is bounded is the noise: of a flood of wrong ones, those that come within 1, 2, 4 ... 60 s of
the last that was told are not told, and are asked to come more slowly.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

LASTS_S = 12 * 3600.0
MOST_SESSIONS = 64
FREE_GUESSES = 4  # each of them is told: somebody pasted the wrong thing
LONGEST_WAIT_S = 60.0
TOKEN_PREFIX = "labctl-"  # noqa: S105  # by which people, and programs that look for leaked secrets, know it


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One login. `key` is not the cookie but its digest: who reads the server's memory for names finds no cookie."""

    key: str
    csrf: str
    until_s: float


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a login. A `cookie` where the token was right; else how many were wrong, and whether to tell."""

    cookie: str = ""
    wrong: int = 0  # so many guesses since the last right one
    wait_s: float = 0.0  # who tries wrong ones is asked to wait so long; it holds nobody off
    is_news: bool = True


class Sessions:
    """Safe to use from several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.token = TOKEN_PREFIX + secrets.token_hex(16)
        self._clock = clock
        self._lock = threading.Lock()
        self._wrong = self._told = 0
        self._quiet_until_s = 0.0
        self._there: dict[str, Session] = {}

    def enter(self, given: str) -> Guess:
        """A new session for who knows the token."""
        with self._lock:
            now_s = self._clock()
            if not hmac.compare_digest(_digest(given.strip()), _digest(self.token)):
                self._wrong += 1
                if now_s < self._quiet_until_s:
                    return Guess(wrong=self._wrong, wait_s=self._quiet_until_s - now_s, is_news=False)
                self._told += 1
                wait_s = _wait_s(self._told)
                self._quiet_until_s = now_s + wait_s
                return Guess(wrong=self._wrong, wait_s=wait_s)
            self._wrong, self._told, self._quiet_until_s = 0, 0, 0.0
            self._forget(now_s)
            cookie = secrets.token_urlsafe(32)
            key = _digest(cookie)
            self._there[key] = Session(key=key, csrf=secrets.token_urlsafe(32), until_s=now_s + LASTS_S)
            return Guess(cookie=cookie)

    def find(self, cookie: str) -> Session | None:
        """The session of a cookie, while it lasts."""
        found = self._there.get(_digest(cookie)) if cookie else None
        return found if found is not None and self._clock() < found.until_s else None

    def leave(self, key: str) -> None:
        """End a session. Gone already is as good."""
        with self._lock:
            self._there.pop(key, None)

    def _forget(self, now_s: float) -> None:
        """Make room: those that are over, and the oldest."""
        self._there = {key: each for key, each in self._there.items() if now_s < each.until_s}
        while len(self._there) >= MOST_SESSIONS:
            del self._there[next(iter(self._there))]


def agrees(session: Session, given: str) -> bool:
    """Whether a form was made for this session."""
    return hmac.compare_digest(_digest(session.csrf), _digest(given))


def _wait_s(told: int) -> float:
    """1, 2, 4 ... seconds, once the free guesses are used up."""
    return 0.0 if told <= FREE_GUESSES else min(2.0 ** min(told - FREE_GUESSES - 1, 30), LONGEST_WAIT_S)


def _digest(text: str) -> str:
    """Of a fixed length and plain letters, as a comparison in constant time wants it."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
