"""The staircase: every run of a tier where it stands, the best so far, and how wide the noise is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import candidate as candidates
from lab.core import noise
from lab.core.origin import BASELINE as FIRST
from lab.core.run import CANCELLED as WAS_CANCELLED
from lab.core.run import better
from lab.projections import pursued, repeats, text
from lab.projections.picture import changed, thinning
from lab.projections.tables import Line  # msgspec resolves annotations
from lab.projections.tier import spec_in

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.candidate import Candidate
    from lab.projections.picture.given import Given

# What a mark is. A crash has no value, and stands on the floor as a cross; so do time-outs and failures. Claimed is
# what another harness wrote down and nobody here measured; replayed what was measured once more: neither is compared.
# Unmeasured is a run that told no value and yet did not fail, such as a change that was discarded before it was run.
# Done is a phase of a research project: none of them is better than another.
KEEP, WITHIN, DISCARD, CRASH, CANCELLED, BASELINE, CLAIMED, REPLAYED, UNMEASURED, DONE = (
    "keep", "within", "discard", "crash", "cancelled", "baseline", "claimed", "replayed", "unmeasured", "done",
)  # fmt: skip
KINDS = (BASELINE, KEEP, WITHIN, DISCARD, CRASH, CANCELLED, CLAIMED, REPLAYED, UNMEASURED, DONE)
FLOOR = frozenset({CRASH, CANCELLED, UNMEASURED})  # these have no value
MOST_STEPS, MOST_KEEPS = 400, 800
SAYS_CHARS, CHANGED_CHARS = 120, 80
SURE = 0.95
_FIRST = "first"  # what the first new best changed: nothing was before it
ENDS = "the first, the last, the best and the worst"


class Spot(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run. `n` counts the runs of the tier from 1, in the order of history."""

    n: int
    run_id: str
    kind: str
    value: float | None = None
    says: str = ""  # what changed, or why it failed: one line


