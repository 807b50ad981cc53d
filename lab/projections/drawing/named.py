"""Every drawing of an experiment, by the name that people ask for it by. Only what it needs is computed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.projections import text
from lab.projections.drawing import tiles
from lab.projections.drawing.scene import Scene  # msgspec resolves annotations
from lab.projections.picture import stairs
from lab.projections.picture.stairs import Sample  # msgspec resolves annotations

Href = Callable[[str], str]  # of a run, where it leads; empty for nowhere

if TYPE_CHECKING:
    from lab.projections.picture.given import Given
    from lab.projections.picture.lineage import Lineage
    from lab.projections.picture.parameters import Parameters
    from lab.projections.picture.spending import Spending
    from lab.projections.picture.stairs import Stairs
    from lab.projections.picture.timeline import Timeline
    from lab.projections.picture.whole import Picture

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
_ON_PAGE = {IMPORTANCE: 640.0}  # how wide, where that is not the usual
_TIER_CHARS = 40


class Drawn(msgspec.Struct, frozen=True, kw_only=True):
    """A scene, and how much of what there is it shows."""

    scene: Scene
    sample: Sample | None = None
    said: tuple[str, ...] = ()  # sentences that go below it
    warnings: tuple[str, ...] = ()  # what was asked for and could not be


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """Which drawing, of which tier, and how large. None is as large as it usually is.

    A mark that stands for a run leads where `href` says.
    """

    name: str = STAIRS
    tier: str = ""
    width: float = 960.0
    height: float | None = None
    log: bool = False
    href: Href | None = None


def draw(given: Given, wish: Wish) -> Drawn:
    """The drawing, of what was read. `LabError` where there is nothing to draw, and why."""
    tier = wish.tier or given.view.tier
    if tier != given.view.tier:  # whatever is drawn of one tier is drawn of this one
        given = msgspec.structs.replace(given, view=msgspec.structs.replace(given.view, tier=tier))
    wish = msgspec.structs.replace(wish, tier=tier)
    name = given.view.experiment
    match wish.name:
        case "lineage":
            from lab.projections.picture import lineage  # noqa: PLC0415  # only what is drawn is computed

            found = lineage.of(given)
            if found is None:
                what = f"no run of {name} was made from another"
                raise LabError(what, fix=f"labctl plot {name} --what {STAIRS} -o progress.svg")
            return _headed(_lineage(found, wish), name, wish)
        case "timeline":
            from lab.projections.picture import timeline  # noqa: PLC0415  # as above

            return _headed(_timeline(timeline.of(given), wish), name, wish)
        case "parameters" | "slices" | "importance":
            from lab.projections.picture import parameters  # noqa: PLC0415  # as above

            told = parameters.of(given)
            if told is None:
                raise LabError(_why_none(given, name), fix=f"labctl show {name}")
            if wish.name == IMPORTANCE and told.importance is None:
                fix = f"labctl plot {name} --what {PARAMETERS} -o parameters.svg"
                raise LabError(told.why_not.rstrip("."), fix=fix)
            return _headed(_parameters(told, wish), name, wish)
        case "cost":
            from lab.projections.picture import spending  # noqa: PLC0415  # as above

            return _headed(_cost(spending.of(given, stairs.of(given, tier)), wish), name, wish)
        case _:
            return _stairs(stairs.of(given, tier), wish)


def _why_none(given: Given, name: str) -> str:
    """Why nothing can be told of its parameters."""
    tier = given.view.tier
    runs = [line for line in given.lines if line.tier == tier]
    if not runs:
        return f"{name} has no run in tier {tier} yet"
    if not any(line.scored for line in runs):
        return f"of {text.count(len(runs), 'run')} of {name} in tier {tier} none has a value"
    if not any(line.scored and line.params for line in runs):
        return f"no run of {name} in tier {tier} that has a value was given parameters"
    return f"{name} has no runs in tier {tier} whose parameters differ"


def has(picture: Picture, name: str) -> bool:
    """Whether there is such a drawing of a picture."""
    told = picture.parameters
    return {
        STAIRS: True,
        PARAMETERS: told is not None,
        SLICES: told is not None,
        IMPORTANCE: told is not None and told.importance is not None,
        LINEAGE: picture.lineage is not None,
        TIMELINE: bool(picture.timeline.lanes),
        COST: bool(picture.spending.improvements),
    }.get(name, False)


def of_picture(picture: Picture, wish: Wish) -> Drawn | None:
    """The same of a picture, in the tier that it is of; None where there is no such drawing."""
    wish = msgspec.structs.replace(wish, tier=picture.head.tier)
    found = bare(picture, wish)
    return found if found is None or wish.name == STAIRS else _headed(found, picture.head.experiment, wish)


def bare(picture: Picture, wish: Wish) -> Drawn | None:
    """The same without words around it, for a page that has them already."""
    if not has(picture, wish.name):
        return None
    if wish.name == STAIRS:
        return _stairs(picture.stairs, wish)
    if wish.name == LINEAGE and picture.lineage is not None:
        return _lineage(picture.lineage, wish)
    if wish.name == TIMELINE:
        return _timeline(picture.timeline, wish)
    if wish.name != COST and picture.parameters is not None:
        return _parameters(picture.parameters, wish)
    return _cost(picture.spending, wish)


def pieces(picture: Picture, href: Href) -> dict[str, Scene]:
    """All drawings of a picture, for a page: the staircase of each tier and each parameter's slice by itself."""
    from lab.projections.drawing import slices  # noqa: PLC0415  # only what is drawn is loaded
    from lab.projections.drawing import stairs as drawing  # noqa: PLC0415  # the same

    found: dict[str, Scene] = {}
    for name in NAMES:
        drawn = bare(picture, Wish(name=name, width=_ON_PAGE.get(name, 960.0), href=href)) if name != SLICES else None
        if drawn is not None:
            found[name] = drawn.scene
    for number, each in enumerate(picture.other_tiers, 1):
        found[f"{STAIRS}-{number}"] = drawing.draw(each, href=href)
    if picture.parameters is not None:
        for number in range(len(picture.parameters.axes)):
            found[f"{SLICES}-{number}"] = slices.draw(picture.parameters, number, href=href)
    return found


