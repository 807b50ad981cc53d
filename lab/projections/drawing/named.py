"""Every drawing of an experiment, by the name that people ask for it by. Only what it needs is computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.projections import text
from lab.projections.drawing import tiles
from lab.projections.drawing.scene import Scene  # msgspec resolves annotations
from lab.projections.picture.stairs import Sample  # msgspec resolves annotations

if TYPE_CHECKING:
    from lab.projections.picture.given import Given
    from lab.projections.picture.parameters import Parameters

STAIRS, PARAMETERS, SLICES, IMPORTANCE, LINEAGE, TIMELINE, COST = (
    "stairs", "parameters", "slices", "importance", "lineage", "timeline", "cost",
)  # fmt: skip
NAMES = (STAIRS, PARAMETERS, SLICES, IMPORTANCE, LINEAGE, TIMELINE, COST)
SIZED = frozenset({STAIRS, PARAMETERS, COST})  # the others are as high as they need to be
_HEADINGS = {
    PARAMETERS: "parameters and value, a line a run",
    SLICES: "value against each parameter",
    IMPORTANCE: "what goes with the value",
    LINEAGE: "which run was made from which",
    TIMELINE: "what ran when",
    COST: "what each improvement took",
}
_OF_ALL_TIERS = frozenset({LINEAGE, TIMELINE})
_SLICES_A_ROW = 3
_TIER_CHARS = 40


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A scene, and how much of what there is it shows."""

    scene: Scene
    sample: Sample | None = None
    said: tuple[str, ...] = ()  # sentences that go below it
    warnings: tuple[str, ...] = ()  # what was asked for and could not be


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which drawing, of which tier, and how large. A height of None is the usual one."""

    name: str = STAIRS
    tier: str = ""
    width: float = 960.0
    height: float | None = None
    log: bool = False


def draw(given: Given, wish: Wish) -> Drawn:
    """The drawing. `LabError` where there is nothing to draw, and why."""
    tier = wish.tier or given.view.tier
    if tier != given.view.tier:  # whatever is drawn of one tier is drawn of this one
        given = msgspec.structs.replace(given, view=msgspec.structs.replace(given.view, tier=tier))
    match wish.name:
        case "lineage":
            drawn = _lineage(given, wish)
        case "timeline":
            drawn = _timeline(given, wish)
        case "parameters" | "slices" | "importance":
            drawn = _parameters(given, wish)
        case "cost":
            drawn = _cost(given, wish)
        case _:
            return _stairs(given, wish)
    where = f", tier {text.line(tier, _TIER_CHARS)}" if tier != "default" and wish.name not in _OF_ALL_TIERS else ""
    heading = f"{text.line(given.view.experiment)}: {_HEADINGS[wish.name]}{where}"
    return msgspec.structs.replace(drawn, scene=tiles.framed(drawn.scene, heading, drawn.said))


def _stairs(given: Given, wish: Wish) -> Drawn:
    from lab.projections.drawing import stairs as drawing  # noqa: PLC0415  # only what is drawn is loaded
    from lab.projections.picture import stairs  # noqa: PLC0415  # the same

    found = stairs.of(given, given.view.tier)
    height = wish.height or drawing.HEIGHT
    plain = drawing.why_plain(found) if wish.log else ""
    return Drawn(
        scene=drawing.draw(found, width=wish.width, height=height, log=wish.log),
        sample=found.sample,
        warnings=(f"--log changes nothing. {plain}",) if plain else (),
    )


def _parameters(given: Given, wish: Wish) -> Drawn:
    from lab.projections.picture import parameters  # noqa: PLC0415  # only what is drawn is loaded

    found = parameters.of(given)
    if found is None:
        what = f"{given.view.experiment} has no runs in tier {given.view.tier} whose parameters differ"
        raise LabError(what, fix=f"labctl show {given.view.experiment}")
    if wish.name == IMPORTANCE:
        return _importance(given, found, wish)
    if wish.name == SLICES:
        from lab.projections.drawing import lanes, slices  # noqa: PLC0415  # as above

        each = wish.width / _SLICES_A_ROW
        parts = [slices.draw(found, number, width=each) for number in range(len(found.axes))]
        scene = tiles.beside(parts, width=wish.width + 1, name=SLICES, title="Value against each parameter")
        return Drawn(scene=scene, sample=found.sample, said=lanes.left_out(found))
    from lab.projections.drawing import coordinates  # noqa: PLC0415  # as above

    height = wish.height or 360.0
    return Drawn(scene=coordinates.draw(found, width=wish.width, height=height), sample=found.sample)


def _importance(given: Given, found: Parameters, wish: Wish) -> Drawn:
    from lab.projections.drawing import importance  # noqa: PLC0415  # only what is drawn is loaded

    if found.importance is None:
        fix = f"labctl plot {given.view.experiment} --what {PARAMETERS} -o parameters.svg"
        raise LabError(found.why_not.rstrip("."), fix=fix)
    return Drawn(scene=importance.draw(found.importance, width=wish.width))


def _lineage(given: Given, wish: Wish) -> Drawn:
    from lab.projections.drawing import lineage as drawing  # noqa: PLC0415  # only what is drawn is loaded
    from lab.projections.picture import lineage  # noqa: PLC0415  # the same

    found = lineage.of(given)
    if found is None:
        what = f"no run of {given.view.experiment} was made from another"
        raise LabError(what, fix=f"labctl plot {given.view.experiment} --what {STAIRS} -o progress.svg")
    return Drawn(scene=drawing.draw(found, width=wish.width), sample=found.sample)


def _timeline(given: Given, wish: Wish) -> Drawn:
    from lab.projections.drawing import timeline as drawing  # noqa: PLC0415  # only what is drawn is loaded
    from lab.projections.picture import timeline  # noqa: PLC0415  # the same

    found = timeline.of(given)
    return Drawn(scene=drawing.draw(found, width=wish.width), sample=found.sample)


def _cost(given: Given, wish: Wish) -> Drawn:
    from lab.projections.drawing import spending as drawing  # noqa: PLC0415  # only what is drawn is loaded
    from lab.projections.picture import spending, stairs  # noqa: PLC0415  # the same

    found = spending.of(given, stairs.of(given, given.view.tier))
    return Drawn(scene=drawing.draw(found, width=wish.width, height=wish.height or 260.0))
