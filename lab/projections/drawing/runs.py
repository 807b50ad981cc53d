"""What a run of each kind looks like, and what the staircase says in words: its legend, its remarks, its tooltips."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.drawing import axes, legend
from lab.projections.drawing import scene as scenes
from lab.projections.drawing.legend import Entry
from lab.projections.picture import stairs as kinds
from lab.projections.picture import words

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.projections.drawing.axes import Scale
    from lab.projections.picture.stairs import Spot, Stairs

# kind -> shape, and half its width. Shapes differ too: not everybody tells the colours apart.
STYLES: dict[str, tuple[str, float]] = {
    kinds.BASELINE: (scenes.SQUARE, 4.5),
    kinds.KEEP: (scenes.CIRCLE, 4.5),
    kinds.WITHIN: (scenes.SQUARE, 2.8),
    kinds.DISCARD: (scenes.CIRCLE, 2.6),
    kinds.CRASH: (scenes.CROSS, 3.6),
    kinds.CANCELLED: (scenes.CROSS, 3.0),
    kinds.CLAIMED: (scenes.DIAMOND, 3.4),
    kinds.REPLAYED: (scenes.DIAMOND, 3.0),
    kinds.UNMEASURED: (scenes.CROSS, 3.0),
    kinds.DONE: (scenes.CIRCLE, 4.5),
}
_TOLD = {
    kinds.KEEP: "kept", kinds.DISCARD: "discarded",
}  # fmt: skip  # after a number; the others are called as in the legend
UNSURE_SIZE = 2.0


def way(stairs: Stairs) -> str:
    return "lower is better" if stairs.direction == MINIMIZE else "higher is better"


def tally(stairs: Stairs) -> str:
    """How many there are of each kind, of all runs."""
    return ", ".join(f"{count:,} {_TOLD.get(kind) or words.of(kind)}" for kind, count in stairs.counts.items())


def entries(stairs: Stairs) -> Iterator[Entry]:
    """The legend."""
    for kind in kinds.KINDS:
        if count := stairs.counts.get(kind):
            shape, size = STYLES[kind]
            yield Entry(look=kind, text=f"{words.of(kind)} {count:,}", shape=shape, size=size)
    kept = {spot.run_id for spot in stairs.spots if spot.kind == kinds.KEEP}
    if unsure := sum(step.within and step.run_id in kept for step in stairs.steps):
        yield Entry(look=kinds.WITHIN, text=f"{words.UNCONFIRMED} {unsure:,}", size=UNSURE_SIZE)
    if stairs.band and stairs.band.width and stairs.steps:
        yield Entry(look="band", text=f"same within ±{axes.number(stairs.band.width, 3)}", shape=legend.AREA)
    if stairs.target is not None:
        yield Entry(look="hint", text=f"target {axes.number(stairs.target)}", shape=legend.DASHES)


def remarks(stairs: Stairs, scale: Scale, above: Sequence[Spot], under: Sequence[Spot], dropped: int) -> Iterator[str]:
    """What has to be said, so that nothing is hidden: of the noise, of what is outside, left out, or had no room."""
    if stairs.steps:
        yield _held_against(stairs)
    shown = " of those shown" if stairs.sample.shown < stairs.sample.total else ""
    for spots, word, pick in ((above, "above", max), (under, "below", min)):
        if spots:
            furthest = axes.number(pick(spot.value or 0.0 for spot in spots))
            verb = "lies" if len(spots) == 1 else "lie"
            yield f"{text.count(len(spots), 'run')}{shown} {verb} {word} the frame, as far as {furthest}."
    if stairs.target is not None and stairs.steps and not scale.holds(stairs.target):
        side = "above" if stairs.target > scale.high else "below"
        yield f"The target, {axes.number(stairs.target)}, lies {side} the frame."
    if shown:
        yield f"Shown are {stairs.sample.shown:,} of {stairs.sample.total:,} runs: {text.line(stairs.sample.rule)}."
    if dropped:
        yield f"No room for {text.count(dropped, 'label')}."


def _held_against(stairs: Stairs) -> str:
    """By what the steps were told from luck. How far two may differ is called no noise: that is of one measurement."""
    band = stairs.band
    if band is None:
        return "Nothing was measured twice: the steps are not held against noise."
    source = text.line(band.source)
    if not band.width:
        return f"No noise: {source}."
    wide = axes.number(band.width, 3)
    return f"Two measurements that differ by less than {wide} may be of the same thing ({source})."


def says(spot: Spot, more: str = "", *, unsure: bool = False) -> str:
    """Of one mark, for who points at it."""
    value = "no value" if spot.value is None else repr(spot.value)
    told = [f"run {spot.n:,}", text.line(spot.run_id), words.of(spot.kind, unsure=unsure), value]
    told += [more] if more else []
    said = text.line(spot.says)
    return f"{', '.join(told)}: {said}" if said else ", ".join(told)


def told(stairs: Stairs) -> str:
    """Of the whole picture, for those who do not see it."""
    words = [f"{text.line(stairs.metric)} of {stairs.sample.total:,} runs, {way(stairs)}."]
    if stairs.counts:
        words.append(f"{tally(stairs)}.")
    if stairs.steps:
        best = stairs.steps[-1]
        words.append(f"The best is {best.value!r}, from run {best.n:,}, {text.line(best.run_id)}.")
        words.append(f"There were {text.count(len(stairs.steps), 'step')}.")
        words.append(_held_against(stairs))
    return " ".join(words)
