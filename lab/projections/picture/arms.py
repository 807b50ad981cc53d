"""What each strategy, each arm of a portfolio, or each kind of change brought in one tier, and what it took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.candidate import KEEP
from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.picture.spending import Arm, Bill, charged

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.projections.picture.given import AskTook, Given
    from lab.projections.tables import Line

MOST = 30


def of(given: Given, lines: Sequence[Line], steps: Iterable[str]) -> tuple[Arm, ...]:
    """A row for who chose the parameters, or what kind of change it was; those with the most runs, the most first.

    `lines` are those of one tier, `steps` the runs of it that were better than all before. Empty where nobody chose.
    """
    tier = lines[0].tier if lines else given.view.tier
    minimize = given.view.direction_of(tier) == MINIMIZE
    better, (asks, _) = frozenset(steps), charged(given)
    found: dict[str, _Tally] = {}
    for line in lines:
        name = text.line(line.arm or (line.candidate.kind if line.candidate else ""))
        tally = found.setdefault(name, _Tally(minimize=minimize))
        tally.run(line, asks.get(line.run_id, ()), is_step=line.run_id in better)
    if not found.keys() - {""}:
        return ()
    ranked = sorted(found.items(), key=lambda each: (-each[1].bill.runs, each[0]))
    rest = ranked[MOST:]
    told = [tally.arm(name or "nobody") for name, tally in ranked[:MOST]]
    if rest:
        others = _Tally(minimize=minimize)
        for _, tally in rest:
            others.add(tally)
        told.append(others.arm(f"{len(rest)} others"))
    return tuple(told)


class _Tally:
    """What is known of one row while it is counted."""

    def __init__(self, *, minimize: bool) -> None:
        self.bill = Bill()
        self._minimize = minimize
        self._scored = self._failed = self._steps = 0
        self._best: Line | None = None

    def run(self, line: Line, asks: Iterable[AskTook], *, is_step: bool) -> None:
        """One more run."""
        self.bill.run(line, asks)
        self._scored += line.scored
        self._failed += line.failed
        self._steps += is_step
        # Of a code loop only what was kept: a lucky measurement of a discarded change beats nothing.
        if line.scored and (line.candidate is None or line.verdict == KEEP) and self._beats(line):
            self._best = line

    def _beats(self, line: Line) -> bool:
        if self._best is None or self._best.value is None or line.value is None:
            return True
        return line.value < self._best.value if self._minimize else line.value > self._best.value

    def add(self, other: _Tally) -> None:
        """All runs of another row."""
        self.bill.add(other.bill)
        self._scored += other._scored
        self._failed += other._failed
        self._steps += other._steps
        if other._best is not None and self._beats(other._best):
            self._best = other._best

    def arm(self, name: str) -> Arm:
        """The row."""
        return Arm(
            name=name,
            runs=self.bill.runs,
            scored=self._scored,
            failed=self._failed,
            improvements=self._steps,
            best=self._best.value if self._best else None,
            best_run=self._best.run_id if self._best else "",
            took=self.bill.took(),
        )
