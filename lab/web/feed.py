"""What happens in the lab while pages are open: one watcher looks for all of them, and only while there are any.

A look is a `stat` of the ledger. News is read from the ledger's end and from the state that each run's pages carry, so
that it costs the same after 100 runs and after 100,000. The id of an event is how far into the ledger it goes: a page
that was cut off goes on from there. What a reader who does not read misses is told by `stale`, and it asks anew. A disk
that is away is told, and so is its return.
"""

from __future__ import annotations

import re
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import msgspec

from lab.core import event as kinds
from lab.core.errors import LabError
from lab.projections import data, text
from lab.scheduler.results import happened, happening, kept
from lab.scheduler.results.happening import Happening
from lab.store.root import still_there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.view import View
    from lab.scheduler.results.happening import Heard
    from lab.scheduler.results.kept import Seen
    from lab.store.root import Root

LOOK_S = 0.5
HEARTBEAT_S = 15.0
MOST_WAITING = 64  # messages for a reader who does not read
MOST_BEHIND_BYTES = 1 << 20  # of ledger; a page that is further behind asks for everything anew
JUDGED_BYTES = 1 << 17  # of a table of runs, some 200: a new best is held against no more while pages wait for news
_STEP_S = 0.25  # a stream that has nothing to say lets whoever sends it look whether it should end
_NUMBER = re.compile("[0-9]{1,20}")
RUN, DECISION, UNDER_WAY, LAB, STALE, AWAY = "run", "decision", "under-way", "lab", "stale", "away"


