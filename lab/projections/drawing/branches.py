"""Where the members of a forest stand when time goes to the right, and on which rows their lines run.

A line goes on from a parent to its heir. The other children hang from it, or branch off to a line of their own below.
Lines that do not run at the same time share a row. Nothing recurses: a family may be thousands of generations deep.
"""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

NOBODY = -1
FEW = 24  # rows: a picture that is higher does not fit on a screen


class Member(NamedTuple):
    """One of a forest. `parent` is the place of one before it, or NOBODY; `first` ones are heirs before others."""

    parent: int
    first: bool = False


class Branch(msgspec.Struct, kw_only=True):
    """A line: those on it, and those that hang from it, by their places. `start` is where it leaves the line above."""

    start: int
    end: int
    on: list[int]
    hang: list[int]
    above: int = NOBODY  # the branch that it leaves
    below: list[int]
    row: int = 0


def of(members: Sequence[Member]) -> list[Branch]:
    """The branches, each after the one that it leaves, on the fewest rows that this way of placing finds."""
    children: list[list[int]] = [[] for _ in members]
    for at, member in enumerate(members):
        if member.parent != NOBODY:
            children[member.parent].append(at)
    size = [1] * len(members)
    leads = [member.first for member in members]
    for at in range(len(members) - 1, -1, -1):
        if members[at].parent != NOBODY:
            size[members[at].parent] += size[at]
            leads[members[at].parent] = leads[members[at].parent] or leads[at]
    branches = _grown(members, children, size)
    _placed(branches, leads, size)
    return branches


def rows(branches: Sequence[Branch]) -> int:
    """How many rows these take."""
    return max((branch.row for branch in branches), default=NOBODY) + 1


def _grown(members: Sequence[Member], children: Sequence[Sequence[int]], size: Sequence[int]) -> list[Branch]:
    """All branches, from the roots on."""
    roots = [at for at, member in enumerate(members) if member.parent == NOBODY]
    open_ = [(at, at, NOBODY) for at in reversed(roots)]
    branches: list[Branch] = []
    while open_:
        head, start, above = open_.pop()
        place = len(branches)
        branch = Branch(start=start, end=head, on=[], hang=[], above=above, below=[])
        branches.append(branch)
        if above != NOBODY:
            branches[above].below.append(place)
        at = head
        while at != NOBODY:
            branch.on.append(at)
            heir = _heir(members, children[at], size)
            late = [each for each in children[at] if heir != NOBODY and each > heir]
            for each in children[at]:
                if each == heir or each in late:
                    continue
                if children[each]:
                    open_.append((each, each, place))
                else:
                    branch.hang.append(each)
                branch.end = max(branch.end, each)
            if late:
                _late(branches, open_, late, children, start=at, above=place)
            branch.end = max(branch.end, at)
            at = heir
    return branches


def _late(
    branches: list[Branch],
    open_: list[tuple[int, int, int]],
    late: Sequence[int],
    children: Sequence[Sequence[int]],
    *,
    start: int,
    above: int,
) -> None:
    """A line for those who came after the heir: on their parent's line they would pass for the heir's."""
    place = len(branches)
    hang = [each for each in late if not children[each]]
    branches.append(Branch(start=start, end=late[-1], on=[], hang=hang, above=above, below=[]))
    branches[above].below.append(place)
    open_.extend((each, each, place) for each in late if children[each])


def _heir(members: Sequence[Member], children: Sequence[int], size: Sequence[int]) -> int:
    """Who goes on with the line: who has to, or has most descendants; NOBODY of those who have none."""
    able = [each for each in children if members[each].first or size[each] > 1]
    return max(able, key=lambda each: (members[each].first, size[each], -each), default=NOBODY)


def _placed(branches: Sequence[Branch], leads: Sequence[bool], size: Sequence[int]) -> None:
    """Give each its row: so that no lines cross, where that takes few rows; else the highest that is free."""
    roots = [place for place, branch in enumerate(branches) if branch.above == NOBODY]
    roots.sort(key=lambda place: (not leads[branches[place].on[0]], -size[branches[place].on[0]], place))
    reach = max((branch.end for branch in branches), default=NOBODY)
    _uncrossed(branches, roots, reach)
    if rows(branches) > FEW:
        _filled(branches, roots, reach)


def _uncrossed(branches: Sequence[Branch], roots: Sequence[int], reach: int) -> None:
    """Each below everything that stands where it runs.

    Of two that leave the same line the later goes first, and with it all that leaves it. So where an earlier one goes
    down nothing stands in its way.
    """
    skyline = [NOBODY] * (reach + 1)
    open_ = list(reversed(roots))
    while open_:
        branch = branches[open_.pop()]
        branch.row = max(skyline[branch.start : branch.end + 1]) + 1
        skyline[branch.start : branch.end + 1] = [branch.row] * (branch.end + 1 - branch.start)
        open_.extend(sorted(branch.below, key=lambda place: (branches[place].start, place)))


def _filled(branches: Sequence[Branch], roots: Sequence[int], reach: int) -> None:
    """Each on the first row below the one it leaves that is free where it runs. Lines cross, and never at a mark."""
    taken: list[list[bool]] = []
    open_ = [(branches[place].start if order else NOBODY, place) for order, place in enumerate(roots)]
    heapq.heapify(open_)
    while open_:
        _, place = heapq.heappop(open_)
        branch = branches[place]
        row = branches[branch.above].row + 1 if branch.above != NOBODY else 0
        while row < len(taken) and any(taken[row][branch.start : branch.end + 1]):
            row += 1
        if row == len(taken):
            taken.append([False] * (reach + 1))
        taken[row][branch.start : branch.end + 1] = [True] * (branch.end + 1 - branch.start)
        branch.row = row
        for each in branch.below:
            heapq.heappush(open_, (branches[each].start, each))
