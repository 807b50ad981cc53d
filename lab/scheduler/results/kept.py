"""What was made from an experiment's files and is dear to make again: kept while the files are as they were.

For whoever looks again and again: the live page, `labctl watch`. Nothing is kept that the disk does not have.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from typing import TYPE_CHECKING, Generic, NamedTuple, TypeVar

from lab.core import layout

if TYPE_CHECKING:
    from lab.store.root import Root

Seen = tuple[int, int, int]
Stamp = tuple[Seen, ...]
Made = TypeVar("Made")


class One(NamedTuple, Generic[Made]):
    """Something that was made, from which files, what CPU that took, and when it was."""

    made: Made
    stamp: Stamp
    took_s: float
    made_s: float

    def rests(self, share: float, least_s: float = 0.0) -> bool:
        """Whether making another one now would take more than one part in `share` of the time."""
        return time.monotonic() - self.made_s < max(least_s, share * self.took_s)


class Kept(Generic[Made]):
    """The last few that were made, by name."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._all: OrderedDict[str, One[Made]] = OrderedDict()

    def get(self, name: str) -> One[Made] | None:
        """The last of this name, whatever happened since."""
        return self._all.get(name)

    def put(self, name: str, made: Made, stamp: Stamp, took_s: float) -> One[Made]:
        """Keep it, in place of an older one or of the one that was made first."""
        kept = self._all[name] = One(made, stamp, took_s, time.monotonic())
        self._all.move_to_end(name)
        while len(self._all) > self._most:
            self._all.popitem(last=False)
        return kept


def seen(path: str) -> Seen:
    """What changes when a file does; zeros where it cannot be looked at."""
    try:
        found = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (found.st_ino, found.st_size, found.st_mtime_ns)


def pages(root: Root, experiment: str) -> Stamp:
    """What changes when a run ends, something is decided, or the SPEC is written."""
    place = root.layout
    files = (place.status(experiment), place.page(experiment, layout.METRICS_LOG), place.spec(experiment))
    return tuple(map(seen, files))


def claims(root: Root, experiment: str) -> Seen:
    """What changes when a run begins."""
    return seen(root.layout.claims(experiment))
