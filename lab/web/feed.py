"""What happens in the lab while pages are open: one watcher looks for all of them, and only while there are any.

A look is a `stat` of the ledger. News is read from the ledger's end and from the state that each run's pages carry, so
that it costs the same after 100 runs and after 100,000. The id of an event is how far into the ledger it goes: a page
that was cut off goes on from there. What a reader who does not read misses is told by `stale`, and it asks anew.
"""

from __future__ import annotations

import os
import re
from queue import Empty, Full, Queue
from threading import Event, Lock, Thread
from typing import TYPE_CHECKING

import msgspec

from lab.core import event as kinds
from lab.core import ids
from lab.core.errors import BadInput, LabError
from lab.projections import data, status, text
from lab.store import ledger, reading

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.event import Event as Told
    from lab.core.run import Run
    from lab.core.view import View
    from lab.projections.status import State
    from lab.store.root import Root

LOOK_S = 0.5
HEARTBEAT_S = 15.0
MOST_WAITING = 64  # messages for a reader who does not read
MOST_BEHIND_BYTES = 1 << 20  # of ledger; a page that is further behind asks for everything anew
_STEP_S = 0.25  # a stream that has nothing to say lets whoever sends it look whether it should end
_PATIENCE = 6  # looks that the pages of an experiment may lag behind the ledger before its news is told without them
_NUMBER = re.compile("[0-9]{1,20}")
_QUIET = frozenset({kinds.MODEL_ASKED, kinds.MODEL_ANSWERED, kinds.DIGEST_WRITTEN, kinds.PACKAGE_CLAIMED})
RUN, DECISION, UNDER_WAY, LAB, STALE = "run", "decision", "under-way", "lab", "stale"


