"""What a chunk under way is doing, told from what it has written so far. Pure, and only a guess: nobody is asked.

It is stalled when no row came for longer than STALL_STEPS times what a step takes as a rule, and for at least
STALL_LEAST_S; before the first row, when the time has passed that one answer of the service may take. A pause that the
service asked for, or that the chunk noticed, is told as that, however long it lasts. How long a measurement takes
nobody knows: one that is all that was ordered is never called stalled.
"""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.chunk import Order
    from lab.tinker.rows import Pause, Steps

STALL_STEPS, STALL_LEAST_S = 5, 60.0
_RECENT = 50  # rows that tell how long a step takes as a rule
_MINUTE_S, _HOUR_S = 60, 3600
_MEANS = {
    "billing": "the account of the key is not paid for",
    "capacity": "the service has no room",
    "rate limit": "too much is asked of the service at once",
    "errors": "the service fails, and is asked again",
    "away": "the service cannot be reached",
}


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a chunk."""

    state: Literal["connecting", "training", "paused", "stalled", "saving"]
    words: str
    step: int  # that is done next; `end` when all of the chunk are done
    end: int  # of the chunk
    until: int  # of the training
    step_s: float | None = None  # that one takes as a rule
    left_s: float | None = None  # until the chunk's steps are done, at that rate
    pause: str = ""  # billing, capacity, ...


def sight(order: Order, steps: Steps, pauses: Sequence[Pause], *, begun_at: float, now: float) -> Sight:
    """What is to be seen at `now`, of a chunk whose run began at `begun_at` (seconds since 1970)."""
    end = min(order.first_step + order.steps, order.until)
    rows = [row for row in steps.rows if order.first_step <= row.step < end]
    step = rows[-1].step + 1 if rows else order.first_step
    step_s = statistics.median(row.step_s for row in rows[-_RECENT:]) if rows else None
    last_at = max((row.at for row in rows), default=begun_at)
    quiet_s = max(0.0, now - last_at)
    waiting = next((pause for pause in reversed(pauses) if pause.over is None and pause.at >= last_at), None)
    here = Sight(
        state="training",
        words="",
        step=step,
        end=end,
        until=order.until,
        step_s=step_s,
        left_s=None if step_s is None else (end - step) * step_s,
    )
    if waiting is not None:
        words = f"paused: {waiting.what} for {span(now - waiting.at)} ({_MEANS.get(waiting.what, waiting.words)})"
        return msgspec.structs.replace(here, state="paused", words=words, pause=waiting.what, left_s=None)
    if not order.steps:
        return msgspec.structs.replace(here, words=f"measures the end, for {span(quiet_s)}")
    if step_s is None:
        return _before(here, order.tuning.call_limit_s, quiet_s)
    return _between(here, step_s, quiet_s)


def _before(here: Sight, limit_s: float, quiet_s: float) -> Sight:
    if quiet_s <= limit_s:
        words = f"connecting, and in its first step, for {span(quiet_s)}"
        return msgspec.structs.replace(here, state="connecting", words=words)
    words = f"stalled: no step is done after {span(quiet_s)}, and an answer may take {span(limit_s)}"
    return msgspec.structs.replace(here, state="stalled", words=words)


def _between(here: Sight, step_s: float, quiet_s: float) -> Sight:
    patience_s = max(STALL_STEPS * step_s, STALL_LEAST_S)
    if quiet_s > patience_s:
        what = "not saved" if here.step >= here.end else "no step"
        words = f"stalled: {what} for {span(quiet_s)}; a step takes {step_s:.3g} s, and {span(patience_s)} are waited"
        return msgspec.structs.replace(here, state="stalled", words=words, left_s=None)
    if here.step >= here.end:
        return msgspec.structs.replace(here, state="saving", words=f"all steps done, saving for {span(quiet_s)}")
    words = f"step {here.step} of {here.until}, {step_s:.3g} s each; {span(here.left_s or 0.0)} left in this run"
    return msgspec.structs.replace(here, words=words)


def span(seconds: float) -> str:
    """A time for people: 12 s, 5 min, 3.5 h."""
    if seconds < 2 * _MINUTE_S:
        return f"{max(seconds, 0.0):.0f} s"
    if seconds < 2 * _HOUR_S:
        return f"{seconds / _MINUTE_S:.0f} min"
    return f"{seconds / _HOUR_S:.1f} h"
