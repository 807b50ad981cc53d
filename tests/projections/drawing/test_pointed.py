"""Fewer things to point at: as much is seen as before."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lab.projections.drawing import pointed
from lab.projections.drawing.scene import Box, Mark, Marks, Scene, Words

marks = st.builds(
    Mark,
    look=st.sampled_from(["keep", "crash"]),
    at=st.tuples(st.integers(0, 9), st.integers(0, 9)),
    says=st.sampled_from(["", "run 1"]),
    href=st.sampled_from(["", "here", "gone"]),
)
items = st.lists(
    marks | st.builds(Box, look=st.just("bar"), at=st.just((1.0, 2.0)), width=st.just(1.0), height=st.just(1.0))
)


def scene(found: list[Mark | Box]) -> Scene:
    return Scene(name="x", title="", told="", width=10, height=10, items=tuple(found))


def link(href: str) -> str:
    return "#there" if href == "here" else ""


@given(items, st.integers(0, 12))
def test_every_mark_stays_where_it_is_and_at_most_so_many_are_told(found: list[Mark | Box], most: int) -> None:
    drawn = pointed.at_most(scene(found), most, link)
    seen = []
    for item in drawn.items:
        if isinstance(item, Marks):
            seen += [(item.look, at) for at in item.at]
        elif isinstance(item, Mark | Box):
            seen.append((item.look, item.at))
    assert seen == [(item.look, item.at) for item in found]
    assert pointed.count(drawn) == min(sum(bool(item.says or link(item.href)) for item in found), most)
    assert {item.href for item in drawn.items if isinstance(item, Mark)} <= {"", "#there"}


def test_those_that_lead_somewhere_are_told_first_and_words_lead_where_they_can() -> None:
    found = [Mark(look="keep", at=(n, 0), says="run", href="here" if n == 7 else "") for n in range(9)]
    drawn = pointed.at_most(scene([*found]), 1, link)
    assert [item.at for item in drawn.items if isinstance(item, Mark)] == [(7, 0)]
    label = Words(look="label", at=(0, 0), text="a step", href="gone")
    [shown] = pointed.at_most(Scene(name="x", title="", told="", width=1, height=1, items=(label,)), 5, link).items
    assert isinstance(shown, Words)
    assert (shown.text, shown.href) == ("a step", "")