class Step(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From this run on the best so far is this. `changed` is the shortest honest word for what was different."""

    n: int
    run_id: str
    value: float
    changed: str = ""
    within: bool = False  # the noise may well be all that it is better by: nothing told the two apart


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """The noise of one measurement: what lies closer than `width` to a value need not differ from it."""

    sigma: float
    width: float
    source: str  # in words: from what it is known


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of how many, and by which rule, in words. Nothing is left out unsaid."""

    shown: int
    total: int
    rule: str = ""


class Stairs(msgspec.Struct, frozen=True, kw_only=True):
    """The staircase of one tier."""

    experiment: str
    tier: str
    metric: str
    direction: str
    spots: tuple[Spot, ...]
    steps: tuple[Step, ...]
    sample: Sample
    band: Band | None = None
    counts: dict[str, int] = {}  # kind -> how many there are, of all runs of the tier
    target: float | None = None


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """Every run of a tier, in the order of history, and what each one is. `values` has a number for what is drawn."""

    lines: tuple[Line, ...]
    kinds: tuple[str, ...]
    values: tuple[float | None, ...]
    steps: tuple[tuple[int, bool], ...]  # place in `lines`, and whether the noise may be all of it
    band: Band | None
    direction: str


class Everything(msgspec.Struct, frozen=True, kw_only=True):
    """Every run, whatever its tier. Whoever needs more than one tier asks once: judging is most of a picture's cost."""

    kinds: list[str]  # of every line, in their order
    tiers: dict[str, Judged]  # those that have runs
    walks: dict[str, Walk]  # how far each came: what runs that end later are judged by


def of(given: Given, tier: str, found: Judged | None = None) -> Stairs:
    """The staircase of a tier, thinned to what can be shown. `found` where it was judged already."""
    found = found or judge(given, tier)
    total = len(found.lines)
    stepped = thinning.evenly(found.steps, MOST_STEPS)
    at = thinning.chosen(total, _musts(found, stepped), kinds=found.kinds)
    counts = {kind: found.kinds.count(kind) for kind in KINDS}
    target = None
    metric = given.view.last.metric if given.view.last else ""
    if given.spec is not None:
        spec = spec_in(given.spec, tier)
        metric, target = spec.metric, spec.stop_conditions.target
    kept = [place for place, kind in enumerate(found.kinds) if kind in (KEEP, BASELINE)]
    shown = len(set(at).intersection(kept))
    always = f"{thinning.part('new best', len(stepped), len(found.steps))}, {thinning.part('keep', shown, len(kept))}"
    rule = thinning.rule(len(at), total, f"{always}, {ENDS}")
    if len(stepped) < len(found.steps):
        rule += f"; the staircase has {len(stepped)} of its {len(found.steps)} steps"
    return Stairs(
        experiment=given.view.experiment,
        tier=tier,
        metric=text.line(metric) or "value",
        direction=found.direction,
        spots=tuple(_spot(found, place) for place in at),
        steps=tuple(_steps(given, found, stepped)),
        sample=Sample(shown=len(at), total=total, rule=rule),
        band=found.band,
        counts={kind: count for kind, count in counts.items() if count},
        target=target,
    )


def judge(given: Given, tier: str) -> Judged:
    """What each run of a tier is.

    A run of a code loop is what its verdict says. In a search a run is kept when it is better than all before by more
    than the noise tells apart; while nothing is known of the noise, by anything, which the picture has to say.
    """
    lines = tuple(line for line in given.lines if line.tier == tier)
    band = band_of(given, tier)
    walk = Walk(given.view.direction_of(tier), band)
    return _judged(lines, tuple(map(walk.kind, lines)), walk, band)


def everything(given: Given) -> Everything:
    """What each run of every tier is."""
    known = repeats.by_tier(given.lines)
    walks: dict[str, Walk] = {}
    bands: dict[str, Band | None] = {}
    mine: dict[str, tuple[list[Line], list[str]]] = {}
    kinds = []
    for line in given.lines:
        tier = line.tier
        if tier not in walks:
            bands[tier] = band_of(given, tier, known.get(tier, repeats.Known()))
            walks[tier], mine[tier] = Walk(given.view.direction_of(tier), bands[tier]), ([], [])
        kind = walks[tier].kind(line)
        kinds.append(kind)
        mine[tier][0].append(line)
        mine[tier][1].append(kind)
    tiers = {tier: _judged(tuple(lines), tuple(each), walks[tier], bands[tier]) for tier, (lines, each) in mine.items()}
    return Everything(kinds=kinds, tiers=tiers, walks=walks)


def _judged(lines: tuple[Line, ...], kinds: tuple[str, ...], walk: Walk, band: Band | None) -> Judged:
    values = tuple(
        None if kind in FLOOR else _claim(line) if kind == CLAIMED else line.value
        for line, kind in zip(lines, kinds, strict=True)
    )
    return Judged(lines=lines, kinds=kinds, values=values, steps=tuple(walk.steps), band=band, direction=walk.direction)


def kinds(given: Given) -> list[str]:
    """The kind of every line, whatever its tier, in their order."""
    return everything(given).kinds


def band_of(given: Given, tier: str, known: repeats.Known | None = None) -> Band | None:
    """What is known of the noise: of a code loop by its own repeats, of a search by points that were measured twice.

    `width` is what two single measurements of the same thing stay within 95 times in 100. From few repeats that is
    wide, and rightly so; where the runs were weighed, what the model says stands in for what few repeats leave open.
    """
    here = given.view.tiers.get(tier)
    if here is not None and here.loop is not None:
        own = here.loop.noise
        return _band(own, f"repeats of the same code, {repeats.freedom(own.df)}")
    found = known or repeats.known(given.lines, tier)
    if found.noise.df:
        if given.take is not None and tier == given.view.tier:
            found = msgspec.structs.replace(found, modelled=given.take.modelled)
        return _band(found.weighed, found.told)
    declared = given.spec.noise if given.spec else None
    return Band(sigma=0.0, width=0.0, source="the SPEC says that there is none") if declared is False else None


def _band(known: noise.Noise, source: str) -> Band | None:
    width = noise.margin(known, 1, 1, sure=SURE)
    if known.sigma is None or width is None:
        return None
    return Band(sigma=known.sigma, width=width, source=f"{source}, all equal" if known.none else source)


class Walk:
    """Through the runs of a tier, in the order of history."""

    def __init__(self, direction: str, band: Band | None) -> None:
        self.steps: list[tuple[int, bool]] = []
        self.direction = direction
        self._width = band.width if band is not None else 0.0
        self._best: float | None = None  # what is to be beaten
        self._sure: float | None = None  # the last best that was told apart from the one before
        self._place = -1

    def fork(self) -> Walk:
        """Another one that has come as far, and goes on by itself."""
        other = Walk(self.direction, None)
        other.steps, other._width, other._place = list(self.steps), self._width, self._place
        other._best, other._sure = self._best, self._sure
        return other

    def kind(self, line: Line) -> str:
        """What the next run is."""
        self._place += 1
        if line.outcome == WAS_CANCELLED:
            return CANCELLED
        made = line.candidate
        if made is not None and made.kind == candidates.IMPORTED and _claim(line) is not None:
            return CLAIMED
        if line.failed:
            return CRASH
        if line.value is None:
            return UNMEASURED
        if pursued.is_phase(line.params):
            return DONE
        if made is None:
            return self._searched(line, line.value)
        if made.kind == candidates.REPLAYED:
            return REPLAYED
        return self._verdict(line, made, line.value)

    def _verdict(self, line: Line, made: Candidate, value: float) -> str:
        """Of a code loop. Kept is what was kept, though it be a little worse and only simpler."""
        if line.verdict == candidates.KEEP:
            first = made.kind == candidates.BASELINE
            confirmed = made.p is not None and made.p <= made.alpha
            unsure = not (first or confirmed) and self._near(value, self._best)
            self._step(value, unsure=unsure)
            return BASELINE if first else KEEP
        if made.kind == candidates.BASELINE:
            return BASELINE
        looked_better = made.gain is not None and made.gain > 0
        return WITHIN if looked_better and self._width > 0 else DISCARD

    def _searched(self, line: Line, value: float) -> str:
        first = line.origin is not None and line.origin.kind == FIRST and not self.steps
        if not better(value, self._best, self.direction):
            return BASELINE if first else DISCARD
        unsure = self._near(value, self._sure)
        self._step(value, unsure=unsure)
        return BASELINE if first else WITHIN if unsure else KEEP

    def _near(self, value: float, other: float | None) -> bool:
        return other is not None and abs(value / 2 - other / 2) <= self._width / 2  # halves: no sum is infinite

    def _step(self, value: float, *, unsure: bool) -> None:
        self.steps.append((self._place, unsure))
        self._best = value
        if not unsure:
            self._sure = value


def _claim(line: Line) -> float | None:
    """What another harness wrote down."""
    claimed = line.candidate.claimed if line.candidate else None
    return claimed if claimed is not None else line.value


def _musts(found: Judged, stepped: Sequence[tuple[int, bool]]) -> list[int]:
    kept = [place for place, kind in enumerate(found.kinds) if kind in (KEEP, BASELINE)]
    valued = [place for place, value in enumerate(found.values) if value is not None]
    ends = [0, len(found.lines) - 1]
    if valued:
        ranked = sorted(valued, key=lambda place: found.values[place] or 0.0)
        ends += [ranked[0], ranked[-1]]
    return [*ends, *(place for place, _ in stepped), *thinning.evenly(kept, MOST_KEEPS)]


def _spot(found: Judged, place: int) -> Spot:
    line = found.lines[place]
    return Spot(
        n=place + 1,
        run_id=line.run_id,
        kind=found.kinds[place],
        value=found.values[place],
        says=_says(line, SAYS_CHARS),
    )


def _says(line: Line, limit: int) -> str:
    """What is said of a run, or who made it."""
    return text.line(line.ran.said or line.source.note or line.maker, limit)


def _steps(given: Given, found: Judged, stepped: Sequence[tuple[int, bool]]) -> Sequence[Step]:
    """Each with what changed against the best before it, whether that one is shown or not."""
    before = dict(zip((place for place, _ in found.steps[1:]), (place for place, _ in found.steps), strict=False))
    steps = []
    for place, unsure in stepped:
        line, last = found.lines[place], before.get(place)
        steps.append(
            Step(
                n=place + 1,
                run_id=line.run_id,
                value=found.values[place] or 0.0,
                changed=_changed(given, line, None if last is None else found.lines[last]),
                within=unsure,
            )
        )
    return steps


def _changed(given: Given, line: Line, last: Line | None) -> str:
    """The shortest honest word for what was different."""
    if line.candidate is not None:
        if line.candidate.kind == candidates.BASELINE:
            return candidates.BASELINE
        return text.line(line.ran.said or line.candidate.kind, CHANGED_CHARS)
    if last is None:
        return candidates.BASELINE if line.origin is not None and line.origin.kind == FIRST else _FIRST
    words = ""
    if last.params is not None and line.params is not None:
        words = changed.between(given.space, last.params, line.params)
    return text.line(words or line.maker or line.source.kind or line.ran.said, CHANGED_CHARS)
