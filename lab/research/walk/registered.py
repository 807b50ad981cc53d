"""Ideas in the ledger before the first run that is about them: nobody can have expected afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core import event
from lab.core.event import Event
from lab.core.pursuit import SHA256, registration
from lab.research.project import IDEATION, LITERATURE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.core.view import Pursuit
    from lab.research.idea import Idea

_CHARS = 500  # of a hypothesis: the whole of it is in the file that the digest is of
BEFORE = (LITERATURE, IDEATION)  # runs of these are about no idea yet


def events(
    experiment: str, ideas: Iterable[tuple[Idea, str]], known: Pursuit | None, *, ts: str, actor: str
) -> tuple[Event, ...]:
    """Of each that the ledger does not have, as it is written now. An idea that was edited is another one."""
    there = set(known.registered) if known is not None else set()
    return tuple(
        Event(
            type=event.HYPOTHESIS_REGISTERED,
            ts=ts,
            experiment=experiment,
            actor=actor,
            name=each.name,
            reason=each.hypothesis[:_CHARS],
            facts={
                SHA256: sha256, "metric": each.metric, "direction": each.direction,
                "predicted_gain": each.predicted_gain, "kill_below": each.kill.gain_below,
                "kill_after_runs": each.kill.after_runs,
            },
        )
        for each, sha256 in ideas
        if registration(each.name, sha256) not in there
    )  # fmt: skip
