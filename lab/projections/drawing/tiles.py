"""Several scenes beside each other, as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing import legend, measure
from lab.projections.drawing import scene as scenes
from lab.projections.drawing.scene import Scene, Words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.projections.drawing.scene import Item, Point

_SIDE, _HEAD, _TITLE = 12.0, 34.0, 14.0


def beside(parts: Sequence[Scene], *, width: float, name: str, title: str) -> Scene:
    """In rows, as many in a row as are no wider than `width`; the scene is as high as they need."""
    placed = list(_placed(parts, width))
    items = tuple(shifted(item, at) for part, at in placed for item in part.items)
    return Scene(
        name=name,
        title=title,
        told=" ".join(part.told for part in parts),
        width=max((at[0] + part.width for part, at in placed), default=width),
        height=max((at[1] + part.height for part, at in placed), default=1.0),
        items=items,
    )


def framed(scene: Scene, heading: str, below: Sequence[str] = ()) -> Scene:
    """The scene with words over it, and sentences under it: a file that is sent around says by itself what it is."""
    lines = legend.wrapped(below, scene.width - 2 * _SIDE)
    said = [
        Words(look="muted", at=(_SIDE, scene.height + _HEAD + number * legend.LINE + 12), text=line, size=legend.SIZE)
        for number, line in enumerate(lines)
    ]
    title = measure.fitted(heading, _TITLE, scene.width - 2 * _SIDE, bold=True)
    return msgspec.structs.replace(
        scene,
        height=scene.height + _HEAD + len(lines) * legend.LINE + (8 if lines else 0),
        items=(
            Words(look="title", at=(_SIDE, 21), text=title, size=_TITLE, bold=True),
            *(shifted(item, (0.0, _HEAD)) for item in scene.items),
            *said,
        ),
    )


def shifted(item: Item, by: Point) -> Item:
    """The same mark elsewhere."""
    if isinstance(item, scenes.Stroke):
        return msgspec.structs.replace(item, points=tuple(_moved(point, by) for point in item.points))
    if isinstance(item, scenes.Marks):
        return msgspec.structs.replace(item, at=tuple(_moved(point, by) for point in item.at))
    return msgspec.structs.replace(item, at=_moved(item.at, by))


def _moved(point: Point, by: Point) -> Point:
    return point[0] + by[0], point[1] + by[1]


def _placed(parts: Sequence[Scene], width: float) -> Iterator[tuple[Scene, Point]]:
    x = y = row = 0.0
    for part in parts:
        if x and x + part.width > width:
            x, y, row = 0.0, y + row, 0.0
        yield part, (x, y)
        x, row = x + part.width, max(row, part.height)
