"""How much a measurement differs from itself, and what that says of a difference. Pure.

The tails of Student's t and of F are written out here: the libraries that have them take a second to load.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MEMORY = 60  # degrees of freedom that are remembered: the noise of last week must not outvote today's
NOISIER = 0.4  # a test whose own spread would be this rare under the known noise is judged by its own
ENOUGH = 4  # degrees of freedom of repeats; with fewer, what a model says counts for those that lack
UNLIKE = 0.1  # the same of an interval: at 0.4 those of equally noisy runs are half as wide again as they need to be
_MOST, _LEAST = 1e300, 5e-324  # an infinite sum could not be written down, and one of 0 would say "no noise"
_STEPS, _CLOSE, _TINY = 400, 1e-15, 1e-300
_FARTHEST = 1e12
_ASIDE = (1 - math.erf(math.sqrt(0.5))) / 2  # beyond one standard deviation, on one side


class Noise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The spread of repeats of the same code, pooled over everything that was measured more than once."""

    df: int = 0
    ss: float = 0.0  # sum of squared differences from each code's own mean

    @property
    def sigma(self) -> float | None:
        """The standard deviation of one measurement; None where nothing was measured twice."""
        return math.sqrt(self.ss / self.df) if self.df else None

    @property
    def none(self) -> bool:
        """Whether every repeat was equal to the last digit."""
        return self.df > 0 and self.ss == 0


def mean(values: Sequence[float]) -> float:
    """The mean; that of equal values is exactly that value."""
    if all(value == values[0] for value in values):
        return values[0]
    return math.fsum(value / len(values) for value in values)


def pooled(noise: Noise, values: Sequence[float]) -> Noise:
    """The noise after these repeats of one code too. Fewer than two say nothing."""
    return joined(noise, _alone(values)) if len(values) > 1 else noise


def repeated(groups: Iterable[Sequence[float]]) -> Noise:
    """The noise by the repeats of each of these, whenever they were measured.

    Nothing is forgotten, as it is of a loop whose machine may drift: of a search the order would else say how noisy it
    is, and a quiet end would narrow what is known of all of it.
    """
    each = [_alone(values) for values in groups if len(values) > 1]
    return Noise(df=sum(one.df for one in each), ss=min(math.fsum(one.ss for one in each), _MOST))


def filled(known: Noise, modelled: float | None) -> Noise:
    """The noise by repeats, with what a model makes of it in the place of the degrees of freedom that they lack.

    Two runs of the same may differ by a thousandth of what they usually do. Where repeats were equal to the last digit
    there is none, whatever a model makes of a function that is rough.
    """
    if modelled is None or known.none or known.df >= ENOUGH:
        return known
    variance = max(min(modelled * modelled, _MOST), _LEAST) if modelled else 0.0
    return Noise(df=ENOUGH, ss=min(known.ss + variance * (ENOUGH - known.df), _MOST))


def _alone(values: Sequence[float]) -> Noise:
    """What two or more repeats say by themselves."""
    middle = mean(values)
    ss = 0.0
    if any(value != middle for value in values):
        ss = max(math.fsum(min((value - middle) * (value - middle), _MOST) for value in values), _LEAST)
    return Noise(df=len(values) - 1, ss=min(ss, _MOST))


def spread(noise: Noise, mine: Sequence[float], theirs: Sequence[float]) -> Noise:
    """The noise to judge these two by: the known and their own together.

    Their own alone where it is clearly larger: a change may make the measurement itself noisier, and by the old noise
    its luck would pass for a gain.
    """
    alone = pooled(Noise(), mine)
    own = pooled(alone, theirs)
    if any(_wider(each, noise) for each in (alone, own)):
        return apart(mine, theirs)
    return joined(noise, own)


def between(known: Noise, mine: Sequence[float], theirs: Sequence[float]) -> Noise:
    """As `spread`, where their repeats are a part of what is known already: counted twice they would look surer."""
    alone, other = pooled(Noise(), mine), pooled(Noise(), theirs)
    own = joined(alone, other)
    if any(_wider(each, known, UNLIKE) for each in (alone, other, own)):
        return apart(mine, theirs)
    return known if known.df else own


