"""Words on poles: none upon another, none upon a pole, none outside."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given as for_all
from hypothesis import strategies as st

from lab.projections.drawing import flags, measure
from lab.projections.drawing.flags import ROWS, SIZE, Flag, Wanted

wanted = st.lists(
    st.builds(Wanted, x=st.floats(10, 590), text=st.text("abcdefg ", min_size=1, max_size=30), weight=st.floats(0, 9)),
    max_size=25,
)


def crosses(pole: Flag, words: Flag) -> bool:
    return pole.row > words.row and words.left < pole.x < words.right


@for_all(wanted)
def test_no_words_meet_another_or_a_pole_or_the_frame(asked: list[Wanted]) -> None:
    found = flags.placed(asked, 10, 590)

    assert all(10 <= flag.left < flag.right <= 590 and 0 <= flag.row < ROWS for flag in found)
    for one, other in combinations(found, 2):
        assert not (one.row == other.row and one.left < other.right and other.left < one.right)
        assert not crosses(one, other)
        assert not crosses(other, one)
    if asked and any(measure.width(each.text, SIZE) < 280 for each in asked if each.text.strip()):
        assert found


def test_of_two_that_cannot_both_stand_the_weightier_does() -> None:
    asked = [Wanted(x=100, text="a" * 60, weight=weight) for weight in range(20)]

    found = flags.placed(asked, 10, 590)

    assert 0 < len(found) < 20
    assert found[0].text == "a" * 60


def test_at_the_right_edge_words_end_at_their_pole() -> None:
    assert [flag.ends for flag in flags.placed([Wanted(x=580, text="the last one", weight=1)], 10, 590)] == [True]
