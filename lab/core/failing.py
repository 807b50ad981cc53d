"""Failures that have one cause: what a person is told of before anything stops. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.core.candidate import DISCARD
from lab.core.run import CRASH, FAILURES
from lab.core.view import RECENT_RUNS

if TYPE_CHECKING:
    from lab.core.run import Run
    from lab.core.view import View

SPARED = 3  # so many ends of the lab in a row say nothing of what it ran
ALIKE = 3  # so many in a row are a pattern; what fails now and then is part of a search
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")


def alike(view: View) -> Run | None:
    """The last run, where it and the two before it failed alike; None else."""
    last = view.recent[-ALIKE:]
    if view.failure_streak < ALIKE or len(last) < ALIKE or last[-1].outcome not in FAILURES:
        return None
    return last[-1] if len({(unmeasured(run), cause(run)) for run in last}) == 1 else None


def unmeasured(run: Run) -> bool:
    """Whether it is a change that was discarded before anything was run: sealed as failed, and it did not fail."""
    return run.outcome in FAILURES and run.verdict == DISCARD


def is_spared(view: View) -> bool:
    """Whether the last run ended with the lab, and is no failure of its own: a `kill -9`, a power cut.

    A program that takes the lab down each time must come to an end too: after `SPARED` in a row each is a failure.
    Runs that were out together when the lab ended are one.
    """
    ends, began = 0, ""
    for at, run in enumerate(reversed(view.recent)):
        # The candidate of a code loop that crashed has a verdict; a chunk of a remote training is paid for each time.
        if run.outcome != CRASH or run.verdict or run.chunk is not None:
            break
        is_apart = not at or run.ended_at <= began
        if at == 1 and not is_apart:
            return True
        ends, began = ends + is_apart, run.started_at
    else:
        return ends <= SPARED and len(view.recent) < RECENT_RUNS  # more were out than are remembered
    return 0 < ends <= SPARED


def streak(view: View) -> str:
    """The runs in a row that came to nothing, in words: as failures where none of those still known was never run."""
    last = view.recent[-view.failure_streak :] if view.failure_streak else []
    what = "runs in a row had no value" if any(map(unmeasured, last)) else "failures in a row"
    return f"{view.failure_streak} {what}"


def cause(run: Run) -> str:
    """What two failures have in common: numbers (a pid, a time, an address) differ from run to run."""
    told = f"{run.outcome} {_NUMBER.sub('#', run.reason)}"
    return canonical.digest(canonical.plain(told).encode())[:12]
