"""A project on its way in one process: a burst that ends where a phase failed, or at the phase that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.run import FAILURES
from lab.scheduler.search.burst import GONE, MADE, OVER
from lab.scheduler.step import PROBLEM, RAN

if TYPE_CHECKING:
    from lab.scheduler.cycle import Errand
    from lab.scheduler.search.burst import Burst
    from lab.scheduler.step import Step


def go(burst: Burst, *, until: str = "", errand: Errand | None = None) -> None:
    """Phase after phase. With an errand that one alone. What was sealed is sealed, whatever ends it."""
    try:
        while burst.left and not burst.ends():
            came = burst.one(errand)
            if came in (OVER, GONE):
                return
            if came != MADE:
                continue
            burst.left -= 1
            burst.turn.publish_now_and_then()
            last = ran(burst)[-1]
            if errand is not None or last.tier == until or last.outcome in FAILURES:
                return
    finally:
        burst.turn.publish()


def ran(burst: Burst) -> list[Step]:
    """The phases that were done, or tried."""
    return [each for each in burst.turn.steps if each.kind == RAN]


def trouble(burst: Burst) -> Step | None:
    """What went wrong last, if that is why it ended."""
    told = [each for each in burst.turn.steps if each.kind == RAN or _is_why(each, burst)]
    last = told[-1] if told else None
    return last if last is not None and (last.kind == PROBLEM or last.outcome in FAILURES) else None


def _is_why(step: Step, burst: Burst) -> bool:
    return step.kind == PROBLEM and step.what == burst.stopped
