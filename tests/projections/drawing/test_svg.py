"""A scene as SVG: well formed whatever is written in it, the same bytes each time, no colour but by name."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.projections import text
from lab.projections.drawing import look, scene, svg

SHAPES = [
    scene.CIRCLE, scene.CROSS, scene.SQUARE, scene.TRIANGLE_UP, scene.TRIANGLE_DOWN, scene.DIAMOND,
]  # fmt: skip


def a_scene(*items: scene.Item, title: str = "a title", told: str = "told") -> scene.Scene:
    return scene.Scene(name="drawing", title=title, told=told, width=100, height=50, items=items)


@given(st.text(max_size=40))
def test_what_people_wrote_is_text_and_never_markup(words: str) -> None:
    clean = text.line(words)
    items = (
        scene.Words(look="label", at=(1, 2), text=clean, href=f"#{clean}"),
        scene.Mark(look="keep", at=(1, 2), says=clean),
    )
    root = ET.fromstring(svg.render(a_scene(*items, title=clean, told=clean), alone=True))  # noqa: S314  # our own
    inside = [each.text or "" for each in root.iter() if each.tag.endswith(("title", "desc", "text"))]
    assert all(each == clean for each in inside)
    assert not [each for each in root.iter() if each.tag.endswith("script")]


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_alone_and_in_a_crowd_lies_where_it_should(shape: str) -> None:
    alone = svg.render(a_scene(scene.Mark(look="keep", at=(30, 20), shape=shape, size=4, says="here")))
    crowd = svg.render(a_scene(scene.Marks(look="keep", at=((30, 20), (40, 20)), shape=shape, size=4)))
    assert "<title>here</title>" in alone
    if shape != scene.CIRCLE:
        drawn = re.search(r'd="(M[^M"]*(?:m[^M"]*)?)"', alone)
        assert drawn
        assert drawn[1] in crowd


def test_every_look_has_a_colour_for_light_and_for_dark() -> None:
    needed = scene.LOOKS - {"tick", "title", "label"}  # words, which are ink or muted
    assert needed <= look.COLOURS.keys()
    assert all(re.fullmatch(r"#[0-9a-f]{6}", colour) for pair in look.COLOURS.values() for colour in pair)


def _contrast(one: str, other: str) -> float:
    def light(colour: str) -> float:
        parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((light(one), light(other)))
    return (high + 0.05) / (low + 0.05)


def test_words_can_be_read_and_marks_that_matter_be_seen_on_light_and_dark_paper() -> None:
    for which in (0, 1):
        paper = look.COLOURS["paper"][which]
        for name in ("ink", "muted", "crash"):
            assert _contrast(look.COLOURS[name][which], paper) >= 4.5, name
        for name in ("keep", "within", "crash", "baseline", "claimed", "stair"):
            assert _contrast(look.COLOURS[name][which], paper) >= 3, name


def test_a_file_that_stands_alone_has_its_style_inside_and_one_for_a_page_names_no_colour() -> None:
    item = scene.Mark(look="keep", at=(1, 2))
    assert "#" not in svg.render(a_scene(item))
    alone = svg.render(a_scene(item), alone=True)
    assert "prefers-color-scheme:dark" in alone
    dark = svg.render(a_scene(item), alone=True, dark=True)
    assert "prefers-color-scheme" not in dark
    assert look.COLOURS["paper"][1] in dark
    assert look.COLOURS["paper"][0] not in dark
