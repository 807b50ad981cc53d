"""What the live page remembers between two requests: the news, a few tables of runs, a few pictures. All of it bounded.

Nothing is kept that the disk does not have: each is known by the size and the time of the files it was made from.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from contextlib import suppress
from functools import reduce
from threading import Lock, Thread
from typing import TYPE_CHECKING

from lab.core.errors import LabError
from lab.scheduler.results import kept
from lab.scheduler.results.kept import Kept
from lab.web.columns import Columns, Judged, mark
from lab.web.feed import Feed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.projections.index import Index
    from lab.projections.picture.given import Given
    from lab.projections.picture.whole import Picture
    from lab.scheduler.results.kept import Seen, Stamp
    from lab.store.root import Root
    from lab.web.drawn import Arranged

MOST_PICTURES = 3
MOST_TABLES = 4
LEAST_S = 3.0  # between two pictures of an experiment that somebody looks at
AGAIN = 30  # and so many times what making one takes: a page that is open takes a thirtieth of a processor at most
AT_ONCE_S = 0.02  # what takes no longer is not worth an answer that may be behind
MOST_ROWS = 200_000  # of all tables together; one that is larger is kept alone


class LivePicture:
    """A picture, and what CPU it took. Its drawings are made once somebody asks."""

    def __init__(self, picture: Picture, took_s: float) -> None:
        self.picture = picture
        self.took_s = took_s
        self._drawings: Arranged | None = None

    def drawings(self, link: Callable[[str], str]) -> Arranged:
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
        self._beside = Lock()  # held while a thread of ours finds out what each run is
        self._pictures: Kept[LivePicture] = Kept(MOST_PICTURES)
        self._judged: Kept[Judged] = Kept(MOST_TABLES)
        self._tables: OrderedDict[str, Columns] = OrderedDict()
        self._index: tuple[Seen, Index] | None = None

    def picture(self, experiment: str) -> LivePicture:
        """The picture of an experiment as its files are now."""
        from lab.projections.picture import whole  # noqa: PLC0415  # draws in what only an experiment's page needs
        from lab.scheduler.results import pictured  # noqa: PLC0415  # the same

        known = self._pictures.get(experiment)
        if known is not None and known.stamp == self._stamp(experiment):
            return known.made
        with self._drawing:
            stamp = self._stamp(experiment)
            known = self._pictures.get(experiment)
            if known is not None and known.stamp == stamp:  # somebody made it while we waited
                return known.made
            began_s = time.thread_time()
            given = pictured.read(self._root, experiment)
            made = whole.of(given)
            took_s = time.thread_time() - began_s
            drawn = self._pictures.put(experiment, LivePicture(made, took_s), stamp, took_s).made
            self._judge(given, stamp[:-1], time.thread_time())
            return drawn

    def newest(self, experiment: str) -> LivePicture | None:
        """The last picture that was made, whatever happened since."""
        known = self._pictures.get(experiment)
        return known.made if known is not None else None

    def judged(self, experiment: str) -> Judged:
        """What each run is. Of a long experiment what was known last: whoever types into a filter waits for nothing.

        Then it is found out anew meanwhile, unless that is dear beside the time that the last stood.
        """
        known, stamp = self._judged.get(experiment), kept.pages(self._root, experiment)
        if known is None or (known.stamp != stamp and known.took_s <= AT_ONCE_S):
            return self.judge(experiment)
        if known.stamp != stamp and not known.rests(AGAIN, LEAST_S) and self._beside.acquire(blocking=False):
            try:
                Thread(target=self._renew, args=(experiment,), name="lab-kinds", daemon=True).start()
            except RuntimeError:  # the machine has no thread left
                self._beside.release()
        return known.made

    def judge(self, experiment: str) -> Judged:
        """What each run is, as the files are now. Waits for no picture: one of another experiment may take seconds."""
        from lab.projections.picture.given import Given  # noqa: PLC0415  # as above
        from lab.scheduler.results import table  # noqa: PLC0415  # as above

        stamp = kept.pages(self._root, experiment)
        known = self._judged.get(experiment)
        if known is not None and known.stamp == stamp:
            return known.made
        began_s = time.thread_time()
        found = table.read(self._root, experiment)
        return self._judge(Given(view=found.view, spec=found.spec, lines=found.lines), stamp, began_s)

    def _judge(self, given: Given, stamp: Stamp, began_s: float) -> Judged:
        from lab.projections.picture import stairs  # noqa: PLC0415  # as above

        found = stairs.everything(given)
        told = Judged(found.kinds, found.walks, reduce(lambda before, line: mark(line.run_id, before), given.lines, 0))
        with self._lock:
            return self._judged.put(given.view.experiment, told, stamp, time.thread_time() - began_s).made

    def _renew(self, experiment: str) -> None:
        """In a thread of its own. What goes wrong is told to whoever asks next, who needs the same files."""
        try:
            with suppress(LabError, OSError):
                self.judge(experiment)
        finally:
            self._beside.release()

    def index(self) -> Index:
        """The experiments of the lab."""
        from lab.scheduler.results import pictured  # noqa: PLC0415  # as above

        with self._lock:
            stamp = kept.seen(self._root.layout.index)
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
        return (*kept.pages(self._root, experiment), kept.claims(self._root, experiment))
