"""Which run to take home. On a noisy metric that is not the one with the best number: that one was lucky as well.

With a space and numpy it is the run with the best expected value under a model of all of them. Without, it is the point
that was measured more than once and is the best on average, else the best number seen, and that is said. Of a training
in chunks it is the best chunk: they are steps of one way, and no model of points knows how far along it each one was.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import assignment, noise
from lab.core.candidate import KEEP
from lab.core.errors import LabError, Unavailable
from lab.core.origin import Origin
from lab.core.run import MINIMIZE
from lab.core.trial import History, Trial
from lab.projections import repeats
from lab.projections.tables import Line  # msgspec resolves annotations
from lab.scheduler.results import table
from lab.scheduler.search import spaces

if TYPE_CHECKING:
    from lab.core.space import Space
    from lab.scheduler.results.table import Table
    from lab.store.root import Root

EXPECTED, AVERAGE, SEEN, KEPT = "expected value", "mean of repeats", "best number seen", "the last that was kept"
CHUNK = "best chunk"
MOST_WEIGHED = 20_000  # runs; of more, who shows something else besides leaves it to `labctl best`


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The run to take, on what grounds, and beside it the run with the best number.

    `mean`, `sd` and `noise` are in the metric's own units; None where nothing was computed. `measured` says by what the
    noise is known: by points that were measured more than once, and where those are few by the model too, as one pair
    is a poor witness. `noisy` is None where nothing is known. `outside`: the run to take lies outside the search space
    as it is now.
    """

    tier: str
    line: Line
    seen: Line
    how: str = SEEN
    mean: float | None = None
    sd: float | None = None
    noise: float | None = None
    measured: repeats.Known = repeats.Known()
    noisy: bool | None = None
    outside: bool = False
    scored: int = 0
    warnings: tuple[str, ...] = ()


def choose(root: Root, found: Table, wanted: str = "") -> Chosen:
    """The run to take of a tier. `LabError` when no run of it has a value."""
    chosen = _chosen(root, found, wanted)
    return msgspec.structs.replace(chosen, outside=_lies_outside(root, found, chosen.line))


def _lies_outside(root: Root, found: Table, line: Line) -> bool:
    """Whether a run was given what the search may not propose any more: the space was edited since."""
    if found.spec is None or line.params is None:
        return False
    try:
        there = spaces.find(root, found.spec, found.view)
    except LabError:  # of a space that cannot be read `choose` has told
        return False
    return there is not None and assignment.brought_over(there.space, line.params) is None


def _chosen(root: Root, found: Table, wanted: str) -> Chosen:
    tier = table.tier_of(found, wanted)
    ranked = table.require_some(found, tier)
    kept = [line for line in ranked if line.candidate is not None and line.verdict == KEEP]
    if kept:  # of a code loop: each keep was measured beside the one before, and a discard may have been lucky
        last = max(kept, key=lambda line: line.iteration)
        return Chosen(tier=tier, line=last, seen=ranked[0], scored=len(ranked), how=KEPT)
    plain = Chosen(tier=tier, line=ranked[0], seen=ranked[0], scored=len(ranked), noisy=_said(found))
    if any(line.ran.chunk for line in ranked):
        return msgspec.structs.replace(plain, how=CHUNK)
    if plain.noisy is False or len(ranked) == 1:
        return plain
    warnings: tuple[str, ...] = ()
    try:
        modelled = _modelled(root, found, plain, ranked)
        if modelled is not None:
            return modelled
    except Unavailable as missing:
        warnings = (f"{missing.what}; {missing.fix}",)
    except LabError as trouble:  # a space that cannot be read keeps nobody from the best of what was measured
        warnings = (f"the search space cannot be used: {trouble.what}",)
    return _averaged(found, msgspec.structs.replace(plain, warnings=warnings), ranked)


def _said(found: Table) -> bool | None:
    return found.spec.noise if found.spec else None


