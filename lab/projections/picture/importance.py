"""How much of the spread of the values goes with each parameter, and what of it may be chance.

A small forest learns the ranks of some runs and foretells those of others. Then one parameter of these is dealt out
anew among them: by as much as the forest errs more, it counted, alone or together with others. The same is done with
values that were dealt out anew to the runs: what a parameter got there is luck, and what it rarely gets the floor.
Ranks, because one run that went wild would else be the whole spread, and because then it is the same whichever way the
metric goes.
"""

from __future__ import annotations

import math
from random import Random
from typing import TYPE_CHECKING

import msgspec

from lab.projections import text
from lab.projections.picture import forest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.projections.picture.columns import Column
    from lab.projections.picture.forest import Columns

ENOUGH = 20  # scored runs, below which nothing is said of importance
SAMPLE = 1_000  # runs that it is made from at most: beyond that it gets slower, and no better
SPLITS = 10
SHUFFLES = 19
_RARE = 2.0  # standard deviations: of searches with nothing but noise about 1 in 20 has a parameter beyond that
_TESTED = 120
_FEW = 200  # runs: of fewer, one split by itself says little; of more it errs to the safe side, and costs more
_STUDENT = 2.262  # of nine degrees of freedom, SPLITS - 1: 95 of 100 lie within so many standard errors
_LEARNT_FROM = 2 / 3

METHOD = (
    f"how much worse a small forest foretells the rank of runs it has not seen when one parameter is shuffled; mean of "
    f"{SPLITS} splits, with a range of 95 %, widened because the splits share their runs"
)


