from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.scheduler.loop.finalized import INDEPENDENT, STACKED, Kept, plan

if TYPE_CHECKING:
    from lab.scheduler.loop.finalized import Plan


def kept(number: int, *paths: str) -> Kept:
    return Kept(commit=f"c{number:039d}", parent=f"c{number - 1:039d}", paths=paths, title=f"Idea {number}: faster!")


def planned(*line: Kept, way: str = INDEPENDENT) -> Plan:
    return plan("x", "base", "final", line, prefix="x-final", way=way)


def standing(found: Plan) -> list[tuple[str, str]]:
    """Which branch stands on which, by their numbers."""
    return [(each.name.split("/")[1][:2], each.on.partition("/")[2][:2]) for each in found.branches]


def test_changes_to_different_files_stand_on_the_merge_base() -> None:
    found = planned(kept(1, "a.py"), kept(2, "b.py"), kept(3, "c.py"))
    assert standing(found) == [("01", ""), ("02", ""), ("03", "")]


def test_changes_that_share_a_file_stand_on_one_another() -> None:
    found = planned(kept(1, "a.py"), kept(2, "b.py"), kept(3, "a.py", "d.py"), kept(4, "d.py"))
    assert standing(found) == [("01", ""), ("02", ""), ("03", "01"), ("04", "03")]


def test_what_joins_two_lines_makes_one_of_them() -> None:
    found = planned(kept(1, "a.py"), kept(2, "b.py"), kept(3, "a.py", "b.py"))
    assert standing(found) == [("01", ""), ("02", "01"), ("03", "02")]


@pytest.mark.parametrize(("one", "other"), [("lib", "lib/x.py"), ("lib/x.py", "lib")])
def test_a_file_and_a_folder_of_its_name_are_shared(one: str, other: str) -> None:
    assert standing(planned(kept(1, one), kept(2, other))) == [("01", ""), ("02", "01")]


def test_names_that_only_begin_alike_are_not_shared() -> None:
    assert standing(planned(kept(1, "lib"), kept(2, "lib.py"), kept(3, "li/b"))) == [("01", ""), ("02", ""), ("03", "")]


def test_all_are_stacked_where_that_is_wanted() -> None:
    found = planned(kept(1, "a.py"), kept(2, "b.py"), kept(3, "c.py"), way=STACKED)
    assert standing(found) == [("01", ""), ("02", "01"), ("03", "02")]


def test_a_branch_is_named_after_its_idea() -> None:
    assert planned(kept(1, "a.py")).branches[0].name == "x-final/01-idea-1-faster"
    nameless = Kept(commit="abcdef0123", parent="p", paths=("a",), title="***")
    assert planned(nameless).branches[0].name == "x-final/01-abcdef0"


@given(st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=3, unique=True), max_size=12))
def test_no_two_lines_share_a_file_and_each_keeps_its_order(changes: list[list[str]]) -> None:
    found = planned(*(kept(number, *paths) for number, paths in enumerate(changes, start=1)))
    line_of: dict[str, str] = {}
    owner: dict[str, str] = {}
    for each in found.branches:
        line = line_of.setdefault(each.name, line_of.get(each.on, each.name))
        for path in each.kept.paths:
            assert owner.setdefault(path, line) == line
    names = [each.name for each in found.branches]
    assert len(set(names)) == len(names)
    assert all(names.index(each.on) < names.index(each.name) for each in found.branches if each.on)
    assert len({each.on for each in found.branches if each.on}) == sum(1 for each in found.branches if each.on)
