"""A drawing with fewer things to point at: nothing is taken from what is seen, only from what is said on pointing.

Each mark that says which run it is takes a tenth of a kilobyte or three; a crowd of them is most of a page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing.scene import Box, Mark, Marks, Words
from lab.projections.picture import thinning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.projections.drawing.scene import Item, Point, Scene


def count(scene: Scene) -> int:
    """How many marks say something."""
    return sum(_says(item) for item in scene.items)


def at_most(scene: Scene, most: int, link: Callable[[str], str]) -> Scene:
    """So many marks say what they are: those that lead somewhere first, of the rest an even sample.

    `link` makes what a reader can follow of the `href` that is there; empty for nowhere.
    """
    items = [_led(item, link) for item in scene.items]
    telling = [place for place, item in enumerate(items) if _says(item)]
    leading = [place for place in telling if _leads(items[place])]
    spoken = set(thinning.evenly(leading, most))
    rest = [place for place in telling if place not in spoken]
    spoken.update(thinning.evenly(rest, max(most - len(spoken), 0)))
    quiet = [item if place in spoken else _quiet(item) for place, item in enumerate(items)]
    return msgspec.structs.replace(scene, items=tuple(_gathered(quiet)))


def _says(item: Item) -> bool:
    return isinstance(item, Mark | Box) and bool(item.says or item.href)


def _leads(item: Item) -> bool:
    return isinstance(item, Mark | Box) and bool(item.href)


def _led(item: Item, link: Callable[[str], str]) -> Item:
    if isinstance(item, Mark | Box | Words) and item.href:
        return msgspec.structs.replace(item, href=link(item.href))
    return item


def _quiet(item: Item) -> Item:
    return msgspec.structs.replace(item, says="", href="") if isinstance(item, Mark | Box) else item


def _gathered(items: Sequence[Item]) -> Iterator[Item]:
    """Marks that look alike, lie one upon the other and say nothing, as the one thing that they are for a page."""
    looks: tuple[str, str, float] | None = None
    points: list[Point] = []
    for item in items:
        if isinstance(item, Mark) and not _says(item):
            mine = (item.look, item.shape, item.size)
            if mine != looks:
                yield from _crowd(looks, points)
                looks, points = mine, []
            points.append(item.at)
            continue
        yield from _crowd(looks, points)
        looks, points = None, []
        yield item
    yield from _crowd(looks, points)


def _crowd(looks: tuple[str, str, float] | None, points: Sequence[Point]) -> Iterator[Item]:
    if looks is not None:
        look, shape, size = looks
        yield Marks(look=look, at=tuple(points), shape=shape, size=size)
