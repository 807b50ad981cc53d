"""`labctl init`: where the lab is made, and what is said of how it is found again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.cli.labs import whole_tree

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl


def test_a_place_may_be_given_as_a_word(place: Path, labctl: Labctl) -> None:
    other = place.parent / "my lab"
    said = labctl.done("init", str(other))
    assert (other / "registry").is_dir()
    assert not place.exists()
    assert f"export LAB_DATA_ROOT='{other}'" in said.err  # or the line after it would find another lab, or none
    assert labctl.done("--data-root", str(other), "list").code == 0


def test_a_lab_that_is_found_anyway_needs_no_setting(place: Path, labctl: Labctl) -> None:
    assert "export" not in labctl.done("init").all
    assert "export" not in labctl.done("init", str(place)).all
    said = labctl.done("--data-root", str(place.parent / "b"), "init", "--json")
    assert said.envelope["next"] == [f"export LAB_DATA_ROOT={place.parent / 'b'}", "labctl create first-run"]


def test_two_places_are_refused(place: Path, labctl: Labctl) -> None:
    said = labctl("--data-root", str(place.parent / "a"), "init", str(place.parent / "b"))
    assert said.code == 2
    assert "two places are named" in said.err
    assert [each.name for each in place.parent.iterdir()] == []


def test_no_lab_is_made_inside_another_one(place: Path, labctl: Labctl) -> None:
    labctl.done("init", str(place))
    before = whole_tree(place)
    link = place.parent / "elsewhere"
    link.symlink_to(place / "scratch")
    for inside in (place / "experiments" / "foo", place / "scratch" / "a" / "b", place / "registry", link / "lab"):
        said = labctl("init", str(inside))
        assert said.code == 2
        assert "inside the data root of another lab" in said.err
        assert f"export LAB_DATA_ROOT={place}" in said.err
    assert whole_tree(place) == before
    assert labctl.done("init", str(place)).out == f"already a lab: {place}\n"
    (place.parent / "moved").mkdir()
    place.rename(place.parent / "moved" / "in")
    assert labctl.done("init", str(place.parent / "moved" / "in")).code == 0