class Weight(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How much of the spread of the values goes with one parameter, between 0 and 1, and how unsure that is.

    With an interaction the shares of several may add up to more than 1. `chance` is one that is not above the floor,
    `unsure` one whose range is not.
    """

    name: str
    share: float
    low: float
    high: float
    chance: bool = False
    unsure: bool = False


class Importance(msgspec.Struct, frozen=True, kw_only=True):
    """What it is from, and what it is worth: `caveat` stands beside every drawing of it. The largest comes first."""

    n: int
    weights: tuple[Weight, ...]
    method: str
    caveat: str
    floor: float = 0.0  # what lies below is not told apart from chance
    explained: float = 0.0  # how much of the spread all parameters together foretell; the rest is noise, or not learnt
    left_out: int = 0  # parameters beyond those weighed here


def of(columns: Sequence[Column], values: Sequence[float], *, total: int, seed: str) -> Importance | str:
    """The weights of columns that varied, from runs with these values; in words, why there are none.

    `total` is how many runs there are, of which these are an even sample. The same seed gives the same.
    """
    if len(values) < ENOUGH:
        have = text.count(len(values), "run")
        return f"Importance is told from {ENOUGH} runs with a value and parameters; there {_are(len(values))} {have}."
    if not columns:
        return "No parameter varied."
    if min(values) == max(values):
        return "All runs have the same value: there is no spread that could go with anything."
    luck = Random(f"{seed}/{len(values)}/{total}")
    ranks = ranked(values)
    seen = [_split(columns, ranks, luck) for _ in range(SPLITS)]
    floor = _floor([_by_chance(columns, ranks, luck) for _ in range(_shuffles(len(values)))])
    tested = _tested(len(values))
    weights = [
        weight(each.axis.name, [split.shares[number] for split in seen], floor, tested / (len(values) - tested))
        for number, each in enumerate(columns)
    ]
    explained = sum(split.explained for split in seen) / SPLITS
    return Importance(
        n=len(values),
        weights=tuple(sorted(weights, key=lambda weight: -weight.share)),
        method=METHOD,
        caveat=_caveat(len(values), total),
        floor=floor,
        explained=round(min(max(explained, 0.0), 1.0), 4),
    )


def ranked(values: Sequence[float]) -> list[float]:
    """The ranks, with a mean of 0 and a spread of 1; equal values share one. Not for values that are all equal."""
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    first = 0
    while first < len(order):
        last = first
        while last + 1 < len(order) and values[order[last + 1]] == values[order[first]]:
            last += 1
        for place in order[first : last + 1]:
            found[place] = (first + last) / 2
        first = last + 1
    middle = (len(values) - 1) / 2
    spread = math.sqrt(sum((rank - middle) ** 2 for rank in found) / len(found))
    return [(rank - middle) / spread for rank in found]


def _by_chance(columns: Sequence[Column], ranks: Sequence[float], luck: Random) -> float:
    """The most that any parameter gets by luck. Of few runs, on average over several splits."""
    dealt = luck.sample(ranks, len(ranks))
    seen = [_split(columns, dealt, luck).shares for _ in range(min(max(_FEW // len(ranks), 1), SPLITS // 2))]
    return max(sum(split[number] for split in seen) / len(seen) for number in range(len(columns)))


class _Split(msgspec.Struct, frozen=True):
    shares: list[float]
    explained: float


def _split(columns: Sequence[Column], ranks: Sequence[float], luck: Random) -> _Split:
    """What a forest from some of the runs tells of the others."""
    rows = luck.sample(range(len(ranks)), len(ranks))
    tested, learnt = rows[: _tested(len(ranks))], rows[_tested(len(ranks)) :]
    numbers = [_numbers(each, ranks, learnt, luck) for each in columns]
    trees = forest.grown(numbers, ranks, learnt, luck)
    error = _error(trees, numbers, ranks, tested)
    shares = []
    for place in range(len(columns)):
        dealt = _dealt(numbers, place, tested, luck)
        shares.append((_error(trees, dealt, ranks, tested) - error) / 2)
    mean = sum([ranks[row] for row in tested]) / len(tested)
    spread = sum([(ranks[row] - mean) ** 2 for row in tested]) / len(tested)
    return _Split(shares, 1 - error / spread if spread else 0.0)


def _tested(count: int) -> int:
    return min(_TESTED, count - round(_LEARNT_FROM * count))


def _floor(most: Sequence[float]) -> float:
    """What is rarely got by luck. From all of the shuffles: the most of them alone would jump from run to run."""
    mean = sum(most) / len(most)
    spread = math.sqrt(sum((each - mean) ** 2 for each in most) / (len(most) - 1))
    return round(max(mean + _RARE * spread, 0.0), 4)


def _shuffles(count: int) -> int:
    return SHUFFLES if count < _FEW else SHUFFLES // 2


def _numbers(column: Column, ranks: Sequence[float], learnt: Sequence[int], luck: Random) -> list[float]:
    """A column without gaps, and with choices in an order that means something: by what went with them.

    Where a parameter did not count it has what it had elsewhere, by lot: it must not tell what only the parameter that
    it hangs on tells. Where it was only not given, that is a value of its own.
    """
    at = column.at
    places = at
    absent = -1.0
    if column.axis.choices:
        means = _means(at, ranks, learnt)
        absent = means.get(None, 0.0)
        places = tuple(means.get(place, 0.0) for place in at)
    given = [places[row] for row in learnt if at[row] is not None] if column.conditional else []
    filled = []
    for row, place in enumerate(places):
        if at[row] is None:
            lot = luck.choice(given) if given else None
            filled.append(absent if lot is None else lot)
        else:
            filled.append(place or 0.0)
    return filled


def _means(at: Sequence[float | None], ranks: Sequence[float], rows: Sequence[int]) -> dict[float | None, float]:
    """What went with each place, on average."""
    went: dict[float | None, list[float]] = {}
    for row in rows:
        went.setdefault(at[row], []).append(ranks[row])
    return {place: sum(found) / len(found) for place, found in went.items()}


def _dealt(numbers: Columns, place: int, rows: list[int], luck: Random) -> Columns:
    """The columns with the numbers of one of them dealt out anew among some rows."""
    column = numbers[place]
    fresh = column[:]
    for row, source in zip(rows, luck.sample(rows, len(rows)), strict=True):
        fresh[row] = column[source]
    return [*numbers[:place], fresh, *numbers[place + 1 :]]


def _error(trees: Sequence[forest.Cut | float], numbers: Columns, ranks: Sequence[float], rows: Sequence[int]) -> float:
    said = forest.foretold(trees, numbers, rows)
    return sum([(one - ranks[row]) ** 2 for one, row in zip(said, rows, strict=True)]) / len(rows)


def weight(name: str, shares: Sequence[float], floor: float, ratio: float) -> Weight:
    """From its shares in each split, with the range that their mean lies in.

    `ratio` is of tested to learnt from: splits of the same runs are alike, and their mean is less sure than it looks.
    """
    mean = sum(shares) / len(shares)
    variance = sum((share - mean) ** 2 for share in shares) / (len(shares) - 1)
    reach = _STUDENT * math.sqrt(variance * (1 / len(shares) + ratio))
    low, share, high = (round(min(max(end, 0.0), 1.0), 4) for end in (mean - reach, mean, mean + reach))
    return Weight(name=name, share=share, low=low, high=high, chance=share <= floor, unsure=low <= floor)


def _caveat(count: int, total: int) -> str:
    from_what = f"{count:,} runs" if count == total else f"{count:,} runs, drawn evenly from {total:,}"
    return (
        f"From {from_what}, failed ones not among them. It holds within the ranges tried. A search does not try "
        "evenly: what it no longer varies near its best looks less important than it is."
    )


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