def _headed(drawn: Drawn, name: str, wish: Wish) -> Drawn:
    """With words above and below: a file that is sent around says by itself what it is."""
    tier = wish.tier
    where = f", tier {text.line(tier, _TIER_CHARS)}" if tier != "default" and wish.name not in _OF_ALL_TIERS else ""
    heading = f"{text.line(name)}: {_HEADINGS[wish.name]}{where}"
    return msgspec.structs.replace(drawn, scene=tiles.framed(drawn.scene, heading, drawn.said))


def _stairs(found: Stairs, wish: Wish) -> Drawn:
    from lab.projections.drawing import stairs as drawing  # noqa: PLC0415  # only what is drawn is loaded

    height = wish.height or drawing.HEIGHT
    plain = drawing.why_plain(found) if wish.log else ""
    return Drawn(
        scene=drawing.draw(found, width=wish.width, height=height, log=wish.log, href=wish.href),
        sample=found.sample,
        warnings=(f"--log changes nothing. {plain}",) if plain else (),
    )


def _parameters(found: Parameters, wish: Wish) -> Drawn:
    if wish.name == IMPORTANCE and found.importance is not None:
        from lab.projections.drawing import importance  # noqa: PLC0415  # only what is drawn is loaded

        return Drawn(scene=importance.draw(found.importance, width=wish.width))
    if wish.name == SLICES:
        from lab.projections.drawing import lanes, slices  # noqa: PLC0415  # as above

        each = wish.width / _SLICES_A_ROW
        parts = [slices.draw(found, number, width=each, href=wish.href) for number in range(len(found.axes))]
        scene = tiles.beside(parts, width=wish.width + 1, name=SLICES, title="Value against each parameter")
        return Drawn(scene=scene, sample=found.sample, said=lanes.left_out(found))
    from lab.projections.drawing import coordinates  # noqa: PLC0415  # as above

    height = wish.height or 360.0
    scene = coordinates.draw(found, width=wish.width, height=height, href=wish.href)
    return Drawn(scene=scene, sample=found.sample)


def _lineage(found: Lineage, wish: Wish) -> Drawn:
    from lab.projections.drawing import lineage as drawing  # noqa: PLC0415  # only what is drawn is loaded

    return Drawn(scene=drawing.draw(found, width=wish.width, href=wish.href), sample=found.sample)


def _timeline(found: Timeline, wish: Wish) -> Drawn:
    from lab.projections.drawing import timeline as drawing  # noqa: PLC0415  # only what is drawn is loaded

    return Drawn(scene=drawing.draw(found, width=wish.width, href=wish.href), sample=found.sample)


def _cost(found: Spending, wish: Wish) -> Drawn:
    from lab.projections.drawing import spending as drawing  # noqa: PLC0415  # only what is drawn is loaded

    return Drawn(scene=drawing.draw(found, width=wish.width, height=wish.height or drawing.HEIGHT, href=wish.href))
