"""The session of a chunk: with its deadlines, its ears for pauses, and the words by which the service knows it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.tinker.pauses import Pauses
from lab.tinker.session import Session
from lab.tinker.waiting import Waiting

if TYPE_CHECKING:
    from lab.tinker.place import Place
    from lab.tinker.purse import Purse
    from lab.tinker.telling import Telling


def session(place: Place, telling: Telling, purse: Purse) -> Session:
    """Not connected yet."""
    order = place.order
    pauses = Pauses(telling.pause, telling.complain)
    pauses.attach()
    until_s = None if place.ends_at is None else time.monotonic() + place.ends_at - time.time()
    waiting = Waiting(order.tuning.call_limit_s, pauses, until_s)
    about = {"experiment": order.experiment, "run": order.run_id, "tier": order.tier, "made_by": "labctl"}
    return Session(order.tuning.url, waiting, purse=purse, about=about)
