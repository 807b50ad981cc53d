"""A simulation: many nodes whose runs end in one experiment, each of which needs its section for a moment.

Everything is on one time line, with the rule of `store.sections` for whoever waits: ask again and again. No file, no
clock; the hold times are given, and `scale.py` measures them.
"""

from __future__ import annotations

import heapq
import random
import statistics
from typing import TYPE_CHECKING, NamedTuple

from lab.store import sections

if TYPE_CHECKING:
    from collections.abc import Callable

RUNS = 5  # of each node


class Queue(NamedTuple):
    """What came of it."""

    runs_a_second: float
    busy_share: float  # of the section
    median_wait_s: float
    worst_wait_s: float
    asks_a_second: float  # how often somebody asked for the lock
    given_up: int  # waited longer than the patience


def fixed(_waited_s: float, luck: random.Random) -> float:
    """Five milliseconds, however long it takes, give or take what a scheduler adds."""
    return 0.005 * (1 + 0.01 * luck.random())


def patient(waited_s: float, luck: random.Random) -> float:
    """What the lab does."""
    return sections.pause_s(waited_s, luck.random())


def simulate(  # the terms of a simulation
    nodes: int,
    run_s: float,
    hold_s: float,
    *,
    pause: Callable[[float, random.Random], float] = patient,
    together: bool = False,
) -> Queue:
    """`nodes` nodes, each `RUNS` runs of `run_s` (a tenth more or less) and `hold_s` of the section for each.

    With `together`, all first runs end in the same moment, and there is only one of each.
    """
    luck = random.Random(1)
    rounds = 1 if together else RUNS
    # Each entry: when, a number that breaks ties, since when it waits, and how many runs it still has.
    waiting = [(0.0 if together else luck.random() * run_s, node, -1.0, rounds) for node in range(nodes)]
    heapq.heapify(waiting)
    free_at_s, held_s, asks, last_s = 0.0, 0.0, 0, 0.0
    waits: list[float] = []
    while waiting:
        now_s, node, since_s, left = heapq.heappop(waiting)
        since_s = now_s if since_s < 0 else since_s
        asks += 1
        if now_s < free_at_s:
            heapq.heappush(waiting, (now_s + pause(now_s - since_s, luck), node, since_s, left))
            continue
        waits.append(now_s - since_s)
        free_at_s = last_s = now_s + hold_s
        held_s += hold_s
        if left > 1:
            next_s = free_at_s + run_s * luck.uniform(0.9, 1.1)
            heapq.heappush(waiting, (next_s, node, -1.0, left - 1))
    return Queue(
        len(waits) / last_s, held_s / last_s, statistics.median(waits), max(waits), asks / last_s,
        sum(wait > sections.WAIT_S for wait in waits),
    )  # fmt: skip
