"""Answers of hosts as they came, by the digest of their request: who asks the same again has it already.

A file is a line that says what was asked and when, and then the answer. One that is damaged, old, or of another request
is no answer, and the host is asked again. Who writes the first one of a process removes those that are too old.
"""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import leases, reading

if TYPE_CHECKING:
    from lab.store.root import Root

FOLDER = "scratch/research/cache"
KEPT_DAYS = 30  # after which a search may find what was not written yet
_MOST_SEEN = 20_000  # files of a sweep: a month of asking leaves fewer


class Answer(Record, frozen=True, kw_only=True):
    """What a host answered to a request; `url` has no key in it."""

    host: str
    url: str
    fetched_at: str
    sha256: str


class Cache:
    def __init__(self, root: Root) -> None:
        self._root = root
        self._is_swept = False

    def find(self, url: str) -> tuple[Answer, bytes] | None:
        line, _, body = (reading.read(self._place(url)) or b"").partition(b"\n")
        try:
            answer = parse(Answer, line, self._place(url))
            age = self._root.world.now() - datetime.fromisoformat(answer.fetched_at)
        except (Corrupt, ValueError, TypeError):
            return None
        fits = answer.url == url and answer.sha256 == canonical.digest(body)
        return (answer, body) if fits and age <= timedelta(days=KEPT_DAYS) else None

    def keep(self, answer: Answer, body: bytes) -> None:
        self._root.files.replace(self._place(answer.url), encode(answer) + body)
        if not self._is_swept:
            self._is_swept = True
            self._sweep()

    def _sweep(self) -> None:
        """Remove what nobody is told any more. It is only room: what cannot be removed stays."""
        oldest_s = leases.server_time(self._root) - KEPT_DAYS * 86_400
        with suppress(OSError), os.scandir(self._root.layout.place(FOLDER)) as entries:
            for entry in islice(entries, _MOST_SEEN):
                if entry.is_file(follow_symlinks=False) and entry.stat(follow_symlinks=False).st_mtime < oldest_s:
                    self._root.files.discard(entry.path)

    def _place(self, url: str) -> str:
        return self._root.layout.place(f"{FOLDER}/{canonical.digest(url.encode())}")
