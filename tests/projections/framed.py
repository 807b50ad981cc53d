"""What holds of every scene: nothing outside the frame, no words upon words, nothing that cannot be drawn."""

from __future__ import annotations

import math
from itertools import combinations
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

from lab.projections import text
from lab.projections.drawing import measure, svg
from lab.projections.drawing.scene import END, LOOKS, MIDDLE, Box, Mark, Marks, Stroke, Words

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.projections.drawing.scene import Item, Point, Scene

LOOSE = 0.51  # strokes have a width
Room = tuple[float, float, float, float]


def holds(scene: Scene) -> None:
    """Refuse a scene that a person would."""
    for item in scene.items:
        assert item.look in LOOKS, item
        for x, y in points(item):
            assert math.isfinite(x)
            assert math.isfinite(y)
            assert -LOOSE <= x <= scene.width + LOOSE, item
            assert -LOOSE <= y <= scene.height + LOOSE, item
    for one, other in combinations(words(scene), 2):
        assert not meet(room(one), room(other)), (one, other)
    for told in (scene.title, scene.told, *(each.text for each in words(scene)), *(mark.says for mark in marks(scene))):
        assert not text.UNSEEN.search(told), told
    ET.fromstring(svg.render(scene))  # noqa: S314  # our own


def points(item: Item) -> Iterator[Point]:
    """The corners of what a mark covers."""
    match item:
        case Stroke():
            yield from item.points
        case Marks():
            yield from item.at
        case Mark():
            x, y = item.at
            yield from ((x - item.size, y - item.size), (x + item.size, y + item.size))
        case Box():
            x, y = item.at
            yield from ((x, y), (x + item.width, y + item.height))
        case Words():
            left, top, right, bottom = room(item)
            yield from ((left, top), (right, bottom))


def words(scene: Scene) -> list[Words]:
    return [item for item in scene.items if isinstance(item, Words)]


def marks(scene: Scene) -> list[Mark | Box]:
    return [item for item in scene.items if isinstance(item, Mark | Box)]


def said(scene: Scene) -> str:
    """All that is written in it."""
    return " ".join(each.text for each in words(scene))


def room(item: Words) -> Room:
    """What words cover, at most."""
    wide = measure.width(item.text, item.size)
    x, y = item.at
    left = x - wide if item.anchor == END else x - wide / 2 if item.anchor == MIDDLE else x
    return left, y - item.size * 0.75, left + wide, y + item.size * 0.22


def meet(one: Room, other: Room) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]