class PageNews(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is new about one experiment, or about the lab as a whole. Its size does not depend on how much there is."""

    experiment: str = ""
    run: str = ""
    outcome: str = ""
    value: float | None = None
    new: int = 0  # how many runs were sealed since the last look
    runs: int = 0
    outcomes: dict[str, int] = {}
    phase: str = ""
    best: float | None = None
    best_run: str = ""
    is_best: bool = False
    says: str = ""  # the same in a sentence, for the page's list of news


class Listener:
    """One open page."""

    def __init__(self, experiment: str) -> None:
        self.experiment = experiment  # empty: all of them
        self._waiting: Queue[bytes] = Queue(MOST_WAITING)
        self.dropped = False

    def put(self, about: str, message: bytes) -> None:
        """Hand it on, unless it is about another experiment. Never waits."""
        if self.experiment and about != self.experiment:
            return
        try:
            self._waiting.put_nowait(message)
        except Full:
            self.dropped = True

    def next(self, wait_s: float) -> bytes | None:
        try:
            return self._waiting.get(timeout=wait_s)
        except Empty:
            return None


class Feed:
    """The news of one lab, for any number of pages."""

    def __init__(self, root: Root, *, look_s: float = LOOK_S) -> None:
        self._root = root
        self.look_s = look_s
        self._lock = Lock()
        self._listeners: set[Listener] = set()
        self._over: Event | None = None  # of the watcher that is at work
        self._ledger = Happening(root)
        self._index: Seen = (0, 0, 0)
        self._claims: dict[str, int] = {}
        self._is_away = False
        self._away = b""

    @property
    def at(self) -> int | str:
        """How far the ledger goes: a page that is made now needs no news of what is before. Empty without a ledger."""
        try:
            return happening.end_of(self._root)
        except LabError:
            return ""

    def mark(self, experiment: str) -> str:
        """Where all that can be news stands, for a page that is about to be made: its stream goes on from there.

        `Unavailable` where the lab is not there: what is kept of it is no page of it.
        """
        still_there(self._root)
        return f"{self.at}.{happening.claims_at(self._root, experiment)}.{self._indexed()[2]}"

    def stream(self, experiment: str, mark: str) -> Iterator[bytes]:
        """Server-sent events, until the reader is gone. `mark`: where the reader is, or the id of its last event."""
        listener = Listener(experiment)
        try:
            yield b"retry: 2000\n\n"
            self._join(listener, mark)
            yield b"event: hello\ndata: {}\n\n"  # a page that was cut off knows that it is heard again
            quiet_s = 0.0
            while not listener.dropped:
                message = listener.next(_STEP_S)
                if message is not None:
                    quiet_s = 0.0
                    yield message
                    continue
                quiet_s += _STEP_S
                if quiet_s >= HEARTBEAT_S:
                    quiet_s = 0.0
                    yield b": still here\n\n"
                else:
                    yield b""
        finally:
            self._leave(listener)

    # -- who listens -------------------------------------------------------------------------------------------------

    def _join(self, listener: Listener, mark: str) -> None:
        with self._lock:
            if self._over is None:
                self._ledger, self._index, self._claims = Happening(self._root), self._indexed(), {}
                self._over, self._is_away = Event(), False
                Thread(target=self._watch, args=(self._over,), name="lab-feed", daemon=True).start()
            self._listeners.add(listener)
            self._catch_up(listener, mark)

    def _catch_up(self, listener: Listener, mark: str) -> None:
        """Tell one that has just come what it missed."""
        name, end = listener.experiment, self._ledger.end
        if self._is_away:
            listener.put(name, self._away)
            return
        after, claims, index = _parts(mark)
        claimed = self._claims.setdefault(name, happening.claims_at(self._root, name)) if name else None
        if claims is not None and name and claims != claimed:
            listener.put(name, _message(UNDER_WAY, end, PageNews(experiment=name)))
        if index is not None and index != self._index[2]:
            listener.put("", _message(LAB, end, PageNews()))
        if after is None or after == end:
            return
        if not 0 <= end - after <= MOST_BEHIND_BYTES:
            listener.put(name, _message(STALE, end, PageNews()))
            return
        for heard in self._ledger.past(after):
            listener.put(heard.experiment, self._told(heard))

    def _leave(self, listener: Listener) -> None:
        with self._lock:
            self._listeners.discard(listener)
            if all(each.experiment != listener.experiment for each in self._listeners):
                self._claims.pop(listener.experiment, None)
            if not self._listeners and self._over is not None:
                self._over.set()
                self._over = None

    # -- looking -----------------------------------------------------------------------------------------------------

    def _watch(self, over: Event) -> None:
        try:
            while not over.wait(self.look_s):
                with self._lock:
                    if over.is_set():
                        return
                    self._look_or_tell()
        finally:
            with self._lock:
                # Where it did not end because nobody listens, the pages ask again, and begin a new one.
                if self._over is over:
                    self._over = None
                    for listener in self._listeners:
                        listener.dropped = True

    def _look_or_tell(self) -> None:
        """A disk that is away may come back: that is told once, and then looked for again."""
        try:
            self._look()
        except (OSError, LabError) as error:
            if not self._is_away:
                says = error.what if isinstance(error, LabError) else str(error)
                self._is_away = True
                self._away = _message(AWAY, -1, PageNews(says=text.line(f"the lab cannot be read: {says}")))
                self._send_all(self._away)
            return
        if self._is_away:
            self._is_away = False
            self._send_all(_message(STALE, self._ledger.end, PageNews(says="the lab can be read again")))

    def _look(self) -> None:
        """One look: what the ledger, the index and the claims have that they had not before."""
        if not 0 <= self._ledger.behind_bytes <= MOST_BEHIND_BYTES:  # cut, exchanged, or a flood
            self._ledger.skip()
            self._send_all(_message(STALE, self._ledger.end, PageNews()))
        for heard in self._ledger.look():
            self._send(heard.experiment, self._told(heard))
        index = self._indexed()
        if index != self._index:
            self._index = index
            self._send("", _message(LAB, self._ledger.end, PageNews()))
        self._look_at_claims()

    def _look_at_claims(self) -> None:
        """A run that begins writes no line into the ledger; it takes a claim."""
        for name in {listener.experiment for listener in self._listeners if listener.experiment}:
            changed = happening.claims_at(self._root, name)
            if self._claims.get(name) != changed:
                self._claims[name] = changed
                self._send(name, _message(UNDER_WAY, self._ledger.end, PageNews(experiment=name)))

    def _indexed(self) -> Seen:
        return kept.seen(self._root.layout.index)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _send(self, about: str, message: bytes) -> None:
        for listener in self._listeners:
            listener.put(about, message)

    def _send_all(self, message: bytes) -> None:
        for listener in self._listeners:
            listener.put(listener.experiment, message)

    def _told(self, heard: Heard) -> bytes:
        """Of several runs that ended the last; else the last that was decided."""
        each = happened.of(self._root, heard, JUDGED_BYTES)
        sealed = [told for told in each if told.what == kinds.RUN_SEALED]
        last = (sealed or each)[-1]
        says = happened.sentence(last) + (f" (and {len(sealed) - 1} more)" if len(sealed) > 1 else "")
        view = heard.state.view if heard.state is not None else None
        news = _standing(heard.experiment, view, says=says)
        if not sealed:
            return _message(DECISION, heard.end, news)
        news = msgspec.structs.replace(
            news, run=last.run, outcome=last.outcome, value=last.value, new=len(sealed),
            is_best=news.best_run == last.run,
        )  # fmt: skip
        return _message(RUN, heard.end, news)


def _parts(mark: str) -> tuple[int | None, int | None, int | None]:
    """How far into the ledger, and when the claims and the index were changed; None for what it does not say."""
    told = [int(part) if _NUMBER.fullmatch(part) else None for part in mark.split(".")[:3]]
    after, claims, index = (*told, None, None)[:3]
    return after, claims, index


def _standing(name: str, view: View | None, *, says: str) -> PageNews:
    if view is None:
        return PageNews(experiment=name, says=says)
    best = view.best
    return PageNews(
        experiment=name,
        runs=view.runs,
        outcomes=view.outcomes,
        phase=view.phase,
        best=best.value if best else None,
        best_run=best.run_id if best else "",
        says=says,
    )


def _message(kind: str, end: int, news: PageNews) -> bytes:
    """One server-sent event; with an `end` below 0 a page stays where it is. JSON has no newline that could end it."""
    at = b"id: %d\n" % end if end >= 0 else b""
    return b"%sevent: %s\ndata: %s\n\n" % (at, kind.encode(), data.encode(news))
