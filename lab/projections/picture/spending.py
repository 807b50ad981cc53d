"""What an experiment took, and what each improvement cost: hours, tokens and money.

Every run of every tier is counted once, where it stands in history: so the improvements and what came after the last of
them make up the total. A question to a model is counted at the first run that came of it; one that led to no run, at
the next that a later question led to.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture import words
from lab.projections.picture.stairs import KEEP

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.core.view import Reserved, View
    from lab.projections.picture.given import AskTook, Given
    from lab.projections.picture.stairs import Stairs
    from lab.projections.tables import Line

_HOUR_S = 3600.0
_MOST = sys.float_info.max


class Took(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An amount. None is not known, which is not 0; `usd` is what models and runs said they cost, together."""

    runs: int = 0
    hours: float = 0.0
    tokens: int | None = None
    usd: float | None = None


class Improvement(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken from the improvement before to this one, this run included."""

    n: int  # as in stairs
    run_id: str
    value: float
    took: Took
    changed: str = ""
    unsure: str = ""  # what it is called where the noise may be all of it; as in the staircase


class Spending(msgspec.Struct, frozen=True, kw_only=True):
    """`since` is what was taken after the last improvement; `wasted` what went into runs without a value."""

    total: Took
    improvements: tuple[Improvement, ...]
    since: Took
    wasted: Took
    remarks: tuple[str, ...] = ()  # what is not known, in words


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one strategy, or one arm of a portfolio, brought in one tier."""

    name: str
    runs: int
    scored: int
    failed: int
    improvements: int
    best: float | None
    best_run: str
    took: Took


class Bill:
    """What was taken, added up. Sums are exact, so that it does not matter in which order or in which parts."""

    def __init__(self) -> None:
        self.runs = 0
        self._seconds: list[float] = []
        self._usd: list[float] = []
        self._tokens: int | None = None

    def run(self, line: Line, asks: Iterable[AskTook] = ()) -> None:
        """A run, with what it said of itself, and the questions that are counted at it."""
        self.runs += 1
        if line.ran.wall_s:
            self._seconds.append(line.ran.wall_s)
        if line.ran.cost:
            self._usd.append(line.ran.cost)
        if line.candidate is not None and line.candidate.tokens:
            self._tokens = (self._tokens or 0) + line.candidate.tokens
        if line.ran.tokens:
            self._tokens = (self._tokens or 0) + line.ran.tokens
        for asked in asks:
            self.ask(asked)

    def ask(self, asked: AskTook) -> None:
        """A question to a model."""
        if asked.usd is not None:
            self._usd.append(asked.usd)
        if asked.tokens is not None:
            self._tokens = (self._tokens or 0) + asked.tokens

    def add(self, other: Bill) -> None:
        """All of another bill."""
        self.runs += other.runs
        self._seconds += other._seconds
        self._usd += other._usd
        if other._tokens is not None:
            self._tokens = (self._tokens or 0) + other._tokens

    def took(self) -> Took:
        """The sum, rounded."""
        return Took(
            runs=self.runs,
            hours=hours(_sum(self._seconds)),
            tokens=self._tokens,
            usd=round(_sum(self._usd), 6) if self._usd else None,
        )


def charged(given: Given) -> tuple[dict[str, list[AskTook]], list[AskTook]]:
    """Which run each question to a model is counted at, in the order in which they were asked; and those of none."""
    left = sorted(given.asks.items(), key=lambda each: _order(each[0]), reverse=True)
    found: dict[str, list[AskTook]] = {}
    for line in given.lines:
        asked = line.source.ask
        while asked and left and _order(left[-1][0]) <= _order(asked):
            found.setdefault(line.run_id, []).append(left.pop()[1])
    return found, [asked for _, asked in reversed(left)]


def of(given: Given, stairs: Stairs) -> Spending:
    """What was taken for each step of a staircase."""
    steps = {step.run_id: step for step in stairs.steps}
    kept = {spot.run_id for spot in stairs.spots if spot.kind == KEEP}
    asks, unled = charged(given)
    total, wasted, current = Bill(), Bill(), Bill()
    found = []
    for line in given.lines:
        bills = (current, wasted) if line.value is None else (current,)
        for bill in bills:
            bill.run(line, asks.get(line.run_id, ()))
        step = steps.get(line.run_id)
        if step is not None:
            made = Improvement(
                n=step.n,
                run_id=step.run_id,
                value=step.value,
                took=current.took(),
                changed=step.changed,
                unsure=(words.UNCONFIRMED if step.run_id in kept else words.WITHIN_NOISE) if step.within else "",
            )
            found.append(made)
            total.add(current)
            current = Bill()
    for asked in unled:
        current.ask(asked)
    total.add(current)
    return Spending(
        total=total.took(),
        improvements=tuple(found),
        since=current.took(),
        wasted=wasted.took(),
        remarks=tuple(_remarks(given, stairs)),
    )


def of_view(view: View) -> Took:
    """The sum alone, from what was folded: no line is read for it. What is set aside and not spent is not in it."""
    loops = sum(tier.loop.tokens for tier in view.tiers.values() if tier.loop is not None)
    models = max(view.model.usd - sum(each.usd for each in view.model.reserved), 0.0)
    usd = _sum([view.cost, models])
    return Took(
        runs=view.runs,
        hours=hours(view.wall_s),
        tokens=(view.model.tokens + loops + view.tokens) or None,
        usd=round(usd, 6) or None,
    )


def together(parts: Sequence[Took]) -> Took:
    """The sum of what is known."""
    tokens = [each.tokens for each in parts if each.tokens is not None]
    usd = [each.usd for each in parts if each.usd is not None]
    return Took(
        runs=sum(each.runs for each in parts),
        hours=round(_sum([each.hours for each in parts]), 9),
        tokens=sum(tokens) if tokens else None,
        usd=round(_sum(usd), 6) if usd else None,
    )


def hours(seconds: float) -> float:
    """As they are told."""
    return round(min(seconds, _MOST) / _HOUR_S, 9)


def set_aside(questions: Sequence[Reserved]) -> str:
    """What is to be said of questions that have no answer."""
    usd = _sum([each.usd for each in questions])
    asked = text.count(len(questions), "question")
    return f"{asked} to a model without an answer: the {usd:.6g} USD that were set aside are in no sum"


def _remarks(given: Given, stairs: Stairs) -> Iterator[str]:
    """What is not known, or not in it."""
    lines, asks = given.lines, given.asks.values()
    untold = sum(not line.ran.wall_s and bool(line.ran.began) for line in lines)
    if untold:
        yield f"{_runs(untold, len(lines))} did not tell how long they took"
    yield from _of_money(lines, asks)
    yield from _of_tokens(lines, asks)
    aside = [each for each in given.view.model.reserved if each.ask not in given.asks]
    if aside:
        yield set_aside(aside)
    if any(line.tier != stairs.tier for line in lines):
        yield f"the improvements are those of tier {text.line(stairs.tier)}; runs of other tiers count where they fell"
    if given.under_way:
        yield f"{text.count(len(given.under_way), 'run')} under way, not counted yet"


def _of_money(lines: Sequence[Line], asks: Iterable[AskTook]) -> Iterator[str]:
    priced, unpriced = _split(asks, "usd")
    silent = sum(not line.ran.cost for line in lines)
    if unpriced:
        yield f"of {priced + unpriced} questions to models, {unpriced} did not tell their price"
    if lines and silent == len(lines):
        yield "no run said what it cost" + ("; the money is what models took" if priced else "")
    elif silent:
        yield f"{_runs(silent, len(lines))} did not say what they cost"


def _of_tokens(lines: Sequence[Line], asks: Iterable[AskTook]) -> Iterator[str]:
    told, untold = _split(asks, "tokens")
    if untold:
        yield f"of {told + untold} questions to models, {untold} did not tell their tokens"
    made = [line.candidate for line in lines if line.candidate is not None and line.candidate.parent]
    silent = sum(not each.tokens for each in made)
    if silent:
        yield f"of {text.count(len(made), 'change')}, {silent} came without a word of the tokens that they took"
    if lines and not made and not told and not untold and not any(line.ran.tokens for line in lines):
        yield "no tokens are known: no model was asked through the lab"


def _split(asks: Iterable[AskTook], what: str) -> tuple[int, int]:
    """How many questions told it, and how many did not."""
    known = [(each.usd if what == "usd" else each.tokens) is not None for each in asks]
    return sum(known), len(known) - sum(known)


def _runs(some: int, of_all: int) -> str:
    return f"{some} of {text.count(of_all, 'run')}"


def _order(ask: str) -> tuple[int, str]:
    """Names of questions end in a number that has more digits once there are very many."""
    return len(ask), ask


def _sum(amounts: list[float]) -> float:
    """Exact; a sum of absurd amounts stays a number."""
    try:
        return min(math.fsum(amounts), _MOST)
    except OverflowError:
        return _MOST
