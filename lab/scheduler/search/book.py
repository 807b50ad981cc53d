"""The runs of an experiment as trials, read from metrics.jsonl as it grows, and from the bundles of runs under way.

Read once and followed: a burst that has made 10,000 runs reads one line more for the next. What is remembered only
saves work; a new Book says the same.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, layout
from lab.core.errors import Corrupt
from lab.core.trial import Trial
from lab.projections.tables import Line, parse_line
from lab.store import bundles, leases, reading

if TYPE_CHECKING:
    from lab.core.origin import Origin
    from lab.core.space import Space
    from lab.store.root import Root

TRIES = 3  # runs that ended with the lab; after that many, it is the parameters that end it


class Book:
    """The runs with parameters of one experiment, the ended ones in the order in which they ended."""

    def __init__(self, root: Root, experiment: str) -> None:
        self._root = root
        self._experiment = experiment
        self._path = root.layout.page(experiment, layout.METRICS_LOG)
        self._open: dict[str, Line] = {}  # the runs under way, as their bundles told of them
        self._start()

    def _start(self) -> None:
        self._inode, self._end = 0, 0
        self.ended: list[Line] = []
        self.raced: list[Trial] = []  # of these, what a race compares
        self._cut_off: dict[tuple[str, int], list[Line]] = {}
        self._numbers: set[tuple[str, int]] = set()
        self._ids: set[str] = set()
        self.asks: set[str] = set()  # questions to models that a run has in its bundle
        self.highest = -1
        self.searched = 0  # trials that the search did itself, each counted when it came to its end
        self.seed: int | None = None

    def catch_up(self) -> None:
        """Read what was added. The whole table again where it was written anew. Inside the section, for the truth."""
        try:
            seen = os.stat(self._path)
        except FileNotFoundError:
            self._start()
            return
        if seen.st_ino != self._inode or seen.st_size < self._end:
            self._start()
            self._inode = seen.st_ino
        if seen.st_size == self._end:
            return
        data = reading.read_from(self._path, self._end)
        whole = data.rfind(b"\n") + 1
        for line in data[:whole].split(b"\n"):
            if line:
                self._add(line)
        self._end += whole

    def _add(self, data: bytes) -> None:
        line = parse_line(data, self._path)
        if line.params is None:
            return
        self.ended.append(line)
        self._ids.add(line.run_id)
        if line.origin is not None:
            self._place(line, line.origin)
        if self.counts(line):
            self.raced.append(as_trial(line))

    def _place(self, line: Line, origin: Origin) -> None:
        """Where it stands in the search."""
        self.highest = max(self.highest, origin.number)
        if origin.ask:
            self.asks.add(origin.ask)
        if origin.searched:
            self.seed = origin.seed
            self.searched += not line.cut_off
        if line.cut_off:
            self._cut_off.setdefault(place_of(line), []).append(line)
        else:
            self._numbers.add(place_of(line))

    def under_way(self) -> list[Line]:
        """The runs with parameters that have not ended, in the order of their claims. Inside the section.

        Also those of the dead: until they are settled, nobody else may take their place in the search.
        """
        seen = leases.survey(self._root, self._experiment)
        claims = [each.seen.claim for each in seen.held] + [each.seen.claim for each in seen.lost]
        claims += [each.claim for each in seen.unsettled]
        known, self._open = self._open, {}
        for claim in sorted(claims, key=lambda claim: claim.generation):
            if not claim.run_id or claim.run_id in self._ids:
                continue
            line = known.get(claim.run_id) or _open_run(self._root.layout.run(self._experiment, claim.run_id))
            if line is not None and line.run_id not in self._ids:
                self._open[claim.run_id] = line
        return list(self._open.values())

    def to_try_again(self, under_way: list[Line]) -> list[Line]:
        """Runs that ended with the lab and whose place in the search nobody took since, the oldest first."""
        going = {place_of(line) for line in under_way}
        return [
            tries[-1]
            for place, tries in self._cut_off.items()
            if place not in self._numbers and place not in going and len(tries) < TRIES
        ]

    def counts(self, line: Line) -> bool:
        """Whether a search learns from it: not from one that ended with the lab, until that has happened too often."""
        if not line.cut_off:
            return True
        tries = self._cut_off.get(place_of(line), [])
        return len(tries) >= TRIES and line.run_id == tries[-1].run_id


class Fitted:
    """The trials of one tier that are points of a space, made as the book grows. Another space wants another one."""

    def __init__(self, book: Book, space: Space, tier: str) -> None:
        self._book = book
        self._space = space
        self._tier = tier
        self._first = ""
        self._start()

    def _start(self) -> None:
        self._read = 0
        self._pending: dict[str, Trial | None] = {}
        self.known: set[object] = set()  # the keys of what these trials tried
        self.trials: list[Trial] = []
        self.outside = 0

    def catch_up(self) -> None:
        """Bring over what the book has read since."""
        first = self._book.ended[0].run_id if self._book.ended else ""
        if len(self._book.ended) < self._read or first != self._first:
            self._first = first
            self._start()
        for line in self._book.ended[self._read :]:
            if line.tier != self._tier or not self._book.counts(line):
                continue
            trial = self.trial(line)
            if trial is None:
                self.outside += 1
            else:
                self.trials.append(trial)
                self.known.add(assignment.key(trial.params))
        self._read = len(self._book.ended)

    def pending(self, under_way: list[Line]) -> list[Trial]:
        """The runs under way as trials of this tier and space, each fitted once."""
        known = self._pending
        mine = [line for line in under_way if line.tier == self._tier]
        self._pending = {line.run_id: known[line.run_id] if line.run_id in known else self.trial(line) for line in mine}
        return [trial for trial in self._pending.values() if trial is not None]

    def trial(self, line: Line) -> Trial | None:
        """A run as a trial; None where its parameters are no point of the space."""
        params = assignment.brought_over(self._space, line.params or {})
        if params is None:
            return None
        return Trial(
            run_id=line.run_id, params=params, value=line.value, outcome=line.outcome, tier=line.tier,
            origin=line.source, reported=line.reported,
        )  # fmt: skip


def as_trial(line: Line) -> Trial:
    """A run as a race sees it: it compares values, and hands the parameters on as they are."""
    return Trial(
        run_id=line.run_id,
        params=line.params or {},  # type: ignore[arg-type]  # handed on, never computed with
        value=line.value,
        outcome=line.outcome,
        tier=line.tier,
        origin=line.source,
        reported=line.reported,
    )


def place_of(line: Line) -> tuple[str, int]:
    """A run's place in the search: a candidate has the same number in every tier that it was run in."""
    return line.tier, line.source.number


def _open_run(path: str) -> Line | None:
    """A run under way, by its bundle; None for one without parameters, or that cannot be read."""
    try:
        manifest = bundles.load_manifest(path)
    except Corrupt:
        return None
    data = reading.read(f"{path}/{layout.PARAMS}") if manifest is not None else None
    if manifest is None or data is None:
        return None
    try:
        params = msgspec.json.decode(data, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # the run may have written anything there
    return Line(run_id=manifest.run_id, params=params, tier=manifest.fidelity_tier, origin=manifest.origin)