class News(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
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


class _Touched:
    """An experiment that the ledger tells of, until its pages have it too."""

    def __init__(self) -> None:
        self.end = 0
        self.sealed = 0
        self.event: Told | None = None
        self.looks = 0

    def add(self, entry: ledger.Entry) -> None:
        if entry.line is None:
            return
        told = entry.line.event
        self.end = entry.end
        if told.type == kinds.RUN_SEALED:
            self.sealed += 1
            self.event = told
        elif told.type not in _QUIET and not self.sealed:
            self.event = told


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
        self._end = 0
        self._index: tuple[int, int, int] = (0, 0, 0)
        self._claims: dict[str, int] = {}
        self._touched: dict[str, _Touched] = {}
        self._is_away = False

    @property
    def at(self) -> int:
        """How far the ledger goes: a page that is made now needs no news of what is before."""
        return max(0, reading.size_of(self._root.layout.events))

    def mark(self, experiment: str) -> str:
        """Where all that can be news stands, for a page that is about to be made: its stream goes on from there."""
        return f"{self.at}.{self._claimed(experiment)}.{self._indexed()[2]}"

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
                self._end, self._index, self._touched = self.at, self._indexed(), {}
                self._claims = {}
                self._over = Event()
                Thread(target=self._watch, args=(self._over,), name="lab-feed", daemon=True).start()
            self._listeners.add(listener)
            name = listener.experiment
            after, claims, index = _parts(mark)
            claimed = self._claims.setdefault(name, self._claimed(name)) if name else None
            if claims is not None and name and claims != claimed:
                listener.put(name, _message(UNDER_WAY, self._end, News(experiment=name)))
            if index is not None and index != self._index[2]:
                listener.put("", _message(LAB, self._end, News()))
            if after is None or after == self._end:
                return
            if not 0 <= self._end - after <= MOST_BEHIND_BYTES:
                listener.put(listener.experiment, _message(STALE, self._end, News()))
                return
            for name, touched in self._read(after, self._end).items():
                listener.put(name, self._told(name, touched, self._state(name)))

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
                if (
                    self._over is over
                ):  # it did not end because nobody listens: the pages ask again, and begin a new one
                    self._over = None
                    for listener in self._listeners:
                        listener.dropped = True

    def _look_or_tell(self) -> None:
        """A disk that is away may come back: that is told once, and then looked for again."""
        try:
            self._look()
        except (OSError, LabError) as error:
            if not self._is_away:
                says = text.line(f"the lab cannot be read: {error}")
                self._send("", _message(LAB, self._end, News(says=says)))
            self._is_away = True
        else:
            self._is_away = False

    def _look(self) -> None:
        """One look: what the ledger, the index and the claims have that they had not before."""
        size = self.at
        if size < self._end or size - self._end > MOST_BEHIND_BYTES:  # cut, exchanged, or a flood
            self._end, self._touched = size, {}
            for listener in self._listeners:
                listener.put(listener.experiment, _message(STALE, size, News()))
        elif size > self._end:
            for name, touched in self._read(self._end, size).items():
                _merge(self._touched, name, touched)
        for name, touched in list(self._touched.items()):
            state = self._state(name)
            touched.looks += 1
            if touched.looks < _PATIENCE and (state is None or state.place.end < touched.end):
                continue  # its pages are being written
            del self._touched[name]
            self._send(name, self._told(name, touched, state))
        index = self._indexed()
        if index != self._index:
            self._index = index
            self._send("", _message(LAB, self._end, News()))
        self._look_at_claims()

    def _look_at_claims(self) -> None:
        """A run that begins writes no line into the ledger; it takes a claim."""
        for name in {listener.experiment for listener in self._listeners if listener.experiment}:
            changed = self._claimed(name)
            if self._claims.get(name) != changed:
                self._claims[name] = changed
                self._send(name, _message(UNDER_WAY, self._end, News(experiment=name)))

    def _claimed(self, name: str) -> int:
        try:
            return os.stat(self._root.layout.claims(ids.experiment_id(name))).st_mtime_ns
        except (OSError, BadInput):
            return 0

    def _read(self, start: int, stop: int) -> dict[str, _Touched]:
        """What the ledger says between two places, by experiment. An unfinished line waits for its end."""
        told = reading.read_from(self._root.layout.events, start)[: stop - start]
        whole = told.rfind(b"\n") + 1
        if start == self._end:
            self._end = start + whole
        found: dict[str, _Touched] = {}
        for entry in ledger.split(told[:whole], start, self._root.layout.events):
            if entry.line is not None:
                found.setdefault(entry.line.event.experiment, _Touched()).add(entry)
        return found

    def _state(self, name: str) -> State | None:
        try:
            ids.experiment_id(name)
        except BadInput:  # a line about the lab; or one that somebody wrote by hand
            return None
        return status.fold_state(reading.read(self._root.layout.status(name)) or b"")

    def _indexed(self) -> tuple[int, int, int]:
        try:
            seen = os.stat(self._root.layout.index)
        except OSError:
            return (0, 0, 0)
        return (seen.st_ino, seen.st_size, seen.st_mtime_ns)

    # -- telling -----------------------------------------------------------------------------------------------------

    def _send(self, about: str, message: bytes) -> None:
        for listener in self._listeners:
            listener.put(about, message)

    def _told(self, name: str, touched: _Touched, state: State | None) -> bytes:
        news, kind = _news(name, touched, state.view if state is not None else None)
        return _message(kind, touched.end, news)


def _parts(mark: str) -> tuple[int | None, int | None, int | None]:
    """How far into the ledger, and when the claims and the index were changed; None for what it does not say."""
    told = [int(part) if _NUMBER.fullmatch(part) else None for part in mark.split(".")[:3]]
    after, claims, index = (*told, None, None)[:3]
    return after, claims, index


def _merge(into: dict[str, _Touched], name: str, more: _Touched) -> None:
    known = into.setdefault(name, more)
    if known is not more:
        known.end, known.sealed, known.looks = more.end, known.sealed + more.sealed, 0
        if more.event is not None and (more.sealed or not known.sealed):
            known.event = more.event


def _news(name: str, touched: _Touched, view: View | None) -> tuple[News, str]:
    event = touched.event
    if event is None or not touched.sealed:
        says = "" if event is None else _decision(name, event)
        if view is None:
            return News(experiment=name, says=says), DECISION
        return _standing(name, view, says=says), DECISION
    run = _run(view, event.run_id) if view is not None else None
    outcome, value = (run.outcome, run.value) if run is not None else _by_event(event)
    is_best = view is not None and view.best is not None and view.best.run_id == event.run_id
    says = f"{name}: {event.run_id} ended: {outcome}" if outcome else f"{name}: {event.run_id} ended"
    if value is not None:
        says += f", {value:.6g}"
    if is_best:
        says += ", the best so far"
    if touched.sealed > 1:
        says += f" (and {touched.sealed - 1} more)"
    standing = _standing(name, view, says=says) if view is not None else News(experiment=name, says=says)
    return msgspec.structs.replace(
        standing, run=event.run_id, outcome=outcome, value=value, new=touched.sealed, is_best=is_best,
    ), RUN  # fmt: skip


def _standing(name: str, view: View, *, says: str) -> News:
    best = view.best
    return News(
        experiment=name,
        runs=view.runs,
        outcomes=view.outcomes,
        phase=view.phase,
        best=best.value if best else None,
        best_run=best.run_id if best else "",
        says=says,
    )


def _run(view: View, run_id: str) -> Run | None:
    return next((run for run in (view.last, *view.recent, view.best) if run and run.run_id == run_id), None)


def _by_event(event: Told) -> tuple[str, float | None]:
    value = event.facts.get("value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text.line(str(event.facts.get("outcome", ""))), float(value) if is_number and value is not None else None


def _decision(name: str, event: Told) -> str:
    what = kinds.MEANING.get(event.type, event.type)
    more = event.phase or event.tier or event.run_id or event.name
    reason = f": {event.reason}" if event.reason else ""
    return text.line(f"{name or 'the lab'}: {what}{f' ({more})' if more else ''}{reason}")


def _message(kind: str, end: int, news: News) -> bytes:
    """One server-sent event. JSON has no newline in it that could end a line of ours."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (end, kind.encode(), data.encode(news))
