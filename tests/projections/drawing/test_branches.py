"""Where the members of a forest stand: nobody twice, nobody upon another, and no lines cross while there are few."""

from __future__ import annotations

from itertools import combinations, pairwise

import pytest
from hypothesis import example
from hypothesis import given as for_all
from hypothesis import strategies as st

from lab.projections.drawing import branches
from lab.projections.drawing.branches import NOBODY, Branch, Member

MOST = 40
forests = st.lists(st.tuples(st.integers(0, 6), st.booleans()), max_size=MOST).map(
    lambda members: [
        Member(max(at - back, NOBODY) if back else NOBODY, first) for at, (back, first) in enumerate(members)
    ]
)


def crossed(found: list[Branch]) -> bool:
    """Whether a line that goes down to its row comes upon one that runs there."""
    for branch in found:
        if branch.above != NOBODY:
            between = range(found[branch.above].row + 1, branch.row)
            if any(each.row in between and each.start < branch.start <= each.end for each in found):
                return True
    return False


@for_all(forests, st.sampled_from([0, 3, MOST]))
@example([Member(NOBODY), Member(NOBODY), Member(1), Member(1), Member(1), Member(0)], 0)
def test_everybody_stands_once_and_no_two_lines_upon_each_other(members: list[Member], few: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(branches, "FEW", few)
        found = branches.of(members)

    assert sorted(at for branch in found for at in (*branch.on, *branch.hang)) == list(range(len(members)))
    for one, other in combinations(found, 2):
        assert one.row != other.row or one.end < other.start or other.end < one.start
    for branch in found:
        assert branch.above == NOBODY or found[branch.above].row < branch.row
        assert all(branch.start <= at <= branch.end for at in (*branch.on, *branch.hang))
    assert few < MOST or not crossed(found)


@for_all(forests)
def test_who_hangs_from_a_line_follows_its_parent_on_it(members: list[Member]) -> None:
    """Else one would read that it came of somebody else."""
    for branch in branches.of(members):
        for at in branch.hang:
            before = [each for each in branch.on if each < at]
            assert members[at].parent == (before[-1] if before else branch.start)
        for parent, child in pairwise(branch.on):
            assert members[child].parent == parent


def test_who_has_to_goes_on_with_the_line() -> None:
    members = [Member(NOBODY), Member(0), Member(0, first=True), Member(1), Member(1), Member(4)]

    assert branches.of(members)[0].on == [0, 2]


def test_what_runs_at_different_times_shares_a_row() -> None:
    chain = [NOBODY, 0, 0, 0, 3, 3, 3, 6, 6, 6]

    assert branches.rows(branches.of([Member(parent) for parent in chain])) == 1


def test_a_family_of_thousands_of_generations_is_one_line() -> None:
    found = branches.of([Member(at - 1) for at in range(5_000)])

    assert len(found) == 1
    assert (len(found[0].on), found[0].hang) == (4_999, [4_999])  # who has no children hangs
