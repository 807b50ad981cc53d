"""What happens in a lab while somebody watches, one line each: from the end of the ledger, and from the claims."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture.given import LOST, RUNNING, WAITING
from lab.scheduler.results import happened, happening, pictured
from lab.scheduler.results.happened import REASON_CHARS, Told
from lab.store import standing as claims

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.picture.given import UnderWay
    from lab.store.root import Root

SURVEY_EVERY = 10  # looks at claims that nobody changed: a holder that falls silent changes nothing
_LONG_S, _SHARE = 0.05, 10
_BEGAN = {RUNNING: "run_started", WAITING: "run_queued", LOST: "run_lost"}
_SAYS = {RUNNING: "started", WAITING: "queued", LOST: "its holder is gone, and nobody sealed it"}
_SECONDS = len("2026-11-21T09:30:00")


class News:
    """Of one lab, or of one experiment of it, from now on."""

    def __init__(self, root: Root, only: str = "") -> None:
        self._root = root
        self._only = only
        self._ledger = happening.Happening(root, only)
        self._folders: dict[str, int] = {}
        self._rests: dict[str, float] = {}
        self._looks = 0
        self.under_way: dict[str, dict[str, UnderWay]] = {}  # experiment -> run -> what is known of it
        self._claims()

    @property
    def waits(self) -> bool:
        """Whether something has happened that was not told yet."""
        return self._ledger.waits

    def look(self) -> list[Told]:
        """What happened since the last look."""
        behind = self._ledger.behind_bytes  # first: of a disk that is away no claim is told as gone, and later as new
        self._looks += 1
        return [*self._claims(), *self._events(behind)]

    def _claims(self) -> list[Told]:
        """A run that begins writes no line into the ledger; it takes a claim."""
        told: list[Told] = []
        again = self._looks % SURVEY_EVERY == 0
        for name in [self._only] if self._only else claims.experiments(self._root):
            changed = happening.claims_at(self._root, name)
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

    def _events(self, behind: int) -> list[Told]:
        told: list[Told] = []
        if behind < 0:
            says = "the ledger is shorter than it was: what happened in between is not told here"
            told.append(Told(at=self._root.now(), what="ledger_shrank", says=says))
            self._ledger.skip()
        return told + [each for heard in self._ledger.look() for each in happened.of(self._root, heard)]


def line(told: Told) -> str:
    """The same for a terminal or a file."""
    return f"{told.at[:_SECONDS]}Z {happened.sentence(told)}"


def _began(name: str, each: UnderWay, now: str) -> Told:
    where = f" on {text.line(each.worker, 60)}" if each.worker else ""
    more = f" ({text.line(each.where, REASON_CHARS)})" if each.where else ""
    run = text.line(each.run_id)
    says = f"{run} {_SAYS.get(each.state, each.state)}{where if each.state == RUNNING else ''}{more}"
    return Told(
        at=now, what=_BEGAN.get(each.state, each.state), says=says, experiment=name, run=run, tier=text.line(each.tier)
    )


def as_rows(told: Sequence[Told]) -> list[dict[str, object]]:
    """For JSON."""
    return [msgspec.to_builtins(each) for each in told]
