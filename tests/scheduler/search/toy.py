"""An engine that a test is: its jobs end when the test says so, and it is silent or forgetful on demand."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.job import DONE, HELD, OVER, WAITING, Report
from lab.engines import door
from lab.scheduler import cycle
from lab.store import jobs
from tests.scheduler.labs import ended

if TYPE_CHECKING:
    import pytest

    from lab.core.seal import Seal
    from lab.engines.door import Ground, Placement
    from lab.store.root import Root


class Toy:
    """Keeps its jobs in memory. `asked` counts what it was asked."""

    forgets_after_s = 0.0

    def __init__(self) -> None:
        self.jobs: dict[str, Report] = {}
        self.runs: dict[str, tuple[str, str]] = {}
        self.asked: Counter[str] = Counter()
        self.is_silent = False
        self.at = "east"

    def _hear(self, what: str) -> None:
        self.asked[what] += 1
        if self.is_silent:
            message = "nobody is at home"
            raise Unavailable(message, fix="ring again")

    def submit(self, job: Placement, ground: Ground) -> str:
        """Hold it."""
        del ground
        self._hear("submit")
        number = str(self.asked["submit"])
        self.jobs[number] = Report(name=job.name, number=number, state=HELD)
        at = job.argv.index("exec")
        self.runs[number] = (job.argv[at + 1], job.argv[at + 2])
        return number

    def release(self, number: str, ground: Ground) -> None:
        """Let it wait for the test."""
        del ground
        self._hear("release")
        self.jobs[number] = msgspec.structs.replace(self.jobs[number], state=WAITING)

    def listed(self, prefix: str, ground: Ground) -> tuple[Report, ...]:
        """All of them, in one answer."""
        del ground
        self._hear("listed")
        return tuple(each for each in self.jobs.values() if each.name.startswith(prefix))

    def cancel(self, numbers: tuple[str, ...], ground: Ground) -> None:
        """End them."""
        del ground
        self._hear("cancel")
        for number in numbers:
            self.jobs[number] = msgspec.structs.replace(self.jobs[number], state=OVER, how="cancelled")

    def where(self, ground: Ground) -> str:
        """Which of two."""
        del ground
        return self.at

    def describe(self, ground: Ground) -> str:
        """A word."""
        del ground
        return "a toy"

    # -- what a test does --------------------------------------------------------------------------------------------

    def waiting(self) -> list[str]:
        """The numbers of the jobs that wait, in their order."""
        return [number for number, each in self.jobs.items() if each.state == WAITING]

    def work(self, root: Root, number: str, value: float | None = 1.0, outcome: str = "success") -> Seal:
        """Be the body of a job: bring its run to its end."""
        experiment, run_id = self.runs[number]
        generation = int(self.jobs[number].name.rpartition("-")[2])
        job = jobs.load(root, experiment, generation)
        assert job is not None
        made = cycle.finish(root, cycle.reattached(root, experiment, run_id, job.spec), ended(value, outcome))
        self.jobs[number] = msgspec.structs.replace(self.jobs[number], state=OVER, how=DONE)
        return made

    def forget(self, number: str) -> None:
        """Lose a job, as engines do."""
        del self.jobs[number]


def a_toy(monkeypatch: pytest.MonkeyPatch) -> Toy:
    """One that `--engine toy` finds."""
    made = Toy()
    monkeypatch.setitem(door.BUILT_IN, "toy", "tests.scheduler.search.toy:Toy")
    monkeypatch.setitem(door._DOOR._made, "toy", made)
    return made
