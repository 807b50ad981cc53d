"""What ran when: a row for each worker, a box for each run; long times in which nothing ran are cut out, and said."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import TYPE_CHECKING

from lab.projections import text
from lab.projections.drawing import clock, measure, signs
from lab.projections.drawing.scene import END, MIDDLE, Box, Scene, Stroke, Words
from lab.projections.picture import words
from lab.projections.picture.stairs import DISCARD

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.projections.drawing.scene import Item
    from lab.projections.picture.timeline import Stretch, Timeline

NAME = "timeline"
_LEFT, _RIGHT, _TOP = 12.0, 20.0, 22.0
_NAMES = 150.0  # the most that names of workers take of the width
_ROW, _FLAT_ROW, _MANY = 20.0, 15.0, 12
_THIN = 1.2  # a run that took no time can still be seen
_POINTED = 3.0  # narrower boxes nobody can point at
_MOST_LINKS = 120
_SMALL = 11.0
_HOUR_S = 3_600.0


def draw(timeline: Timeline, *, width: float = 960, href: Callable[[str], str] | None = None) -> Scene:
    """The scene; its height follows from the number of rows. `href` leads from a run to its page."""
    width = max(width, signs.LEAST_WIDTH)
    if not timeline.lanes:
        said = Words(look="muted", at=(_LEFT, _TOP), text="Nothing has run yet.")
        below, height = signs.foot(
            (), [signs.sentence(timeline.sample.rule)], (_LEFT, _TOP + 8), width - _LEFT - _RIGHT
        )
        return Scene(
            name=NAME, title="Timeline", told=_told(timeline), width=width, height=height, items=(said, *below)
        )
    plan = _Plan(timeline, width)
    items = [*plan.grid(), *plan.breaks(), *plan.boxes(href), *plan.names()]
    counts = Counter[str]()
    for lane in timeline.lanes:
        for stretch in lane.stretches:
            counts.update(dict(stretch.of) if stretch.of else {stretch.kind: 1})
    at = (_LEFT, plan.bottom + 40)
    below, height = signs.foot(signs.entries(counts, boxes=True), [_said(timeline)], at, width - _LEFT - _RIGHT)
    return Scene(name=NAME, title="Timeline", told=_told(timeline), width=width, height=height, items=(*items, *below))


class _Plan:
    """Where everything stands."""

    def __init__(self, timeline: Timeline, width: float) -> None:
        self.timeline = timeline
        told = [text.line(lane.worker, 60) for lane in timeline.lanes]
        self.named = [measure.fitted(name, _SMALL, min(_NAMES, width / 4)) for name in told]
        self.left = _LEFT + max(measure.width(name, _SMALL) for name in self.named) + 10
        self.right = width - _RIGHT
        cuts = [(gap.start_s, gap.length_s) for gap in timeline.gaps]
        self.axis = clock.axis(clock.seconds(timeline.began), timeline.length_s, cuts, self.left, self.right)
        self.row = _ROW if len(timeline.lanes) <= _MANY else _FLAT_ROW
        self.bottom = _TOP + self.row * len(timeline.lanes) + 4

    def grid(self) -> Iterator[Item]:
        for tick in self.axis.ticks():
            yield Stroke(look="grid", points=((tick.x, _TOP), (tick.x, self.bottom + 4)))
            for y, told in ((self.bottom + 16, tick.upper), (self.bottom + 30, tick.lower)):
                if told:
                    half = measure.width(told, _SMALL) / 2
                    x = min(max(tick.x, half + 2), self.right + _RIGHT - half - 2)
                    yield Words(look="tick", at=(x, y), text=told, anchor=MIDDLE, size=_SMALL)
        yield Stroke(look="axis", points=((self.left, self.bottom), (self.right, self.bottom)))

    def breaks(self) -> Iterator[Item]:
        """Each cut, and how long it is where there is room for it."""
        reached = 0.0
        for (before, after), gap in zip(itertools.pairwise(self.axis.pieces), self.timeline.gaps, strict=True):
            for x in (before.right, after.left):
                yield Stroke(look="leader", points=((x, _TOP - 4), (x, self.bottom + 4)), dashed=True)
            told = text.duration(gap.length_s)
            half = measure.width(told, _SMALL) / 2
            x = min((before.right + after.left) / 2, self.right + _RIGHT - half - 2)
            if x - half > reached:
                reached = x + half + 8
                yield Words(look="muted", at=(x, _TOP - 9), text=told, anchor=MIDDLE, size=_SMALL)

    def boxes(self, href: Callable[[str], str] | None) -> Iterator[Item]:
        links = _MOST_LINKS
        for number, lane in enumerate(self.timeline.lanes):
            top = _TOP + self.row * number + 3
            for stretch in lane.stretches:
                left = self.axis.at(stretch.start_s)
                end = self.timeline.length_s if stretch.end_s is None else stretch.end_s
                wide = max(self.axis.at(end) - left, _THIN)
                left = min(left, self.right - wide)
                pointed = (wide >= _POINTED or stretch.kind != DISCARD) and links > 0
                links -= pointed
                link = href(stretch.run_id) if href and pointed and stretch.runs == 1 else ""
                says = _says(stretch) if pointed else ""
                yield from self._box(stretch, left, top, wide, says, link)

    def _box(self, stretch: Stretch, left: float, top: float, wide: float, says: str, link: str) -> Iterator[Item]:
        """One box; of several runs that ended differently one above the other, as high as they are many."""
        high = self.row - 6
        parts = dict(stretch.of) if len(stretch.of) > 1 else {stretch.kind: 1}
        total = sum(parts.values())
        y = top
        for kind in sorted(parts, key=_rank):
            part = high * parts[kind] / total
            look, _ = signs.sign(kind)
            yield Box(look=look, at=(left, y), width=wide, height=part, says=says, href=link)
            y += part
        if stretch.end_s is None:
            tip, middle = self.right + 8, top + high / 2
            points = ((left + wide, top), (tip, middle), (left + wide, top + high))
            yield Stroke(look=signs.sign(stretch.kind)[0], points=points, close=True)

    def names(self) -> Iterator[Item]:
        """Each worker at its first row."""
        before = ""
        for number, (lane, name) in enumerate(zip(self.timeline.lanes, self.named, strict=True)):
            if lane.worker != before:
                y = _TOP + self.row * (number + 0.5) + 4
                yield Words(look="label", at=(self.left - 8, y), text=name, anchor=END, size=_SMALL)
            before = lane.worker


def _rank(kind: str) -> int:
    kinds = list(signs.SIGNS)
    return kinds.index(kind) if kind in kinds else len(kinds)


def _says(stretch: Stretch) -> str:
    """The tooltip."""
    if stretch.runs > 1:
        return f"{stretch.runs:,} runs: {signs.counted(stretch.of)}"
    told = [text.line(stretch.run_id, 80), words.of(stretch.kind)]
    if stretch.end_s is not None:
        told.append(text.duration(stretch.end_s - stretch.start_s))
    if stretch.says:
        told.append(text.line(stretch.says))
    return ", ".join(told)


def _said(timeline: Timeline) -> str:
    """What the picture does not show by itself."""
    began = clock.seconds(timeline.began)
    parts = [f"UTC, from {clock.moment(began)} to {clock.moment(began + timeline.length_s) or 'beyond any calendar'}"]
    if timeline.idle_s:
        share = timeline.idle_s / timeline.length_s
        parts.append(
            f"nothing ran for {text.duration(timeline.idle_s)} of {text.duration(timeline.length_s)} ({share:.0%})"
        )
    if timeline.gaps:
        cut = text.duration(sum(gap.length_s for gap in timeline.gaps))
        parts.append(f"{text.count(len(timeline.gaps), 'break')} in the axis, {cut} in all")
    return signs.sentence("; ".join([*parts, *([timeline.sample.rule] if timeline.sample.rule else [])]))


def _told(timeline: Timeline) -> str:
    """What a picture tells those who do not see it."""
    if not timeline.lanes:
        return "Nothing has run yet."
    workers = len({lane.worker for lane in timeline.lanes})
    busy = sum(lane.busy_s for lane in timeline.lanes) / _HOUR_S
    runs = text.count(timeline.sample.shown, "run")
    return f"{runs} of {text.count(workers, 'worker')}, {busy:.3g} hours. {_said(timeline)}"
