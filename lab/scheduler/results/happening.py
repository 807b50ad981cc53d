"""What happens in a lab, from the end of its ledger: each event once, and once the experiment's pages have it too.

A look is a `stat` of the ledger, and costs the same after 100 runs and after 100,000. The pages come a moment after the
ledger; an event that they do not have after several looks is told without them. A ledger that is not there is not an
empty one: a disk that was away for a moment makes no news of what is old.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core import event as kinds
from lab.core import ids
from lab.core.errors import BadInput, LabError, Unavailable
from lab.core.event import Event  # msgspec resolves annotations
from lab.projections import status
from lab.projections.status import State  # msgspec resolves annotations
from lab.store import experiments, ledger, reading
from lab.store.root import still_there

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root

PATIENCE = 6  # looks that the pages may be behind the ledger before an event is told without them
_QUIET = frozenset({kinds.MODEL_ASKED, kinds.MODEL_ANSWERED, kinds.DIGEST_WRITTEN, kinds.PACKAGE_CLAIMED})
_BLOCK_BYTES = 1 << 20
_UNSEEN = -1


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to one experiment, in the order of the ledger; of the lab where `experiment` is empty.

    `state` is that of its pages. `is_current` when they have all of these events.
    """

    experiment: str
    events: tuple[Event, ...]
    end: int  # how far into the ledger the last of them goes
    state: State | None = None
    is_current: bool = False


class _Pending(msgspec.Struct, frozen=True):
    """An event that waits for the pages of its experiment."""

    event: Event
    end: int
    look: int  # since which it waits


class Happening:
    """In one lab, or to one experiment of it, from now on."""

    def __init__(self, root: Root, only: str = "") -> None:
        self._root = root
        self._only = only
        self._pending: dict[str, list[_Pending]] = {}
        self._looks = 0
        self.end = _UNSEEN
        with suppress(LabError, OSError):  # away: from where it ends when it is back
            self.end = end_of(root)

    @property
    def waits(self) -> bool:
        """Whether something has happened that was not told yet."""
        return bool(self._pending)

    @property
    def behind_bytes(self) -> int:
        """How much of the ledger is not read yet; below 0 where it is shorter. `Unavailable` where it is not there."""
        size = end_of(self._root)
        if self.end == _UNSEEN:
            self.end = size
        return size - self.end

    def skip(self) -> None:
        """Go on from where the ledger ends now. What is in between is told to nobody."""
        self.end = end_of(self._root)
        self._pending = {}

    def look(self) -> list[Heard]:
        """What can be told now. A line that is not at its end waits for the next look."""
        self._looks += 1
        if self.behind_bytes > 0:
            for start, data in reading.lines_from(self._root.layout.events, self.end, _BLOCK_BYTES):
                for event, end in self._events(data, start):
                    self._pending.setdefault(event.experiment, []).append(_Pending(event, end, self._looks))
                self.end = start + len(data)
        return [heard for name in list(self._pending) if (heard := self._ready(name)) is not None]

    def past(self, start: int) -> list[Heard]:
        """What was told before, from a place in the ledger on: for whoever was away. As its pages are now."""
        data = reading.read_from(self._root.layout.events, start)[: self.end - start]
        found: dict[str, list[Event]] = {}
        ends: dict[str, int] = {}
        for event, end in self._events(data[: data.rfind(b"\n") + 1], start):
            found.setdefault(event.experiment, []).append(event)
            ends[event.experiment] = end
        return [self._heard(name, events, ends[name]) for name, events in found.items()]

    def _events(self, data: bytes, start: int) -> Iterator[tuple[Event, int]]:
        for entry in ledger.split(data, start, self._root.layout.events):
            event = entry.line.event if entry.line is not None else None
            if event is not None and event.type not in _QUIET and self._only in ("", event.experiment):
                yield event, entry.end

    def _ready(self, name: str) -> Heard | None:
        """What can be told of an experiment: what its pages have, and what waited long enough."""
        waiting = self._pending[name]
        state = _state(self._root, name)
        reached = state.place.end if state is not None else 0
        ready = [
            each for each in waiting
            if not experiments.is_name(name) or each.end <= reached or self._looks - each.look >= PATIENCE - 1
        ]  # fmt: skip
        if not ready:
            return None
        left = waiting[len(ready) :]  # both grow along the list
        if left:
            self._pending[name] = left
        else:
            del self._pending[name]
        return self._heard(name, [each.event for each in ready], ready[-1].end, state)

    def _heard(self, name: str, events: list[Event], end: int, state: State | None = None) -> Heard:
        state = state or _state(self._root, name)
        is_current = state is not None and state.place.end >= end
        return Heard(experiment=name, events=tuple(events), end=end, state=state, is_current=is_current)


def end_of(root: Root) -> int:
    """How far the ledger goes. `Unavailable` where it is not there, though a lab has one from its first day."""
    size = reading.size_of(root.layout.events)
    if size < 0:
        still_there(root)
        fix = "put it back from a copy; labctl doctor says what is known without it"
        raise Unavailable("the ledger of the lab is missing", where=root.layout.events, fix=fix)
    return size


def claims_at(root: Root, name: str) -> int:
    """A number that changes as claims of an experiment come and go: a run that begins writes nothing else."""
    try:
        return os.stat(root.layout.claims(ids.experiment_id(name))).st_mtime_ns
    except (OSError, BadInput):
        return 0


def _state(root: Root, name: str) -> State | None:
    """None also where a line is about the lab, or was written by hand."""
    return status.fold_state(reading.read(root.layout.status(name)) or b"") if experiments.is_name(name) else None
