"""The drawings of a picture, ready to be put into a page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup  # msgspec resolves annotations

from lab.projections import text
from lab.projections.drawing import (
    coordinates,
    importance,
    lineage,
    slices,
    spending,
    stairs,
    svg,
    timeline,
)

if TYPE_CHECKING:
    from lab.projections.drawing.scene import Scene
    from lab.projections.picture.parameters import Parameters
    from lab.projections.picture.whole import Picture

Link = Callable[[str], str]  # of a run, where it leads; empty for nowhere


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """Elements of SVG. None where there is nothing to draw."""

    stairs: Markup
    other_tiers: tuple[tuple[str, Markup], ...] = ()
    coordinates: Markup | None = None
    importance: Markup | None = None
    slices: tuple[Markup, ...] = ()
    lineage: Markup | None = None
    timeline: Markup | None = None
    spending: Markup | None = None


def of(picture: Picture, link: Link) -> Drawn:
    """All drawings of a picture; a mark that stands for a run leads where `link` says."""
    told, kin, when, spent = picture.parameters, picture.lineage, picture.timeline, picture.spending
    return Drawn(
        stairs=element(stairs.draw(picture.stairs, href=link), "stairs"),
        other_tiers=tuple(
            (each.tier, element(stairs.draw(each, href=link), f"stairs-{number}"))
            for number, each in enumerate(picture.other_tiers, 1)
        ),
        coordinates=element(coordinates.draw(told, href=link), "coordinates") if told else None,
        importance=element(importance.draw(told.importance), "importance") if told and told.importance else None,
        slices=_slices(told, link) if told else (),
        lineage=element(lineage.draw(kin, href=link), "lineage") if kin else None,
        timeline=element(timeline.draw(when, href=link), "timeline") if when.lanes else None,
        spending=element(spending.draw(spent), "spending") if spent.improvements else None,
    )


def _slices(told: Parameters, link: Link) -> tuple[Markup, ...]:
    scenes = (slices.draw(told, number, href=link) for number in range(len(told.axes)))
    return tuple(element(scene, f"slice-{number}") for number, scene in enumerate(scenes))


def element(scene: Scene, name: str) -> Markup:
    """A scene for a page that has it once; `drawing-{name}` is its id.

    Its links are for a pointer: with keys nobody wants to walk through hundreds of them, and the table has them too.
    """
    drawing = text.visible(svg.render(msgspec.structs.replace(scene, name=f"drawing-{name}")))
    return Markup(drawing.replace("<a href=", '<a tabindex="-1" href='))  # noqa: S704  # svg.py escapes what it writes
