"""What happens in a lab while somebody watches, one line each: from the end of the ledger, and from the claims.

A look is a `stat` of the ledger and of each folder of claims. What a line says of a run that ended is read from the
experiment's pages, which come a moment after the ledger: so long its line waits.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import event as kinds
from lab.core import ids
from lab.core.errors import BadInput, LabError
from lab.projections import status, text
from lab.projections.picture import stairs
from lab.projections.picture.given import LOST, RUNNING, WAITING
from lab.scheduler.results import pictured
from lab.store import ledger, reading
from lab.store import standing as claims

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.core.event import Event
    from lab.core.view import View
    from lab.projections.picture.given import UnderWay
    from lab.projections.status import State
    from lab.store.root import Root

PATIENCE = 5  # looks that the pages may be behind the ledger before a run is told of without them
SURVEY_EVERY = 10  # looks at claims that nobody changed: a holder that falls silent changes nothing
REASON_CHARS = 160
_LONG_S, _SHARE = 0.05, 10
_BLOCK_BYTES = 1 << 20
_QUIET = frozenset({kinds.MODEL_ASKED, kinds.MODEL_ANSWERED, kinds.DIGEST_WRITTEN, kinds.PACKAGE_CLAIMED})
_BEGAN = {RUNNING: "run_started", WAITING: "run_queued", LOST: "run_lost"}
_SAYS = {RUNNING: "started", WAITING: "queued", LOST: "its holder is gone, and nobody sealed it"}
BEYOND, WITHIN, UNKNOWN, FIRST = "beyond noise", "within noise", "noise unknown", "first value"
_BEST = {
    BEYOND: "new best, beyond the noise", WITHIN: "new best, within the noise",
    UNKNOWN: "new best (nothing is known of the noise)", FIRST: "the first value",
}  # fmt: skip
_SECONDS = len("2026-11-21T09:30:00")


class Told(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that happened.

    `what` is the kind of the ledger's event, or watch_began, run_started, run_queued, run_lost, ledger_shrank.
    `best` is empty where the run is no new best, and also where that is not known: its pages could not be read.
    """

    at: str
    what: str
    says: str
    experiment: str = ""
    run: str = ""
    outcome: str = ""
    value: float | None = None
    best: str = ""
    verdict: str = ""
    proposal: str = ""
    sha256: str = ""
    phase: str = ""
    tier: str = ""
    actor: str = ""
    reason: str = ""


