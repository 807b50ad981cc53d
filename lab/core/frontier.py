"""Where the next candidate begins: a tree search over code, chosen from what the loop knows. Pure, given its luck.

Mostly the best is improved. Now and then a change that crashed is repaired, two near misses are combined, or the code
is begun anew from the baseline, by fixed chances; and after each five that were not kept, one begins elsewhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import BASELINE, COMBINE, DEBUG, DRAFT, IMPROVE
from lab.core.loop import Node

if TYPE_CHECKING:
    from random import Random

    from lab.core.loop import Loop

TURN, PIVOT = 3, 5  # candidates in a row that were not kept: change direction; begin somewhere else
REPAIRS = 2  # candidates that may begin at one crash
# Chances of a candidate that does not improve the best, where there is something to repair, combine or begin anew.
REPAIR, MERGE, ANEW = 0.5, 0.15, 0.05
_TWO = 2

CHANGE_DIRECTION = "change direction: the last {count} changes were not kept, so try something of another kind"
ELSEWHERE = "begin elsewhere: the last {count} changes were not kept; this is {what}, not the best"


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """A commit to begin at, and what its proposer is told to do there."""

    kind: str  # baseline, draft, improve, debug or combine
    parent: Node | None = None  # None for the baseline alone
    other: Node | None = None  # what is to be combined with it
    words: str = ""


def choose(loop: Loop | None, rng: Random) -> Start:
    """The next start. Without a baseline, the baseline."""
    if loop is None or loop.base is None or loop.best is None:
        return Start(kind=BASELINE, words="measure the code as it is")
    luck = rng.random()  # one draw, always: what else is known does not change the luck of the next choice
    broken = [node for node in loop.nodes if node.crash and node.children < REPAIRS]
    if broken and luck < REPAIR:
        node = broken[-1]
        return Start(kind=DEBUG, parent=node, words=f"repair {node.run_id}: its change crashed ({node.crash})")
    if loop.unkept and loop.unkept % PIVOT == 0:
        return _elsewhere(loop, rng)
    misses = _misses(loop)
    if len(misses) >= _TWO and luck > 1 - MERGE:
        one, other = sorted(rng.sample(misses, _TWO), key=lambda node: node.run_id)
        words = "combine the two: each looked better than what was the best then, and neither was confirmed"
        return Start(kind=COMBINE, parent=one, other=other, words=words)
    if luck > 1 - MERGE - ANEW and loop.best.run_id != loop.base.run_id:
        return Start(kind=DRAFT, parent=loop.base, words="begin anew from the baseline, with another approach")
    return Start(kind=IMPROVE, parent=loop.best, words=_direction(loop))


def _direction(loop: Loop) -> str:
    return CHANGE_DIRECTION.format(count=loop.unkept) if loop.unkept >= TURN else "improve the best"


def _misses(loop: Loop) -> list[Node]:
    return [node for node in loop.nodes if not node.crash]


def _elsewhere(loop: Loop, rng: Random) -> Start:
    """Another node than the best, the least used first: a near miss, what was kept before, or the baseline."""
    best = loop.best.run_id if loop.best else ""
    known = {node.run_id: node for node in (loop.base, *loop.keeps, *_misses(loop)) if node and node.run_id != best}
    if not known:
        return Start(kind=IMPROVE, parent=loop.best, words=_direction(loop))
    fewest = min(node.children for node in known.values())
    node = rng.choice([node for node in known.values() if node.children == fewest])
    if loop.base and node.run_id == loop.base.run_id:
        what = "the baseline"
    else:
        what = "an earlier best" if node.kept else "a near miss"
    kind = DRAFT if what == "the baseline" else IMPROVE
    return Start(kind=kind, parent=node, words=ELSEWHERE.format(count=loop.unkept, what=what))
