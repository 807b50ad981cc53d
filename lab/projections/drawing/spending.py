"""What each improvement cost: a bar for each, a row for each thing that is known of: time, tokens, money.

What was taken since the last improvement stands at the end, in the colour of what came to nothing yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lab.projections import text
from lab.projections.drawing import axes, legend, measure, signs
from lab.projections.drawing.legend import Entry
from lab.projections.drawing.scene import END, MIDDLE, Box, Scene, Stroke, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.projections.drawing.scene import Item
    from lab.projections.picture.spending import Spending, Took

NAME = "spending"
_TITLE = "Cost of each improvement"
MOST = 180  # bars; of more improvements the last ones
WIDTH, HEIGHT = 960.0, 260.0
_LEFT, _RIGHT, _TOP = 70.0, 16.0, 8.0
_HEAD, _NAMED, _SMALL = 20.0, 26.0, 11.0
_WIDEST, _LEAST_ROW = 90.0, 84.0
_ROOM = 13.0  # above the highest bar, for its number
_UNITS = ((1 / 3_600, "seconds"), (1 / 60, "minutes"), (1.0, "hours"), (24.0, "days"))  # in hours
_SINCE = "since the last improvement"
_WRITTEN, _LARGEST = 10**15, 10**300  # tokens that are written out, and that a float can hold
_ENOUGH = 2.0  # of a unit, to count in it


class _Bar(NamedTuple):
    """One improvement, or what came after the last; `run_id` is empty then."""

    run_id: str
    look: str
    below: str
    words: str
    took: Took
    unsure: str = ""


class _Row(NamedTuple):
    """One thing that was taken. An amount is None where it is not known."""

    title: str
    unit: str
    amounts: tuple[float | None, ...]


def draw(
    spending: Spending, *, width: float = WIDTH, height: float = HEIGHT, href: Callable[[str], str] | None = None
) -> Scene:
    """The scene. It is higher than asked where the rows would have no room."""
    width = max(width, signs.LEAST_WIDTH)
    if not spending.total.runs and not spending.improvements:
        said, high = signs.foot((), ["Nothing was taken yet.", *_said(spending)], (_TOP, _TOP), width - 2 * _TOP)
        return Scene(name=NAME, title=_TITLE, told=_described(spending), width=width, height=high, items=tuple(said))
    bars = _bars(spending)
    rows = _rows(spending, bars)
    _, foot = signs.foot(_entries(bars), _said(spending), (_LEFT, 0.0), width - _LEFT - _RIGHT)
    high = max((height - _TOP - foot - _NAMED) / len(rows), _LEAST_ROW)
    bottom = _TOP + high * len(rows)
    step = min((width - _LEFT - _RIGHT) / len(bars), _WIDEST)
    items: list[Item] = []
    for number, row in enumerate(rows):
        plan = _Plan(row, _TOP + high * number + _HEAD, _TOP + high * (number + 1), step, width)
        items += [*plan.frame(), *plan.bars(bars, href)]
    items += _names(bars, step, bottom, width)
    below, end = signs.foot(_entries(bars), _said(spending), (_LEFT, bottom + _NAMED), width - _LEFT - _RIGHT)
    return Scene(
        name=NAME, title=_TITLE, told=_described(spending), width=width, height=end,
        items=(*items, *below),
    )  # fmt: skip


class _Plan:
    """One row, between `top` and `base`."""

    def __init__(self, row: _Row, top: float, base: float, step: float, width: float) -> None:
        self.row, self.top, self.base, self.step, self.width = row, top, base, step, width
        most = max((amount for amount in row.amounts if amount is not None), default=0.0)
        self.scale = axes.Scale(low=0.0, high=min(most, axes.LARGEST) * 1.05 or 1.0, start=base, end=top + _ROOM)

    def frame(self) -> Iterator[Item]:
        title = measure.fitted(self.row.title, _SMALL, self.width - _LEFT - _RIGHT)
        yield Words(look="label", at=(_LEFT, self.top - 7), text=title, size=_SMALL)
        for tick in self.scale.ticks(max(int((self.base - self.top) / 30), 2)):
            y = self.scale.at(tick.value)
            yield Stroke(look="grid", points=((_LEFT, y), (self.width - _RIGHT, y)))
            yield Words(look="tick", at=(_LEFT - 6, y + 4), text=tick.text, anchor=END, size=_SMALL)
        yield Stroke(look="axis", points=((_LEFT, self.base), (self.width - _RIGHT, self.base)))

    def bars(self, bars: list[_Bar], href: Callable[[str], str] | None) -> Iterator[Item]:
        """The bars, and above them their numbers where all of these have room."""
        wide = max(self.step * 0.7, 1.0)
        known = [axes.number(amount, 3) for amount in self.row.amounts if amount is not None]
        dearest = _dearest(self.row)
        numbered = max((measure.width(told, _SMALL) for told in known), default=0.0) + 4 < self.step
        for number, (bar, amount) in enumerate(zip(bars, self.row.amounts, strict=True)):
            middle = _LEFT + self.step * (number + 0.5)
            if amount is None:
                if measure.width("?", _SMALL) < self.step:
                    yield Words(look="muted", at=(middle, self.base - 3), text="?", anchor=MIDDLE, size=_SMALL)
                continue
            y = self.scale.at(amount)
            told = f"{axes.number(amount, 3)} {self.row.unit}"
            if amount > 0:
                link = href(bar.run_id) if href and bar.run_id else ""
                says = f"{told}, {text.count(bar.took.runs, 'run')}: {bar.words}"
                size = {"width": wide, "height": max(self.base - y, 0.5)}
                yield Box(look=bar.look, at=(middle - wide / 2, y), says=says, href=link, **size)
            if numbered and amount > 0:
                short = axes.number(amount, 3)
                yield Words(look="muted", at=(middle, y - 3), text=short, anchor=MIDDLE, size=_SMALL)
            elif number == dearest:
                told = measure.fitted(f"{bar.below}: {told}", _SMALL, self.width - _LEFT - _RIGHT)
                half = measure.width(told, _SMALL) / 2
                at = (min(max(middle, _LEFT + half), self.width - _RIGHT - half), y - 3)
                yield Words(look="muted", at=at, text=told, anchor=MIDDLE, size=_SMALL)


def _dearest(row: _Row) -> int:
    """The place of the highest bar; -1 where there is none."""
    known = [(amount, -place) for place, amount in enumerate(row.amounts) if amount]
    return -max(known)[1] if known else -1


def _bars(spending: Spending) -> list[_Bar]:
    found = []
    for each in spending.improvements[-MOST:]:
        words = text.line(each.changed, 80)
        said = f"run {each.n:,}, {axes.number(each.value, 5)}"
        look = "within" if each.unsure else "bar"
        words = ", ".join(filter(None, (said, words, each.unsure)))
        found.append(_Bar(each.run_id, look, f"run {each.n:,}", words, each.took, each.unsure))
    if spending.since.runs or spending.since.hours or not found:
        below, words = ("since", _SINCE) if found else ("all", "no improvement yet")
        found.append(_Bar("", "discard", below, words, spending.since))
    return found


def _rows(spending: Spending, bars: list[_Bar]) -> list[_Row]:
    total, wasted = spending.total, spending.wasted
    most = max(bar.took.hours for bar in bars)
    size, unit = next(((size, unit) for size, unit in reversed(_UNITS) if most >= _ENOUGH * size), _UNITS[0])
    time = f"{unit}: {axes.number(total.hours / size, 3)} in all"
    if wasted.hours:
        time += f", {axes.number(wasted.hours / size, 3)} of it in {text.count(wasted.runs, 'run')} without a value"
    rows = [_Row(time, unit, tuple(bar.took.hours / size for bar in bars))]
    if total.tokens is not None:
        title = f"tokens: {_counted(total.tokens)} in all"
        rows.append(_Row(title, "tokens", tuple(_float(bar.took.tokens) for bar in bars)))
    if total.usd is not None:
        title = f"USD: {axes.number(total.usd, 4)} in all"
        rows.append(_Row(title, "USD", tuple(bar.took.usd for bar in bars)))
    return rows


def _float(amount: int | None) -> float | None:
    """A number of tokens that is too large for a float is as large as one can be."""
    return None if amount is None else float(min(amount, _LARGEST))


def _counted(tokens: int) -> str:
    return f"{tokens:,}" if tokens < _WRITTEN else axes.number(float(min(tokens, _LARGEST)))


def _names(bars: list[_Bar], step: float, bottom: float, width: float) -> Iterator[Item]:
    """Below each bar which run it is, where there is room for it: of the last, of the dearest, then of the others."""
    ranked = sorted(range(len(bars) - 1), key=lambda number: (-bars[number].took.hours, number))
    taken: list[tuple[float, float]] = []
    for number in (len(bars) - 1, *ranked[:1], *sorted(ranked[1:])):
        bar = bars[number]
        half = measure.width(bar.below, _SMALL) / 2 + 3
        middle = min(_LEFT + step * (number + 0.5), width - half)
        if all(middle + half <= left or middle - half >= right for left, right in taken):
            taken.append((middle - half, middle + half))
            yield Words(look="tick", at=(middle, bottom + 16), text=bar.below, anchor=MIDDLE, size=_SMALL)


def _entries(bars: list[_Bar]) -> list[Entry]:
    looks = {bar.look for bar in bars if bar.run_id}
    found = [
        Entry(look="bar", text="improvement", shape=legend.AREA),
        Entry(look="within", text=next((bar.unsure for bar in bars if bar.unsure), ""), shape=legend.AREA),
    ]
    found = [entry for entry in found if entry.look in looks]
    if not bars[-1].run_id:
        found.append(Entry(look="discard", text=bars[-1].words, shape=legend.AREA))
    return found


def _said(spending: Spending) -> Iterator[str]:
    """What the picture does not show by itself."""
    if len(spending.improvements) > MOST:
        yield f"Shown are the last {MOST} of {len(spending.improvements):,} improvements."
    yield from map(signs.sentence, spending.remarks)


def _described(spending: Spending) -> str:
    """What a picture tells those who do not see it."""
    count = text.count(len(spending.improvements), "improvement")
    total = spending.total
    told = [f"{count} in {text.count(total.runs, 'run')} and {axes.number(total.hours, 3)} hours"]
    if total.tokens is not None:
        told.append(f"{_counted(total.tokens)} tokens")
    if total.usd is not None:
        told.append(f"{axes.number(total.usd, 4)} USD")
    since = spending.since
    return f"{', '.join(told)}. Since the last: {text.count(since.runs, 'run')}, {axes.number(since.hours, 3)} hours."
