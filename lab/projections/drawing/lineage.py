"""The forest of runs: time to the right, the way to the best on top, what came of a run below it.

A run whose parent is not shown hangs by a dashed line from the nearest forebear that is.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import axes, branches, flags, signs
from lab.projections.drawing.branches import NOBODY, Member
from lab.projections.drawing.scene import END, MIDDLE, START, Mark, Marks, Scene, Stroke, Words
from lab.projections.picture import thinning, words
from lab.projections.picture.stairs import BASELINE, KEEP, WITHIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lab.projections.drawing.branches import Branch
    from lab.projections.drawing.scene import Item, Point
    from lab.projections.picture.lineage import Lineage, Person

NAME = "lineage"
HIGHEST = 1_600.0
_LEFT, _RIGHT, _TOP, _FOOT = 24.0, 24.0, 12.0, 30.0
_ROW, _STEP = 26.0, 64.0  # how far apart rows and runs are at most
_LOW = 260.0  # as high as a picture may be made only so that runs can hang at different heights
_ALONE = 160  # runs that one can point at; of more, only those of note
_APART = 5.0  # runs that are closer to each other hang at different heights
_LEVELS = 4
_TICKS = 7
_TICK_ROOM = 80.0
_TIER_CHARS = 10
_SMALL = 11.0
_SHOWN = 3


def draw(lineage: Lineage, *, width: float = 960, href: Callable[[str], str] | None = None) -> Scene:
    """The scene, as high as it needs to be, and never higher than HIGHEST. `href` leads from a run to its page."""
    width = max(width, signs.LEAST_WIDTH)
    plan = _Plan(lineage.people, width)
    items = [*plan.lines(), *plan.marks(href), *plan.labels(), *plan.axis()]
    counts = lineage.counts or Counter(person.kind for person in lineage.people)
    at = (_LEFT, plan.bottom + _FOOT)
    below, height = signs.foot(signs.entries(counts), _said(lineage), at, width - _LEFT - _RIGHT)
    every = (*items, *below)
    return Scene(name=NAME, title="Lineage", told=_told(lineage), width=width, height=height, items=every)


class _Plan:
    """Where everybody stands."""

    def __init__(self, people: Sequence[Person], width: float) -> None:
        self.people, self.width = people, width
        places = {person.run_id: at for at, person in enumerate(people)}
        self.way = [at for at, person in enumerate(people) if person.on_path]
        self.parents = [_before(places.get(person.parent, NOBODY), at) for at, person in enumerate(people)]
        self.branches = branches.of(
            [Member(parent, person.on_path) for parent, person in zip(self.parents, people, strict=True)]
        )
        self.step = min((width - _LEFT - _RIGHT) / max(len(people) - 1, 1), _STEP)
        self.flags = self._flags()
        self.top = _TOP + flags.height(self.flags) + 10
        rows = max(branches.rows(self.branches), 1)
        room = HIGHEST - self.top - _FOOT - signs.MOST_HEIGHT
        levels = min(max(int(_APART / max(self.step, 0.1)) + 1, 1), _LEVELS) if self.step < _APART else 1
        self.row = min(_ROW + 7 * (levels - 1), max(_ROW, _LOW / rows), room / rows)
        self.drop = self.row * 0.42 if levels == 1 else self.row * 0.7 / levels
        self.levels = levels
        self.size = max(min(3.5, self.row * 0.3, self.step * 0.6), 1.4)
        self.bottom = self.top + rows * self.row
        self.at = self._points()

    def x(self, at: int) -> float:
        return _LEFT + at * self.step

    def y(self, branch: Branch) -> float:
        return self.top + branch.row * self.row

    def _points(self) -> list[Point]:
        points = [(0.0, 0.0)] * len(self.people)
        for branch in self.branches:
            y = self.y(branch)
            for at in branch.on:
                points[at] = (self.x(at), y)
            for at in branch.hang:
                points[at] = (self.x(at), y + self.drop * (1 + at % self.levels))
        return points

    def lines(self) -> Iterator[Item]:
        """Each branch is one line with all that hangs from it; the way to the best lies on top of it."""
        for branch in self.branches:
            yield from self._branch(branch)
        for dashed, points in self._way():
            yield Stroke(look="stair", points=tuple(points), width=2.5, dashed=dashed)

    def _way(self) -> Iterator[tuple[bool, list[Point]]]:
        """The way to the best in as few strokes as it has changes from shown to skipped."""
        points: list[Point] = []
        was = False
        for before, after in itertools.pairwise(self.way):
            dashed = self.people[after].skipped > 0
            if points and dashed == was:
                points.append(self.at[after])
                continue
            if points:
                yield was, points
            points, was = [self.at[before], self.at[after]], dashed
        if points:
            yield was, points

    def _branch(self, branch: Branch) -> Iterator[Item]:
        y = self.y(branch)
        start = (self.x(branch.start), y)
        points: list[Point] = [start]
        if branch.above != NOBODY:
            points.insert(0, (start[0], self.y(self.branches[branch.above])))
        stubs = []
        leaves = {each.start for each in (self.branches[place] for place in branch.below)}
        for at in sorted({*branch.on, *branch.hang, *leaves}):
            x = self.x(at)
            skipped = self.people[at].skipped > 0
            if at in branch.on and skipped and at != branch.on[0]:
                yield _line(points)
                yield Stroke(look="leader", points=(points[-1], (x, y)), dashed=True)
                points = [(x, y)]
                continue
            points.append((x, y))
            if self.at[at][1] != y and at not in leaves:
                if skipped:
                    stubs.append(Stroke(look="leader", points=((x, y), self.at[at]), dashed=True))
                else:
                    points += [self.at[at], (x, y)]
        if len(points) > 1:
            yield _line(points)
        yield from stubs

    def marks(self, href: Callable[[str], str] | None) -> Iterator[Item]:
        """Those of note one by one, above the crowd."""
        noted = self._noted()
        crowd: dict[tuple[str, str], list[Point]] = {}
        for at in sorted(set(range(len(self.people))) - set(noted)):
            crowd.setdefault(signs.sign(self.people[at].kind), []).append(self.at[at])
        for (look, shape), points in sorted(crowd.items()):
            yield Marks(look=look, at=tuple(points), shape=shape, size=min(self.size, 2.5))
        best = self.way[-1] if self.way else NOBODY
        for at in noted:
            person = self.people[at]
            look, shape = signs.sign(person.kind)
            size = self.size + (1.0 if person.on_path else 0.0) + (1.5 if at == best else 0.0)
            link = href(person.run_id) if href else ""
            look = "best" if at == best else look
            yield Mark(look=look, at=self.at[at], shape=shape, size=size, says=_says(person), href=link)

    def _noted(self) -> list[int]:
        """All of few; of more, those with a flag, and as many of the way to the best and of what was kept."""
        places = range(len(self.people))
        if len(places) <= _ALONE:
            return list(places)
        flown = {flag.x for flag in self.flags}
        noted = {at for at in self.way if self.x(at) in flown} | set(self.way[-1:])
        kept = [at for at in places if self.people[at].kind in (BASELINE, KEEP, WITHIN)]
        for group in (self.way, kept):
            rest = [at for at in group if at not in noted]
            noted.update(thinning.evenly(rest, max(_ALONE - len(noted), 0)))
        return sorted(noted)

    def _flags(self) -> list[flags.Flag]:
        wanted = []
        for at in self.way:
            person = self.people[at]
            weight = math.inf if at in (self.way[0], self.way[-1]) else person.delta or 0.0
            wanted.append(flags.Wanted(x=self.x(at), text=_label(person), weight=weight, bold=at == self.way[-1]))
        return flags.placed(wanted, _LEFT, self.width - _RIGHT)

    def labels(self) -> Iterator[Item]:
        yield from flags.items(self.flags, self.top - self.size - 3)

    def axis(self) -> Iterator[Item]:
        """Which run of the experiment stands where: places are those of the runs shown, not of all."""
        y, count = self.bottom + 16, len(self.people)
        if not count:
            yield Words(look="muted", at=(_LEFT, self.top + 4), text="No run was made from another.")
            return
        places = sorted({round(step * (count - 1) / (_TICKS - 1)) for step in range(_TICKS)})
        reached = -1e9
        for at in places:
            if self.x(at) - reached < _TICK_ROOM and at:
                continue
            reached = self.x(at)
            anchor = START if at == 0 else END if reached > self.width - _RIGHT - 40 else MIDDLE
            yield Words(look="muted", at=(reached, y), text=_numbered(self.people[at]), anchor=anchor, size=_SMALL)


def _said(lineage: Lineage) -> Iterator[str]:
    """What is not there, in words."""
    shown, kin = len(lineage.people), sum(lineage.counts.values())
    rule = lineage.sample.rule
    if shown < kin:
        yield f"Shown are {shown:,} of {kin:,} runs that have kin: {rule}."
        yield "They stand side by side, whatever lies between two of them: the numbers of the runs are not to scale."
    else:
        yield signs.sentence(rule)
    if any(person.skipped for person in lineage.people):
        yield "Dashed: generations in between are not shown."


def _before(parent: int, at: int) -> int:
    """A parent that does not stand before its child is none."""
    return parent if parent < at else NOBODY


def _line(points: Sequence[Point]) -> Stroke:
    return Stroke(look="leader", points=tuple(points))


def _label(person: Person) -> str:
    said = text.line(person.says, 34)
    if person.delta is None:
        return said or text.line(person.by, 34)
    return f"{signed(person.delta)} {said}".rstrip()


def signed(delta: float) -> str:
    """A gain with its sign: above 0 is better."""
    told = axes.number(abs(delta), 3)
    return told if delta == 0 else f"{'+' if delta > 0 else axes.MINUS}{told}"


def _numbered(person: Person) -> str:
    """Which run of its tier it is."""
    return f"run {person.n:,}{f', {text.line(person.tier, _TIER_CHARS)}' if person.tier else ''}"


def _says(person: Person) -> str:
    """The tooltip."""
    told = [_numbered(person), text.line(person.run_id, 80), words.of(person.kind)]
    if person.value is not None:
        told.append(axes.number(person.value, 6))
    if person.delta is not None:
        told.append(f"{'worse' if person.delta < 0 else 'better'} by {axes.number(abs(person.delta))}")
    if person.others:
        told.append(f"also of {', '.join(text.line(name, 80) for name in person.others[:_SHOWN])}")
    if person.by:
        told.append(f"by {text.line(person.by, 40)}")
    if person.skipped:
        told.append(f"{text.count(person.skipped, 'generation')} before it not shown")
    if person.says:
        told.append(text.line(person.says))
    return ", ".join(told)


def _told(lineage: Lineage) -> str:
    """What a picture tells those who do not see it."""
    way = [person for person in lineage.people if person.on_path]
    told = f"{text.count(len(lineage.people), 'run')} of {text.count(lineage.depth + 1, 'generation')}."
    if way:
        told += f" The way to the best, {text.line(way[-1].run_id, 80)}, has {text.count(len(way), 'run')} here."
    return f"{told} {signs.sentence(lineage.sample.rule)}".rstrip()
