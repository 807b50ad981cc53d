"""A drawing of an experiment that stands by itself, as a file of SVG."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections.drawing import coordinates, importance, lineage, slices, spending, stairs, svg, timeline
from lab.projections.drawing.look import STYLE
from lab.web import assets

if TYPE_CHECKING:
    from lab.projections.drawing.scene import Scene
    from lab.projections.picture.whole import Picture

POLICY = f"default-src 'none'; style-src {assets.source_hash(STYLE)}; frame-ancestors 'none'"
_SLICE = "slice-"


def names(picture: Picture) -> list[str]:
    """The drawings that there are of it."""
    told = picture.parameters
    found = {
        "stairs": True,
        "coordinates": told is not None,
        "importance": told is not None and told.importance is not None,
        "lineage": picture.lineage is not None,
        "timeline": bool(picture.timeline.lanes),
        "spending": bool(picture.spending.improvements),
    }
    found |= {f"{_SLICE}{number}": True for number in range(len(told.axes) if told else 0)}
    return [name for name, is_there in found.items() if is_there]


def draw(picture: Picture, name: str) -> str | None:
    """The file; None where there is no such drawing."""
    if name not in names(picture):
        return None
    scene = _scene(picture, name)
    return None if scene is None else svg.render(scene, alone=True)


def _scene(picture: Picture, name: str) -> Scene | None:
    told = picture.parameters
    if name == "stairs":
        return stairs.draw(picture.stairs)
    if name == "timeline":
        return timeline.draw(picture.timeline)
    if name == "spending":
        return spending.draw(picture.spending)
    if name == "lineage":
        return lineage.draw(picture.lineage) if picture.lineage else None
    if told is None:
        return None
    if name == "coordinates":
        return coordinates.draw(told)
    if name == "importance":
        return importance.draw(told.importance) if told.importance else None
    return slices.draw(told, int(name.removeprefix(_SLICE)))
