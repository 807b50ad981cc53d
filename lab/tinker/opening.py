"""The session of a chunk: with its deadlines, its ears for pauses, and the words by which the service knows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.tinker.pauses import Pauses
from lab.tinker.session import Session
from lab.tinker.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.tinker.estimate import Purse
    from lab.tinker.place import Place
    from lab.tinker.telling import Telling


MOST_MARGIN_S = 1.0  # before it is killed: to write down what the last answer said


def session(place: Place, telling: Telling, purse: Purse, check: Callable[[], None]) -> Session:
    """Not connected yet. `check` raises where the chunk is to end, and nothing is on its way that it must wait for."""
    order = place.order
    pauses = Pauses(telling.pause, telling.complain)
    pauses.attach()
    until_s = None if place.ends_at is None else time.monotonic() + _killed_at(place) - time.time()
    waiting = Waiting(order.tuning.call_limit_s, pauses, until_s, check)
    about = {"experiment": order.experiment, "run": order.run_id, "tier": order.tier, "made_by": "labctl"}
    return Session(order.tuning.url, waiting, purse=purse, about=about)


def _killed_at(place: Place) -> float:
    """The end of what an answer is worth waiting for: what comes within the grace can still be saved."""
    return (place.ends_at or 0.0) + place.grace_s - min(MOST_MARGIN_S, place.grace_s / 4)