def _modelled(root: Root, found: Table, plain: Chosen, ranked: list[Line]) -> Chosen | None:
    """By the expected values; None where there is no space, or too little of this tier lies in it."""
    there = spaces.find(root, found.spec, found.view) if found.spec else None
    if there is None:
        return None
    from lab.strategies import recommend  # noqa: PLC0415  # the strategies: only where there is a space

    trials, outside = _trials(there.space, ranked)
    if len(trials) < recommend.ENOUGH:
        return None
    history = History(
        trials=tuple(trials), minimize=found.direction(plain.tier) == MINIMIZE, number=len(trials), noisy=plain.noisy
    )
    told = recommend.recommend(there.space, history)
    if told is None:
        return None
    warnings = (f"{outside} of {len(ranked)} runs lie outside the search space as it is now",) if outside else ()
    noisy = plain.noisy if plain.noisy is not None else told.noisy
    if not noisy:
        return msgspec.structs.replace(plain, noise=told.noise, noisy=False, warnings=warnings)
    known = msgspec.structs.replace(repeats.known(found.lines, plain.tier), modelled=told.modelled)
    line = next(line for line in ranked if line.run_id == told.trial.run_id)
    return msgspec.structs.replace(
        plain,
        line=line,
        how=EXPECTED,
        mean=told.mean,
        sd=told.sd,
        noise=told.noise if known.weighed.sigma is None else known.weighed.sigma,
        measured=known,
        noisy=True,
        warnings=warnings,
    )


def _trials(space: Space, ranked: list[Line]) -> tuple[list[Trial], int]:
    """The runs as trials of the space, in the order of history, and how many are none."""
    found = []
    for line in ranked:
        params = None if line.params is None else assignment.brought_over(space, line.params)
        if params is not None:
            made = Trial(
                run_id=line.run_id, params=params, value=line.value, outcome=line.outcome, tier=line.tier,
                origin=line.origin or Origin(),
            )  # fmt: skip
            found.append((line.iteration, made))
    return [trial for _, trial in sorted(found, key=_place)], len(ranked) - len(found)


def _place(item: tuple[int, Trial]) -> tuple[int, str]:
    return item[0], item[1].run_id


def _averaged(found: Table, plain: Chosen, ranked: list[Line]) -> Chosen:
    """By the mean over runs of the same parameters, where some were run more than once and did not come out alike."""
    several = [[ranked[place] for place in group] for group in repeats.groups(ranked, plain.tier)]
    differ = any(line.value != lines[0].value for lines in several for line in lines)
    if several and not differ and plain.noisy is None:
        return msgspec.structs.replace(plain, noisy=False)
    if not several or not differ:
        if not plain.noisy:
            return plain
        given = any(line.params is not None for line in ranked)
        what = (
            "no parameters were run twice" if given else "no run was given parameters, so none can be told to be alike"
        )
        what = f"the metric is noisy and {what}: this is the best number seen, and partly luck"
        return msgspec.structs.replace(plain, warnings=(*plain.warnings, what))
    sign = 1.0 if found.direction(plain.tier) == MINIMIZE else -1.0
    best = min(several, key=lambda lines: sign * _mean(lines))
    mean = _mean(best)
    known = repeats.known(found.lines, plain.tier)
    if not known.noise.df:  # they were repeated long ago; else not of these few alone: of all that were repeated
        again = noise.repeated([_value(line) for line in lines] for lines in several)
        known = repeats.Known(noise=again, points=len(several))
    return msgspec.structs.replace(
        plain,
        line=best[0],
        how=AVERAGE,
        mean=mean,
        sd=noise.about(known.noise, len(best)),
        noise=known.noise.sigma,
        measured=known,
        noisy=True,
    )


def _mean(lines: list[Line]) -> float:
    return sum(map(_value, lines)) / len(lines)


def _value(line: Line) -> float:
    return line.value or 0.0
