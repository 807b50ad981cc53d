"""The drawings of a picture, ready to be put into a page."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from markupsafe import Markup  # msgspec resolves annotations

from lab.projections import text
from lab.projections.drawing import named, svg
from lab.projections.drawing.named import COST, IMPORTANCE, LINEAGE, PARAMETERS, SLICES, STAIRS, TIMELINE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.projections.drawing.named import Href
    from lab.projections.drawing.scene import Scene
    from lab.projections.picture.whole import Picture


class Arranged(msgspec.Struct, frozen=True, kw_only=True):
    """Elements of SVG. None where there is nothing to draw."""

    stairs: Markup
    other_tiers: tuple[tuple[str, Markup], ...] = ()
    parameters: Markup | None = None
    importance: Markup | None = None
    slices: tuple[Markup, ...] = ()
    lineage: Markup | None = None
    timeline: Markup | None = None
    cost: Markup | None = None


def of(picture: Picture, link: Href) -> Arranged:
    """All drawings of a picture; a mark that stands for a run leads where `link` says."""
    return arranged(picture, Elements().of(named.pieces(picture, link)))


class Elements:
    """Scenes as elements. One that is as it was the last time is not rendered again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[Scene, Markup]] = {}

    def of(self, found: Mapping[str, Scene]) -> dict[str, Markup]:
        """By the same names."""
        for name, scene in found.items():
            known = self._known.get(name)
            if known is None or known[0] != scene:
                self._known[name] = (scene, element(scene, name))
        return {name: self._known[name][1] for name in found}


def arranged(picture: Picture, made: Mapping[str, Markup]) -> Arranged:
    """These elements, each in its place. Of other tiers and single parameters there may be fewer than there are."""
    tiers = ((each.tier, f"{STAIRS}-{number}") for number, each in enumerate(picture.other_tiers, 1))
    return Arranged(
        stairs=made[STAIRS],
        other_tiers=tuple((tier, made[name]) for tier, name in tiers if name in made),
        parameters=made.get(PARAMETERS),
        importance=made.get(IMPORTANCE),
        slices=tuple(each for name, each in made.items() if name.startswith(f"{SLICES}-")),
        lineage=made.get(LINEAGE),
        timeline=made.get(TIMELINE),
        cost=made.get(COST),
    )


def element(scene: Scene, name: str) -> Markup:
    """A scene for a page that has it once; `drawing-{name}` is its id.

    Its links are for a pointer: with keys nobody wants to walk through hundreds of them, and the table has them too.
    """
    drawing = text.visible(svg.render(msgspec.structs.replace(scene, name=f"drawing-{name}")))
    return Markup(drawing.replace("<a href=", '<a tabindex="-1" href='))  # noqa: S704  # svg.py escapes what it writes
