"""A drawing of an experiment that stands by itself, as a file of SVG: those of `labctl plot`, by the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.projections.drawing import named, svg
from lab.projections.drawing.look import STYLE
from lab.web import assets

if TYPE_CHECKING:
    from lab.projections.picture.whole import Picture

POLICY = f"default-src 'none'; style-src {assets.source_hash(STYLE)}; frame-ancestors 'none'"


def names(picture: Picture) -> list[str]:
    """The drawings that there are of it."""
    return [name for name in named.NAMES if named.has(picture, name)]


def draw(picture: Picture, name: str) -> str | None:
    """The file; None where there is no such drawing."""
    found = named.of_picture(picture, named.Wish(name=name))
    return None if found is None else svg.render(found.scene, alone=True)
