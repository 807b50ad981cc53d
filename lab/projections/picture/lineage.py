"""Who came of whom: the runs that others were made from, as a forest.

Only what history places before a run is taken for its parent. So an imported bundle that names itself, a run that came
later, or one that is not there, makes no circle: that parent is left out.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import APART, BASELINE
from lab.core.run import MINIMIZE
from lab.projections import text
from lab.projections.picture import changed, stairs, thinning
from lab.projections.picture.stairs import KEEP, Sample

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.projections.picture.given import Given
    from lab.projections.tables import Line

MOST = 400  # people that are shown
NEWEST = 40
SAYS_CHARS = 100
_NOBODY = -1


class Person(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A run among its kin. `parent` is the nearest of its forebears that is shown; `others` are other parents of it.

    `delta` is against `parent`. It is not known across tiers, nor where one of the two has no value.
    """

    run_id: str
    kind: str  # as in stairs
    n: int = 0  # as in the stairs of its tier
    tier: str = ""  # where it is another one than that of the experiment
    parent: str = ""
    skipped: int = 0  # generations that are not shown, between it and `parent`, or above it
    others: tuple[str, ...] = ()
    by: str = ""  # strategy or arm; in a code loop, what it set out to do
    value: float | None = None
    delta: float | None = None  # above 0 is better, whichever way the metric goes
    says: str = ""
    on_path: bool = False  # the best, or on the line of first parents that leads to it


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """In the order of history, so a parent stands before its children. `depth` counts all generations there are.

    `counts` has how many runs of each kind have kin, whether they are shown or not.
    """

    people: tuple[Person, ...]
    sample: Sample
    depth: int = 0
    counts: dict[str, int] = {}


def of(given: Given, kinds: Sequence[str] = ()) -> Lineage | None:
    """The forest of an experiment; None where no run was made from another. `kinds` are those of all runs, if known."""
    lines = given.lines
    kin = _kin(lines)
    first = [parents[0] if parents else _NOBODY for parents in kin]
    related = sorted({each for child, parents in enumerate(kin) if parents for each in (child, *parents)})
    if not related:
        return None
    kind = kinds or stairs.kinds(given)
    way = _way(given, first)
    shown = _shown(related, way, kin, kind)
    depth = _depths(first)
    nearest = _nearest(first, shown)
    on_path, people, number = set(way), [], _numbers(lines)
    for at in sorted(shown):
        parent = nearest[at]
        skipped = depth[at] - depth[parent] - 1 if parent != _NOBODY else depth[at]
        others = tuple(lines[each].run_id for each in kin[at][1:] if each in shown and each != parent)
        people.append(
            Person(
                run_id=lines[at].run_id,
                kind=kind[at],
                n=number[at],
                tier="" if lines[at].tier == given.view.tier else text.line(lines[at].tier),
                parent="" if parent == _NOBODY else lines[parent].run_id,
                skipped=skipped,
                others=others,
                by=_by(lines[at]),
                value=lines[at].value,
                delta=None if parent == _NOBODY else _delta(given, lines[at], lines[parent]),
                says=_says(given, lines[at], lines[kin[at][0]] if kin[at] else None),
                on_path=at in on_path,
            )
        )
    sample = Sample(shown=len(people), total=len(lines), rule=_rule(len(people), len(related), len(lines)))
    counts = Counter(kind[at] for at in related)
    return Lineage(people=tuple(people), sample=sample, depth=max(depth), counts=dict(sorted(counts.items())))


def _numbers(lines: Sequence[Line]) -> list[int]:
    """Of each run, which of its tier it is."""
    counts: Counter[str] = Counter()
    found = []
    for line in lines:
        counts[line.tier] += 1
        found.append(counts[line.tier])
    return found


