"""The part of a long history that a proposal looks at, so that it costs no more after 10,000 trials than after 500."""

from __future__ import annotations

import math
from bisect import bisect_left
from heapq import nsmallest
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.trial import History

BEST, LATEST = 200, 300  # what `perturb` and `tree` look at


def essence(history: History, best: int = BEST, latest: int = LATEST) -> History:
    """The history with the best and the latest of what has ended; the whole of it while it is no longer than both.

    For choosing only. Whether a point was tried is asked of the whole history.
    """
    ended = history.ended
    if len(ended) <= best + latest:
        return history
    losses = [math.inf if (value := trial.value) is None else history.loss(value) for trial in ended]
    # From the end, where most of the good ones are: what comes later then seldom takes the place of one.
    bar = nsmallest(best, reversed(losses))[-1]
    kept = [k for k, loss in enumerate(losses) if loss <= bar]
    if len(kept) > best:  # of equals the first ones
        kept = sorted(sorted(kept, key=losses.__getitem__)[:best])
    start = len(ended) - latest
    kept = kept[: bisect_left(kept, start)]
    return msgspec.structs.replace(history, trials=(*(ended[k] for k in kept), *history.trials[start:]))
