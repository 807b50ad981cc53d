"""What the screen shows, read when it has changed: a look at what has not is a `stat` or two.

An experiment's state costs the same after 100 runs and after 100,000. Its staircase is made from all of them: of a long
one it is made again only so often that it takes a tenth of the time.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.cli.watching import news
from lab.core import layout
from lab.core.errors import LabError, NotFound
from lab.core.subject import Finding  # msgspec resolves annotations
from lab.projections import text
from lab.projections.picture import whole
from lab.projections.picture.given import lost
from lab.scheduler.results import kept, logged, pictured, present, tailed, wanted
from lab.scheduler.results.kept import Kept, Stamp
from lab.scheduler.results.present import Present  # msgspec resolves annotations
from lab.scheduler.results.wanted import Want

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.index import Index
    from lab.projections.picture.given import UnderWay
    from lab.projections.picture.whole import Picture
    from lab.scheduler.results.happened import Told
    from lab.scheduler.results.kept import Seen
    from lab.store.root import Root

MOST_NEWS = 200
MOST_LOG_LINES = 200
MOST_PICTURES = 3  # who goes to and fro between two sees both at once
MOST_LAST_LINES = 40  # of runs under way, how many are asked for their last line
LAST_CHARS = 400
_SHARE = 10  # a picture that takes 1 s is not made again for 10
_LAST_BYTES = 4096


class Experiment(msgspec.Struct, kw_only=True):
    """One experiment as it was at the last look. `picture` may be older: it tells how many runs it has."""

    name: str
    standing: Present | None = None
    wants: tuple[Want, ...] = ()
    trouble: str = ""
    stamp: Stamp = ()
    gone: tuple[Finding, ...] = ()  # of the wants, what follows from claims: no page changes when a holder dies


class LogEnd(msgspec.Struct, frozen=True, kw_only=True):
    """The end of what a run wrote. `note` says what is to be known of it besides."""

    run_id: str
    lines: tuple[str, ...] = ()
    note: str = ""


class Looker:
    """At one lab."""

    def __init__(self, root: Root) -> None:
        self._root = root
        self._news = news.News(root)
        self.news: list[Told] = []
        self.index: Index | None = None
        self.trouble = ""
        self._index_stamp: Seen | None = None
        self._experiment = Experiment(name="")
        self._pictures: Kept[Picture | None] = Kept(MOST_PICTURES)
        self._log: tuple[str, str, Seen, LogEnd] | None = None
        self._lasts: dict[str, tuple[Seen, str]] = {}

    @property
    def is_busy(self) -> bool:
        """Whether a run is under way, or something is yet to be told."""
        return bool(self._news.under_way or self._news.waits or self.trouble)

    def under_way(self, name: str) -> tuple[UnderWay, ...]:
        """The runs of an experiment that are not sealed."""
        return tuple(self._news.under_way.get(name, {}).values())

    def look(self) -> list[Told]:
        """Whatever happened in the lab since the last look. A disk that is away is told, and looked at again."""
        found: list[Told] = []
        try:
            found = self._news.look()
            self.news += found
            del self.news[:-MOST_NEWS]
            self._look_at_index()
            self.trouble = ""
        except (LabError, OSError) as error:
            self.trouble = text.line(f"the lab cannot be read now: {error}", 400)
        return found

    def names(self) -> list[str]:
        """The experiments of the lab."""
        return [row.id for row in self.index.experiments] if self.index else []

    def experiment(self, name: str) -> Experiment:
        """One of them, read again where its pages have changed."""
        stamp = (*kept.pages(self._root, name), kept.claims(self._root, name), kept.seen(self._root.layout.approvals))
        known, gone = self._experiment, tuple(lost(name, self.under_way(name)))
        if known.name == name and known.stamp == stamp and known.gone == gone:
            return known
        read = Experiment(name=name, stamp=stamp, gone=gone)
        try:
            read.standing = present.read(self._root, name)
            told = tuple((name, each) for each in (*read.standing.wants, *gone))
            read.wants = tuple(wanted.wants(self._root, told, only=name))
        except (LabError, OSError) as error:
            read.trouble = text.line(str(error), 400)
        self._experiment = read
        return read

    def lab_wants(self) -> list[tuple[str, Finding]]:
        """What is wrong with the lab, and what its experiments want."""
        if self.index is None:
            return []
        told = [("", alert) for alert in self.index.alerts]
        return told + [
            (row.id, each)
            for row in self.index.experiments
            for each in (*row.attention, *lost(row.id, self.under_way(row.id)))
        ]

    def picture(self, name: str) -> Picture | None:
        """The last picture of an experiment, made again where it is worth it."""
        stamp, known = kept.pages(self._root, name), self._pictures.get(name)
        if known is not None and (known.stamp == stamp or known.rests(_SHARE)):
            return known.made
        began_s = time.thread_time()
        made = None
        try:
            made = whole.of(pictured.read(self._root, name, with_diff=False))
        except (LabError, OSError):  # its page says so
            made = known.made if known is not None else None
        return self._pictures.put(name, made, stamp, time.thread_time() - began_s).made

    def log(self, name: str, run_id: str, stream: str) -> LogEnd:
        """The end of a log, read again where it has grown."""
        folder = self._root.layout.run(name, run_id)
        stamp = kept.seen(f"{folder}/{tailed.STREAMS[stream]}")
        sealed = kept.seen(f"{folder}/{layout.SEAL}")[1]
        key = f"{run_id} {sealed}"
        if self._log is not None and self._log[:3] == (key, stream, stamp):
            return self._log[3]
        try:
            piece = logged.Logged(self._root, run_id, stream).end_of_it(MOST_LOG_LINES)
            note = f"ended: {text.line(piece.ended)}" if piece.ended else ""
            lines = (*piece.lines, *([piece.unfinished] if piece.unfinished else []))
            found = LogEnd(run_id=run_id, lines=lines, note=note)
        except NotFound:
            found = LogEnd(run_id=run_id, note="it is not there any more")
        except (LabError, OSError) as error:
            found = LogEnd(run_id=run_id, note=text.line(str(error)))
        self._log = (key, stream, stamp, found)
        return found

    def last_lines(self, name: str, runs: Sequence[UnderWay]) -> dict[str, str]:
        """What each of these wrote last, of those that wrote something."""
        found: dict[str, tuple[Seen, str]] = {}
        for each in runs[:MOST_LAST_LINES]:
            path = f"{self._root.layout.run(name, each.run_id)}/{layout.STDOUT}"
            stamp = kept.seen(path)
            known = self._lasts.get(each.run_id)
            found[each.run_id] = known if known is not None and known[0] == stamp else (stamp, _last(path))
        self._lasts = found
        return {run_id: last for run_id, (_, last) in found.items()}

    def _look_at_index(self) -> None:
        stamp = kept.seen(self._root.layout.index)
        if stamp != self._index_stamp:
            self.index = pictured.lab(self._root)
            self._index_stamp = stamp


def _last(path: str) -> str:
    """The last line with something in it."""
    try:
        _, data = tailed.end(path)
    except (LabError, OSError):
        return ""
    lines = logged.shown([line for line in data[-_LAST_BYTES:].split(b"\n") if line.strip()])
    return text.line(next((line for line in reversed(lines) if line.strip()), ""), LAST_CHARS)