def _kin(lines: Sequence[Line]) -> list[tuple[int, ...]]:
    """Of each run, the places of those it was made from."""
    places: dict[str, int] = {}
    baselines: dict[str, int] = {}  # the last one of each tier
    kin: list[tuple[int, ...]] = []
    for at, line in enumerate(lines):
        names = _parents(line)
        found = [places[name] for name in names if name in places]
        made = line.candidate
        if made is not None and made.kind == BASELINE:
            baselines[line.tier] = at
        elif made is not None and not names and made.kind not in APART and line.tier in baselines:
            found = [baselines[line.tier]]
        kin.append(tuple(dict.fromkeys(found)) if len(found) > 1 else tuple(found))
        places.setdefault(line.run_id, at)
    return kin


def _parents(line: Line) -> tuple[str, ...]:
    if line.origin is not None and line.origin.parents:
        return line.origin.parents
    return (line.candidate.parent,) if line.candidate is not None and line.candidate.parent else ()


def _way(given: Given, first: Sequence[int]) -> list[int]:
    """From the best back over first parents to where it all began; empty while there is no best."""
    best = given.view.best
    at = next((at for at, line in enumerate(given.lines) if line.run_id == best.run_id), _NOBODY) if best else _NOBODY
    way = []
    while at != _NOBODY:
        way.append(at)
        at = first[at]
    return way


def _shown(related: list[int], way: list[int], kin: Sequence[tuple[int, ...]], kind: Sequence[str]) -> set[int]:
    """All that have kin, or as many as may be shown: each group takes half of the room that those before it left."""
    if len(related) <= MOST:
        return set(related)
    must: set[int] = set()
    kept = [at for at in related if kind[at] == KEEP]
    for group in (way[::-1], kept, sorted(_forebears(way[:1], kin)), related[-NEWEST:]):
        must.update(thinning.evenly([at for at in group if at not in must], (MOST - len(must)) // 2))
    musts = (place for place, at in enumerate(related) if at in must)
    chosen = thinning.chosen(len(related), musts, MOST, kinds=[kind[at] for at in related])
    return {related[place] for place in chosen}


def _forebears(of_: Iterable[int], kin: Sequence[tuple[int, ...]]) -> set[int]:
    """Everybody that these came of, over all parents."""
    found, open_ = set(), list(of_)
    while open_:
        for parent in kin[open_.pop()]:
            if parent not in found:
                found.add(parent)
                open_.append(parent)
    return found


def _depths(first: Sequence[int]) -> list[int]:
    """How many generations stand above each."""
    depth: list[int] = []
    for parent in first:
        depth.append(0 if parent == _NOBODY else depth[parent] + 1)
    return depth


def _nearest(first: Sequence[int], shown: set[int]) -> list[int]:
    """The nearest forebear of each that is shown."""
    nearest: list[int] = []
    for parent in first:
        nearest.append(parent if parent == _NOBODY or parent in shown else nearest[parent])
    return nearest


def _delta(given: Given, line: Line, parent: Line) -> float | None:
    if line.tier != parent.tier or line.value is None or parent.value is None:
        return None
    minimize = given.view.direction_of(line.tier) == MINIMIZE
    change = parent.value - line.value if minimize else line.value - parent.value
    return change if math.isfinite(change) else None


def _by(line: Line) -> str:
    return text.line(line.candidate.kind if line.candidate is not None else line.maker, SAYS_CHARS)


def _says(given: Given, line: Line, parent: Line | None) -> str:
    """Of a search what changed, which says more than that something did; else what is said of the run."""
    if line.candidate is None and parent is not None and parent.params and line.params and line.value is not None:
        return text.line(changed.between(given.space, parent.params, line.params), SAYS_CHARS)
    return text.line(line.ran.said or line.source.note, SAYS_CHARS)


def _rule(shown: int, related: int, total: int) -> str:
    """What is not there, in words; empty where everything is."""
    rules = []
    if shown < related:
        groups = "the way to the best, what was kept, its forebears, the newest"
        rules.append(thinning.rule(shown, related, groups))
    if related < total:
        rules.append(f"{text.count(total - related, 'run')} without kin left out")
    return "; ".join(rules)
