"""The digests of a user's files, known again while the files look as they did: a project may rest on gigabytes.

Kept from process to process in the lab's scratch, for what takes long to read. Derived: where that file is damaged or
gone, everything is read anew. Not promised: that a change is seen which leaves inode, size and both times as they were,
as on a server whose clock is far off; what a phase was given is read anew before it begins and when it has ended.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import contents, reading

if TYPE_CHECKING:
    from lab.store.root import Root

FOLDER = "scratch/research/digests"
MOST_FILES = 50_000
_SETTLED_NS = 2_000_000_000  # a file may be written again within a tick of its clock, and look the same
_HELD_S = 60.0  # for which one that was just written is known to this process: from a look to the section after it
_PER_FILE = 1 << 16  # what opening one costs, in bytes that are read meanwhile
_WORTH = 16 << 20

Looks = tuple[int, int, int, int]


class Seen(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a file looked, and what it was. `until`: by this process's clock; None where it holds while it looks so."""

    looks: Looks
    sha256: str
    until: float | None = None


class Page(Record, frozen=True, kw_only=True):
    """What is kept, by the whole path of each file."""

    files: dict[str, Seen]


@lru_cache(maxsize=16)
def _seen_here(_place: str) -> dict[str, Seen]:
    """What this process has seen itself, by where it is kept."""
    return {}


class Digests:
    """Of one project. Without a root nothing is known again."""

    def __init__(self, root: Root | None = None, experiment: str = "") -> None:
        self._root = root
        self._place = root.layout.place(f"{FOLDER}/{experiment}.json") if root is not None else ""
        self._seen = _seen_here(self._place) if root is not None else {}
        self._kept: dict[str, Seen] | None = None  # of other processes; read when something is not known
        self._cost = 0

    def of(self, path: str) -> str:
        """The digest of a plain file; empty for what is none."""
        looks = _looks(path)
        known = self._known(path, looks)
        if known:
            return known
        begun = time.time_ns()
        found = contents.look(path)
        if found is None or found.link:
            return ""
        if looks == _looks(path):
            is_settled = max(looks[2], looks[3]) + _SETTLED_NS < begun
            self._seen[path] = Seen(looks, found.sha256, None if is_settled else time.monotonic() + _HELD_S)
            self._cost += found.size + _PER_FILE if is_settled else 0
        return found.sha256

    def keep(self) -> None:
        """Leave what is known to the next process, where it took long. A disk that refuses is not our trouble here."""
        if self._root is None or self._cost < _WORTH:
            return
        known = {**self._others(), **{path: seen for path, seen in self._seen.items() if seen.until is None}}
        if len(known) > MOST_FILES:
            known = dict(list(known.items())[-MOST_FILES:])
        with suppress(OSError):
            self._root.files.folder(os.path.dirname(self._place))
            self._root.files.replace(self._place, encode(Page(files=known)))
        self._cost, self._kept = 0, known

    def forget(self) -> None:
        """Nothing of it is to be believed: a file is not what was kept of it."""
        self._seen.clear()
        self._kept = {}
        if self._root is not None:
            with suppress(OSError):
                self._root.files.discard(self._place)

    def _known(self, path: str, looks: Looks) -> str:
        seen = self._seen.get(path)
        if seen is not None and seen.looks == looks and (seen.until is None or time.monotonic() < seen.until):
            return seen.sha256
        seen = self._others().get(path)
        return seen.sha256 if seen is not None and seen.looks == looks and seen.until is None else ""

    def _others(self) -> dict[str, Seen]:
        if self._kept is None:
            self._kept = {}
            data = reading.read(self._place) if self._root is not None else None
            with suppress(Corrupt):
                self._kept = parse(Page, data, self._place).files if data is not None else {}
        return self._kept


def _looks(path: str) -> Looks:
    about = os.stat(path, follow_symlinks=False)
    return about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns
