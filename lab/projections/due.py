"""When an experiment is due next, from what is written; the clock has no say in it."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING

from lab.core import cadence
from lab.core.view import OPEN_PHASES
from lab.core.world import stamp
from lab.projections.tier import spec_here

if TYPE_CHECKING:
    from lab.core.spec import Spec
    from lab.core.view import View


def next_due_at(view: View, spec: Spec | None) -> str:
    """The moment from which the next run may start; empty when none may, or when nothing says when.

    An experiment without runs, or whose last run has no times, is due since it was made. The scheduler also asks for
    leases and limits.
    """
    spec = spec_here(view, spec)
    if spec is None or view.phase not in OPEN_PHASES:
        return ""
    if view.last is None:
        return view.created_at
    return _after(spec.cadence, view.last.ended_at) or view.created_at


@lru_cache(maxsize=256)
def _after(cadence_text: str, last: str) -> str:
    """The next moment; empty for an imported run without its times. Three pages of one run ask the same."""
    try:
        moment = datetime.fromisoformat(last)
    except ValueError:
        return ""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return stamp(cadence.parse(cadence_text).next_due(moment))
