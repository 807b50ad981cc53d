"""A run that an engine has, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.job import RUNNING
from lab.scheduler import placed

if TYPE_CHECKING:
    from lab.scheduler.placed import State
    from lab.store.root import Root

_SECONDS = len("2026-11-21T09:30:00")


def of(root: Root, experiment: str, run_id: str) -> State | None:
    """What is known of one run; None when no engine has it."""
    return next((each for each in placed.states(root, experiment) if each.run_id == run_id), None)


def line(state: State) -> str:
    """Where it is, since when, and what it waits for."""
    since = f" since {state.since[:_SECONDS]}Z" if state.since else ""
    return f"{state.state} at {holder(state)}{since}" + (f": {state.why}" if state.why else "")


def holder(state: State) -> str:
    """The engine, what it calls the job, and the place that it gave it."""
    job = f" (job {state.number})" if state.number else ""
    return f"{state.engine}{job}" + (f" on {state.where}" if state.where else "")


def waits(state: State) -> bool:
    """Whether its body has not come yet, so that the run has written nothing."""
    return state.state != RUNNING
