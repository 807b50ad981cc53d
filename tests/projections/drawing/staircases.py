"""Staircases to draw, and what was drawn of them."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.projections.drawing import labels, measure, scene
from lab.projections.picture.stairs import Band, Sample, Spot, Stairs, Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.projections.drawing.labels import Area
    from lab.projections.drawing.scene import Point, Scene, Stroke, Words

ABOVE, BELOW = 0.98, 0.30  # of the size: how far letters reach over and under their baseline
BAND = Band(sigma=0.01, width=0.03, source="3 points measured more than once")


def stairs(
    spots: Sequence[Spot],
    *,
    steps: Sequence[Step] | None = None,
    total: int = 0,
    direction: str = "minimize",
    band: Band | None = None,
    target: float | None = None,
    experiment: str = "lr-sweep",
    metric: str = "loss",
) -> Stairs:
    """Of these spots; without steps, those kept are the steps."""
    counts: dict[str, int] = {}
    for spot in spots:
        counts[spot.kind] = counts.get(spot.kind, 0) + 1
    kept = [
        Step(n=spot.n, run_id=spot.run_id, value=spot.value, changed=spot.says)
        for spot in spots
        if spot.kind in ("keep", "baseline") and spot.value is not None
    ]
    return Stairs(
        experiment=experiment,
        tier="default",
        metric=metric,
        direction=direction,
        spots=tuple(spots),
        steps=tuple(kept if steps is None else steps),
        sample=Sample(shown=len(spots), total=total or len(spots), rule="every new best"),
        band=band,
        counts=counts,
        target=target,
    )


def spot(n: int, kind: str, value: float | None = None, says: str = "") -> Spot:
    return Spot(n=n, run_id=f"RUN-{n}", kind=kind, value=value, says=says)


def descent(runs: int, steps: int, *, says: str = "lr 0.01 -> 0.003", **more: object) -> Stairs:
    """So many runs, of which so many, evenly, are a new best."""
    luck = Random(runs)
    every = max(runs // max(steps, 1), 1)
    spots, best = [], 1.0
    for n in range(1, runs + 1):
        if (n - 1) % every == 0:
            best *= 0.97
            spots.append(spot(n, "keep", best, f"{says} {n}"))
        elif luck.random() < 0.1:
            spots.append(spot(n, luck.choice(["crash", "cancelled"])))
        else:
            spots.append(spot(n, luck.choice(["discard", "discard", "within"]), best + abs(luck.gauss(0.02, 0.02))))
    return stairs(spots, **more)  # type: ignore[arg-type]


def strokes(drawn: Scene, look: str) -> list[Stroke]:
    return [item for item in drawn.items if isinstance(item, scene.Stroke) and item.look == look]


def words(drawn: Scene, look: str = "") -> list[Words]:
    return [item for item in drawn.items if isinstance(item, scene.Words) and look in ("", item.look)]


def said(drawn: Scene) -> str:
    """Everything that can be read on it."""
    return " ".join(f"{each.text} {each.more}".rstrip() for each in words(drawn))


def points(drawn: Scene, look: str) -> list[Point]:
    """Where marks of this look are, the crowd included. The legend, which is above the frame, is left out."""
    found: list[Point] = []
    for item in drawn.items:
        if isinstance(item, scene.Mark) and item.look == look:
            found.append(item.at)
        elif isinstance(item, scene.Marks) and item.look == look:
            found.extend(item.at)
    top = min(each.points[0][1] for each in strokes(drawn, "axis")) if strokes(drawn, "axis") else 0.0
    legend = {
        item.at for item in drawn.items if isinstance(item, scene.Mark) and not item.says and item.at[1] < top / 2
    }
    return [at for at in found if at not in legend]


def areas(drawn: Scene, look: str = "") -> list[Area]:
    return [_area(each) for each in words(drawn, look)]


def area_of(text: str, at: Point, size: float, anchor: str = scene.START, *, bold: bool = False) -> Area:
    """What words cover at most."""
    wide = measure.width(text, size, bold=bold)
    left = at[0] - (wide if anchor == scene.END else wide / 2 if anchor == scene.MIDDLE else 0.0)
    return labels.Area(left=left, top=at[1] - ABOVE * size, right=left + wide, bottom=at[1] + BELOW * size)


def _area(each: Words) -> Area:
    found = area_of(each.text, each.at, each.size, each.anchor, bold=each.bold)
    more = scene.MORE_GAP + measure.width(each.more, scene.MORE_SIZE) if each.more else 0.0
    return msgspec.structs.replace(found, right=found.right + more)


def overlapping(found: Iterable[Area]) -> list[tuple[Area, Area]]:
    every = list(found)
    return [(one, other) for place, one in enumerate(every) for other in every[place + 1 :] if one.overlaps(other)]


def outside(drawn: Scene) -> list[Area]:
    paper = labels.Area(left=0, top=0, right=drawn.width, bottom=drawn.height)
    return [each for each in areas(drawn) if not each.inside(paper)]
