"""What the live page remembers between two requests: the news, a few tables of runs, a few pictures. All of it bounded.

Nothing is kept that the disk does not have: each is known by the size and the time of the files it was made from.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from threading import Lock
from typing import TYPE_CHECKING

from lab.core import layout
from lab.web.columns import Columns
from lab.web.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.projections.index import Index
    from lab.projections.picture.stairs import Walk
    from lab.projections.picture.whole import Picture
    from lab.store.root import Root
    from lab.web.drawn import Drawn as Drawings

MOST_PICTURES = 3
MOST_TABLES = 4
LEAST_S = 3.0  # between two pictures of an experiment that somebody looks at
AGAIN = 30  # and so many times what making one takes: a page that is open takes a thirtieth of a processor at most
MOST_ROWS = 200_000  # of all tables together; one that is larger is kept alone
Stamp = tuple[tuple[int, int, int], ...]


class Drawn:
    """A picture, what each run is in it, how far its walks came, from which files it was made, and what CPU that took.

    Its drawings are made once somebody asks for them.
    """

    def __init__(
        self, picture: Picture, kinds: Sequence[str], walks: Mapping[str, Walk], stamp: Stamp, took_s: float
    ) -> None:
        self.picture = picture
        self.kinds = kinds
        self.walks = walks
        self.stamp = stamp
        self.took_s = took_s
        self.made_s = time.monotonic()
        self._drawings: Drawings | None = None

    def drawings(self, link: Callable[[str], str]) -> Drawings:
        """The same each time, so `link` is that of the first who asked."""
        from lab.web import drawn  # noqa: PLC0415  # draws in what only an experiment's page needs

        made = self._drawings
        if made is None:
            began_s = time.thread_time()
            made = self._drawings = drawn.of(self.picture, link)
            self.took_s += time.thread_time() - began_s
        return made


class Live:
    """Of one lab."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self.feed = Feed(root)
        self._lock = Lock()
        self._drawing = Lock()  # one picture at a time: of 10,000 runs it takes memory for a moment
        self._pictures: OrderedDict[str, Drawn] = OrderedDict()
        self._tables: OrderedDict[str, Columns] = OrderedDict()
        self._index: tuple[tuple[int, int, int], Index] | None = None

    def picture(self, experiment: str) -> Drawn:
        """The picture of an experiment as its files are now."""
        from lab.projections.picture import stairs, whole  # noqa: PLC0415  # draws in what only an experiment's page needs
        from lab.scheduler.results import pictured  # noqa: PLC0415  # the same

        known = self._pictures.get(experiment)
        if known is not None and known.stamp == self._stamp(experiment):
            return known
        with self._drawing:
            stamp = self._stamp(experiment)
            known = self._pictures.get(experiment)
            if known is not None and known.stamp == stamp:  # somebody made it while we waited
                return known
            began_s = time.thread_time()
            given = pictured.read(self._root, experiment)
            made, (kinds, walks) = whole.of(given), stairs.walked(given)
            drawn = Drawn(made, kinds, walks, stamp, time.thread_time() - began_s)
            self._pictures[experiment] = drawn
            self._pictures.move_to_end(experiment)
            while len(self._pictures) > MOST_PICTURES:
                self._pictures.popitem(last=False)
            return drawn

    def newest(self, experiment: str) -> Drawn:
        """The last picture that was made, whatever happened since; a new one where there is none."""
        return self._pictures.get(experiment) or self.picture(experiment)

    def recent(self, experiment: str) -> Drawn:
        """The last picture, unless it is so old that making a new one is cheap beside the time it stood."""
        known = self._pictures.get(experiment)
        if known is not None and time.monotonic() - known.made_s < max(LEAST_S, known.took_s * AGAIN):
            return known
        return self.picture(experiment)

    def index(self) -> Index:
        """The experiments of the lab."""
        from lab.scheduler.results import pictured  # noqa: PLC0415  # as above

        with self._lock:
            stamp = _seen(self._root.layout.index)
            if self._index is None or self._index[0] != stamp:
                self._index = (stamp, pictured.lab(self._root))
            return self._index[1]

    def table(self, experiment: str) -> Columns:
        """Its table of runs; who uses it holds its lock and renews it."""
        with self._lock:
            found = self._tables.pop(experiment, None) or Columns(self._root, experiment)
            self._tables[experiment] = found
            while len(self._tables) > MOST_TABLES or (
                len(self._tables) > 1 and sum(map(len, self._tables.values())) > MOST_ROWS
            ):
                self._tables.popitem(last=False)
            return found

    def _stamp(self, experiment: str) -> Stamp:
        """What changes when anything that the picture shows does."""
        place = self._root.layout
        files = (place.status(experiment), place.page(experiment, layout.METRICS_LOG), place.spec(experiment),
                 place.claims(experiment))  # fmt: skip
        return tuple(map(_seen, files))


def _seen(path: str) -> tuple[int, int, int]:
    try:
        seen = os.stat(path)
    except OSError:
        return (0, 0, 0)
    return (seen.st_ino, seen.st_size, seen.st_mtime_ns)