def apart(mine: Sequence[float], theirs: Sequence[float]) -> Noise:
    """The noise of two that need not measure equally noisily, as Welch and Satterthwaite count it.

    Were all degrees of freedom counted, a change that measures ten times as noisily would pass for sure of itself.
    """
    one, other = pooled(Noise(), mine), pooled(Noise(), theirs)
    parts = [(each.ss / each.df / (each.df + 1), each.df) for each in (one, other) if each.df]
    largest = max((part for part, _ in parts), default=0.0)
    if largest == 0 or not math.isfinite(largest):
        return joined(one, other)
    shares = [(part / largest, df) for part, df in parts]  # their squares may be more than can be written down
    total = math.fsum(share for share, _ in shares)
    df = max(int(total * total / math.fsum(share * share / df for share, df in shares)), 1)
    variance = total * largest / (1 / len(mine) + 1 / len(theirs))
    return Noise(df=df, ss=max(min(variance * df, _MOST), _LEAST))


def _wider(one: Noise, known: Noise, rare: float = NOISIER) -> bool:
    """Whether this spread is clearly larger than the known."""
    if not one.df or not known.df or one.ss == 0:
        return False
    variance = known.ss / known.df  # of the smallest number there is, a part is 0
    ratio = math.inf if variance == 0 else (one.ss / one.df) / variance
    return f_tail(ratio, one.df, known.df) < rare


def gain(mine: Sequence[float], theirs: Sequence[float], *, minimize: bool) -> float:
    """By how much mine are better."""
    return (mean(theirs) - mean(mine)) if minimize else (mean(mine) - mean(theirs))


def p_of(gain: float, noise: Noise, mine: int, theirs: int) -> float:
    """How often two that are the same would differ by this gain, or by more, in the means of so many measurements.

    1 where nothing is known of the noise.
    """
    if noise.sigma is None:
        return 1.0
    error = noise.sigma * math.sqrt(1 / mine + 1 / theirs)
    if error == 0:
        return 0.0 if gain > 0 else 1.0
    return t_tail(gain / error, noise.df)


def margin(noise: Noise, mine: int, theirs: int, *, sure: float = 0.95) -> float | None:
    """How far the difference of two means, of so many measurements each, may be from the true one on either side.

    None where nothing is known of the noise; 0 where there is none. It holds for two that were not chosen for their
    numbers: the best of many was lucky as well.
    """
    if noise.sigma is None:
        return None
    if noise.sigma == 0:
        return 0.0
    return t_beyond((1 - sure) / 2, noise.df) * noise.sigma * math.sqrt(1 / mine + 1 / theirs)


def about(noise: Noise, count: int) -> float:
    """How far a mean of so many measurements is from the true one, at most, 68 times in 100: with few repeats, wide."""
    if not noise.sigma:
        return 0.0
    return t_beyond(_ASIDE, noise.df) * noise.sigma / math.sqrt(count)


def t_beyond(tail: float, df: float) -> float:
    """What Student's t exceeds with this chance, which is below one half."""
    low, high = 0.0, 1.0
    while t_tail(high, df) > tail and high < _FARTHEST:
        low, high = high, high * 2
    while True:  # halved until the two are neighbours
        middle = (low + high) / 2
        if middle in (low, high):
            return high
        if t_tail(middle, df) > tail:
            low = middle
        else:
            high = middle


def t_tail(t: float, df: float) -> float:
    """The chance that Student's t exceeds this."""
    if math.isinf(t):
        return 0.0 if t > 0 else 1.0
    tail = 0.5 * beta_share(df / (df + t * t), df / 2, 0.5)
    return tail if t >= 0 else 1 - tail


def f_tail(ratio: float, above: float, below: float) -> float:
    """The chance that the ratio of two variances of the same noise exceeds this."""
    if math.isinf(ratio):
        return 0.0
    return beta_share(below / (below + above * ratio), below / 2, above / 2)


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction."""
    if x <= 0 or x >= 1:
        return 0.0 if x <= 0 else 1.0
    if x > (a + 1) / (a + b + 2):  # there the fraction converges slowly
        return 1 - beta_share(1 - x, b, a)
    front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(front) * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    """Lentz's way of adding up a continued fraction from its front."""
    upper, lower = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    total = lower
    for m in range(1, _STEPS):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        for step in (even, odd):
            lower = 1 / _away(1 + step * lower)
            upper = _away(1 + step / upper)
            total *= lower * upper
        if abs(lower * upper - 1) < _CLOSE:
            break
    return total


def _away(number: float) -> float:
    """The number, kept away from 0."""
    return number if abs(number) > _TINY else _TINY


def joined(one: Noise, other: Noise) -> Noise:
    """Both together; of more than is remembered, in the same proportion."""
    df, ss = one.df + other.df, min(one.ss + other.ss, _MOST)
    return Noise(df=df, ss=ss) if df <= MEMORY else Noise(df=MEMORY, ss=max(ss * MEMORY / df, min(ss, _LEAST)))