class _Queue:
    """What the ledger says of an experiment, until its pages have it too."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.end = 0
        self.looks = 0


class News:
    """Of one lab, or of one experiment of it, from now on."""

    def __init__(self, root: Root, only: str = "") -> None:
        self._root = root
        self._only = only
        self._end = max(0, reading.size_of(root.layout.events))
        self._queues: dict[str, _Queue] = {}
        self._folders: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self._looks = 0
        self.under_way: dict[str, dict[str, UnderWay]] = {}  # experiment -> run -> what is known of it
        self._claims()

    @property
    def waits(self) -> bool:
        """Whether something has happened that was not told yet."""
        return bool(self._queues)

    def look(self) -> list[Told]:
        """What happened since the last look."""
        self._looks += 1
        return [*self._claims(), *self._ledger()]

    # -- the claims --------------------------------------------------------------------------------------------------

    def _claims(self) -> list[Told]:
        """A run that begins writes no line into the ledger; it takes a claim."""
        told: list[Told] = []
        again = self._looks % SURVEY_EVERY == 0
        for name in [self._only] if self._only else claims.experiments(self._root):
            changed = self._changed(name)
            if changed == self._folders.get(name) and not (again and name in self.under_way):
                continue
            if time.monotonic() < self._rests.get(name, 0.0):
                continue
            self._folders[name] = changed
            found = self._unsealed(name)
            now = {each.run_id: each for each in found}
            before = self.under_way.pop(name, {})
            if now:
                self.under_way[name] = now
            told += [
                _began(name, each, self._root.now())
                for each in found
                if each.run_id not in before or before[each.run_id].state != each.state
            ]
        return told

    def _unsealed(self, name: str) -> tuple[UnderWay, ...]:
        """The runs of an experiment that are under way. With a thousand of them it is asked less often."""
        began_s = time.thread_time()
        found, _ = pictured.unsealed(self._root, name)
        took_s = time.thread_time() - began_s
        if took_s > _LONG_S:
            self._rests[name] = time.monotonic() + _SHARE * took_s
        return found

    def _changed(self, name: str) -> int:
        try:
            return os.stat(self._root.layout.claims(ids.experiment_id(name))).st_mtime_ns
        except (OSError, BadInput):
            return 0

    # -- the ledger --------------------------------------------------------------------------------------------------

    def _ledger(self) -> list[Told]:
        size = max(0, reading.size_of(self._root.layout.events))
        told: list[Told] = []
        if size < self._end:
            says = "the ledger is shorter than it was: what happened in between is not told here"
            told.append(Told(at=self._root.now(), what="ledger_shrank", says=says))
            self._end = size
        elif size > self._end:
            self._read()
        for name in list(self._queues):
            told += self._ready(name)
        return told

    def _read(self) -> None:
        """Take up its new lines. One that is not at its end waits for the next look."""
        path = self._root.layout.events
        for start, data in reading.lines_from(path, self._end, _BLOCK_BYTES):
            self._end = start + len(data)
            for entry in ledger.split(data, start, path):
                if entry.line is None:
                    continue
                event = entry.line.event
                if event.type in _QUIET or self._only not in ("", event.experiment):
                    continue
                queue = self._queues.setdefault(event.experiment, _Queue())
                queue.events.append(event)
                queue.end, queue.looks = entry.end, 0

    def _ready(self, name: str) -> Iterator[Told]:
        """What can be told of an experiment now."""
        queue = self._queues[name]
        queue.looks += 1
        sealed = {event.run_id for event in queue.events if event.type == kinds.RUN_SEALED}
        state = self._state(name) if sealed else None
        if sealed and queue.looks < PATIENCE and (state is None or state.place.end < queue.end):
            return  # its pages are being written
        del self._queues[name]
        view = state.view if state is not None else None
        bests = self._bests(name, sealed, state) if state is not None and state.place.end >= queue.end else {}
        for event in queue.events:
            yield _ended(event, view, bests) if event.type == kinds.RUN_SEALED else _decided(event)

    def _state(self, name: str) -> State | None:
        try:
            ids.experiment_id(name)
        except BadInput:  # a line that somebody wrote by hand
            return None
        return status.fold_state(reading.read(self._root.layout.status(name)) or b"")

    def _bests(self, name: str, sealed: set[str], state: State) -> dict[str, str]:
        """Which of these runs were new bests. The table, which may be long, is read only where one of them may be."""
        view = state.view
        now = {run.run_id for run in view.bests.values()}
        now |= {here.loop.best.run_id for here in view.tiers.values() if here.loop and here.loop.best}
        if not sealed & now:
            return {}  # of several new bests the last is still the best
        try:
            given = pictured.read(self._root, name, with_diff=False)
        except (LabError, OSError):
            return {}
        found: dict[str, str] = {}
        for tier in {line.tier for line in given.lines if line.run_id in sealed}:
            judged = stairs.judge(given, tier)
            for number, (place, within) in enumerate(judged.steps):
                run_id = judged.lines[place].run_id
                if run_id in sealed:
                    known = UNKNOWN if judged.band is None else BEYOND
                    found[run_id] = FIRST if number == 0 else WITHIN if within else known
        return found


def line(told: Told) -> str:
    """The same for a terminal or a file."""
    about = f"{told.experiment}: " if told.experiment else "the lab: " if told.what == "watch_began" else ""
    return f"{told.at[:_SECONDS]}Z {about}{told.says}"


def _began(name: str, each: UnderWay, now: str) -> Told:
    where = f" on {text.line(each.worker, 60)}" if each.worker else ""
    more = f" ({text.line(each.where, REASON_CHARS)})" if each.where else ""
    run = text.line(each.run_id)
    says = f"{run} {_SAYS.get(each.state, each.state)}{where if each.state == RUNNING else ''}{more}"
    return Told(
        at=now, what=_BEGAN.get(each.state, each.state), says=says, experiment=name, run=run, tier=text.line(each.tier)
    )


def _ended(event: Event, view: View | None, bests: Mapping[str, str]) -> Told:
    outcome, value = _outcome(event)
    runs = (view.last, *view.recent, view.best) if view is not None else ()
    run = next((each for each in runs if each is not None and each.run_id == event.run_id), None)
    best = bests.get(event.run_id, "")
    verdict = run.verdict if run is not None else ""
    words = [outcome or "sealed", *([text.number(value)] if value is not None else [])]
    words += [each for each in (verdict, _BEST.get(best, "")) if each]
    if value is None and run is not None and run.reason:
        words.append(text.line(run.reason, REASON_CHARS))
    run_id = text.line(event.run_id)
    return Told(
        at=text.line(event.ts), what=event.type, says=f"{run_id} ended: {', '.join(words)}",
        experiment=text.line(event.experiment), run=run_id, outcome=outcome, value=value, best=best, verdict=verdict,
        tier=text.line(run.tier) if run is not None else "",
    )  # fmt: skip


def _outcome(event: Event) -> tuple[str, float | None]:
    value = event.facts.get("value")
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return text.line(str(event.facts.get("outcome", ""))), float(value) if is_number and value is not None else None


def _decided(event: Event) -> Told:
    by = f" by {text.line(event.actor, 60)}" if event.actor else ""
    reason = text.line(event.reason, REASON_CHARS)
    proposal = text.line(event.name) if event.type.startswith("proposal_") else ""
    return Told(
        at=text.line(event.ts), what=text.line(event.type), says=f"{_deed(event)}{by}{f': {reason}' if reason else ''}",
        experiment=text.line(event.experiment), run=text.line(event.run_id), proposal=proposal,
        sha256=text.line(str(event.facts.get("sha256", ""))) if proposal else "", phase=text.line(event.phase),
        tier=text.line(event.tier), actor=text.line(event.actor), reason=reason,
    )  # fmt: skip


def _deed(event: Event) -> str:
    """What somebody did, in words."""
    name, kind = text.line(event.name, 80), text.line(str(event.facts.get("kind", "")), 40)
    told = {
        kinds.PHASE_CHANGED: f"is {event.phase} now",
        kinds.TIER_CHANGED: f"is in the tier {event.tier} now",
        kinds.PROPOSAL_MADE: f"proposal {name} made ({kind})",
        kinds.PROPOSAL_APPROVED: f"proposal {name} approved",
        kinds.PROPOSAL_REJECTED: f"proposal {name} rejected",
    }.get(event.type)
    if told is not None:
        return text.line(told)
    more = event.run_id or event.name or event.phase
    return text.line(f"{event.type.replace('_', ' ')}{f' ({more})' if more else ''}")


def as_rows(told: Sequence[Told]) -> list[dict[str, object]]:
    """For JSON."""
    return [msgspec.to_builtins(each) for each in told]
