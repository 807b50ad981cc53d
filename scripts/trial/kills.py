"""Every verb that writes, stopped, refused and killed at each of its steps, and held to what is promised.

The table is `tests/crash/verbs.py`; what is held is told in `tests/crash/sweeping.py`. `--only` picks one of:

stopped    the machine stops before a step: nothing of any process goes on
full       the disk is full from a step on, for whatever needs room
failing    the disk refuses one step (EIO), once
called     kill -9 of the real process, at each of its system calls that changes something (the ten verbs most used)

All of it takes many hours. With `--seconds S` each of the four goes through every verb within S seconds: an even share
of what is left for each, its steps by chance. `--quick` takes three steps of each.
"""

from __future__ import annotations

import os
import random
import sys
import time
from typing import TYPE_CHECKING, TypeVar

if __name__ == "__main__":  # from the checkout, whatever is installed
    sys.path[0] = os.path.dirname(os.path.dirname(os.path.dirname(os.path.realpath(__file__))))

from scripts.trial import report
from scripts.trial.report import Finding
from tests.crash import verbs
from tests.crash.sweeping import prepared
from tests.crash.switch import BAD, FULL, STOP

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from scripts.trial.report import Setting
    from tests.crash.rows import Row

T = TypeVar("T")
QUICK = 3
SLOW = 40  # steps of a row that takes seconds for each
PROMISE = "nothing lost or twice; again it goes on; pages as rebuilt; recover leaves nothing"
REFUSED = "our own words and exit code; nothing half made; with room it goes on"
MOST_USED = (
    "create", "run-once", "burst", "pause", "propose", "approve", "dispatch-complete", "dispatch-ingest", "prune",
    "export",
)  # fmt: skip


def _every(mode: str, what: str, promise: str) -> Callable[[Setting], list[Finding]]:
    def trial(setting: Setting) -> list[Finding]:
        found = []
        for row, until_s in _shared(setting, verbs.ROWS):
            sweep = prepared(row, f"{setting.scratch}/row")
            steps = range(1, len(sweep.steps) + 1)
            most = SLOW if row.is_dear and not setting.seconds else len(steps)
            chosen = _chosen(steps, QUICK if setting.quick else most, f"{setting.seed}{row.name}{mode}")
            swept = sweep.at(_until(chosen, until_s), mode)
            tried = f"{swept.struck} of {swept.steps} steps"
            found.append(_told(Finding(what=f"{row.name}, {what}", tried=tried, promise=promise, broken=swept.wrong)))
        return found

    return trial


def called(setting: Setting) -> list[Finding]:
    """Kill -9 at system calls of real processes."""
    found = []
    for row, until_s in _shared(setting, [row for row in verbs.ROWS if row.name in MOST_USED]):
        sweep = prepared(row, f"{setting.scratch}/row")
        points = sweep.points()
        chosen = _chosen(points, QUICK if setting.quick else len(points), f"{setting.seed}{row.name}")
        swept = sweep.killed(_until(chosen, until_s))
        tried = f"{swept.struck} of {len(points)} calls"
        found.append(_told(Finding(what=f"{row.name}, kill -9", tried=tried, promise=PROMISE, broken=swept.wrong)))
    return found


def _shared(setting: Setting, rows: Sequence[Row]) -> Iterator[tuple[Row, float]]:
    """Each row, and until when it may go on: what one leaves of its share is of those after it."""
    end_s = time.monotonic() + (setting.seconds or float("inf"))
    for left, row in zip(range(len(rows), 0, -1), rows, strict=True):
        now_s = time.monotonic()
        yield row, now_s + (end_s - now_s) / left


def _chosen(points: Sequence[T], most: int, seed: str) -> list[T]:
    return random.Random(seed).sample(points, min(most, len(points)))


def _until(points: Sequence[T], end_s: float) -> Iterator[T]:
    """Those that are begun in time, the first in any case."""
    for number, point in enumerate(points):
        if number and time.monotonic() > end_s:
            return
        yield point


def _told(finding: Finding) -> Finding:
    """As it goes: who interrupts hours of this has what was found."""
    print(f"  {finding.what}: {finding.tried}, {len(finding.broken)} broken", file=sys.stderr, flush=True)
    return finding


if __name__ == "__main__":
    os.environ["HOME"] = "/nonexistent"  # each box has a home of its own
    report.run(
        __doc__,
        {
            "stopped": _every(STOP, "stopped", PROMISE),
            "full": _every(FULL, "full disk", REFUSED),
            "failing": _every(BAD, "failing disk", REFUSED),
            "called": called,
        },
    )
