"""Whether a change is kept: what is measured next, and what the measurements say. Pure.

The lab and the simulation ask the same functions, after each measurement, until the answer is a verdict. Why it is
decided so: docs/decisions/0030-keeping-what-is-real.md.
"""

from __future__ import annotations

import math
from statistics import median
from typing import TYPE_CHECKING

import msgspec

from lab.core.candidate import DISCARD, KEEP
from lab.core.noise import Noise, gain, mean, p_of, pooled, spread
from lab.core.run import MINIMIZE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.loop import Loop
    from lab.core.spec_fields import Spec

IMPROVE, SIMPLER, CONFIRMED = "improve", "improve-or-simpler", "confirmed"
RULES = (IMPROVE, SIMPLER, CONFIRMED)

PROMISING = 0.1  # in sigmas, by one measurement: less is not worth a test, and half of what does nothing looks better
STRIDE = 2  # pairs between two looks: an even number, so that neither of the two goes first more often
SHARE = 10  # a test takes about one part in (this + the tests before it) of the alpha that is left
STEEP, LEAST, LARGEST = 1.5, 0.05, 6.0  # how much larger the part is, for how good the candidate looked
LATE = 4  # a look after n pairs has n to this power of a test's alpha: early looks are cheap, and find what is large
PATIENCE = 1.9  # a test goes on while it would succeed if the rest turned out this many standard errors better
WORSE = 0.5  # in sigmas: what a simpler candidate may lose to the best confirmed
SURE = 1.645  # standard errors by which it must be above that
STALE, STALE_EXACT = 5, 20  # candidates, after which the incumbent is measured again though nothing looked better
_LIKELY, _MARGINAL, _FEWEST = 2.0, 1.0, 3


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the SPEC says of keeping. It has the defaults; there are none here, or one day they would differ."""

    minimize: bool
    min_effect: float
    alpha: float
    max_pairs: int
    repeats: int
    rule: str  # blank finds out from the baseline whether the measurement is noisy
    parallel: int  # candidates that may be under way at once, none of which knows what the others take


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """The measurements of one candidate so far."""

    values: tuple[float, ...] = ()  # its own, in order: the first one selects it, the rest are of pairs
    against: tuple[float, ...] = ()  # the incumbent's, one of each pair
    lines: int = 0  # by how many the code grew


class Again(msgspec.Struct, frozen=True, kw_only=True):
    """Measure again: `pairs` times incumbent and candidate in turns; 0 is the candidate alone, once."""

    pairs: int = 0


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a candidate. `p` and `alpha` are those of its test; it was confirmed where p <= alpha."""

    verdict: str  # keep or discard
    why: str
    rule: str  # which rule decided: improve-or-simpler where it was kept for being simpler
    gain: float | None = None  # above 0 is better
    p: float | None = None  # paid for: the looks before the last are in it
    alpha: float = 0.0


class _Test(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison by pairs, as far as it has got."""

    mine: tuple[float, ...]
    theirs: tuple[float, ...]
    noise: Noise  # what the two are judged by
    gain: float
    alpha: float  # 0 where it is no test of a gain
    last: int  # the pairs after which it ends

    @property
    def error(self) -> float:
        return (self.noise.sigma or 0.0) * math.sqrt(1 / len(self.mine) + 1 / len(self.theirs))


def terms(spec: Spec) -> Terms:
    """What this SPEC says of keeping. An `acceptance_rule` in other words decides nothing."""
    return Terms(
        minimize=spec.metric_direction == MINIMIZE,
        min_effect=spec.min_effect,
        alpha=spec.session_alpha,
        max_pairs=spec.confirm_pairs,
        repeats=spec.baseline_repeats,
        rule=spec.acceptance_rule if spec.acceptance_rule in RULES else "",
        parallel=spec.max_parallel,
    )


def rule_of(terms: Terms, noise: Noise) -> str:
    """The rule that holds. Where nothing was measured twice, nobody knows that it is not noisy."""
    if terms.rule == SIMPLER and not noise.none:
        return CONFIRMED  # with noise, "improves" means nothing before it is confirmed
    return terms.rule or (IMPROVE if noise.none else CONFIRMED)


def baseline(terms: Terms, values: Sequence[float]) -> Again | Verdict:
    """What follows after these measurements of the unchanged code."""
    if len(values) < terms.repeats:
        return Again()
    noise = pooled(Noise(), values)
    if noise.sigma is None:
        why = "the baseline; measured once, so its noise is not known"
    elif noise.none:
        why = f"the baseline; {len(values)} measurements, equal to the last digit"
    else:
        why = f"the baseline; {len(values)} measurements, sigma {noise.sigma:.3g}"
    return Verdict(verdict=KEEP, why=why, rule=rule_of(terms, noise))


def judge(terms: Terms, loop: Loop, measured: Measured) -> Again | Verdict:
    """What follows after these measurements of a candidate. The loop is as it was before the candidate."""
    if not measured.values:
        return Again()
    if loop.best is None or loop.best.value is None:
        return Verdict(verdict=DISCARD, why="there is no baseline to beat", rule=rule_of(terms, loop.noise))
    noise, doubt = _noise(loop, loop.best.value, measured)
    rule = rule_of(terms, noise)
    stale = terms.rule != IMPROVE and loop.unseen >= (STALE_EXACT if noise.none else STALE)
    if stale and not measured.against:
        return Again(pairs=1)
    level = loop.best.value if loop.level is None else loop.level
    first = gain(measured.values[:1], measured.against[:1] if stale else (level,), minimize=terms.minimize)
    if rule in (IMPROVE, SIMPLER):
        return _at_once(terms, loop, measured, first, rule)
    if doubt:  # what ended "no noise" selects, so none of it has a part in the test
        early = (loop.best.value, *measured.against[:doubt])
        first = gain(measured.values[: doubt + 1], early, minimize=terms.minimize)
    mine = measured.values[1 + doubt :]
    loop = msgspec.structs.replace(loop, noise=noise)
    return _by_pairs(terms, loop, measured.lines, first, mine, measured.against[max(doubt, int(stale)) :])


def value_of(measured: Measured) -> float | None:
    """What the candidate measures: the mean of its fresh measurements, where there are any besides the first.

    The one that selected it was chosen for being good, so it says too much. Kept or not: a table that mixes selected
    and fresh values would be read as a trend.
    """
    fresh = measured.values[1:] if measured.against else measured.values
    return mean(fresh) if fresh else None


def confidence(best: float | None, first: float | None, values: Sequence[float]) -> float | None:
    """The peers' number: abs(best - first) / MAD of the session's values; None below 3 values or without spread."""
    if best is None or first is None or len(values) < _FEWEST:
        return None
    middle = median(values)
    mad = median(abs(value - middle) for value in values)
    found = abs(best - first) / mad if mad > 0 else math.inf
    return found if math.isfinite(found) else None


def confidence_words(confidence: float | None) -> str:
    """`likely real`, `marginal` or `noise`, as the peers say it; blank where there is no number."""
    if confidence is None:
        return ""
    return "likely real" if confidence >= _LIKELY else "marginal" if confidence >= _MARGINAL else "noise"


def _noise(loop: Loop, best: float, measured: Measured) -> tuple[Noise, int]:
    """What was known before; and no longer "none" once a code differs from itself, and after how many pairs it did.

    Only the first pairs are asked: the later ones are of a test, and it must not change its terms on its way.
    """
    if loop.noise.none:
        for pairs in range(1, min(len(measured.against), STRIDE) + 1):
            known = pooled(loop.noise, (best, *measured.against[:pairs]))
            known = pooled(known, measured.values[: pairs + 1])
            if not known.none:
                return known, pairs
    return loop.noise, 0


def _at_once(terms: Terms, loop: Loop, measured: Measured, first: float, rule: str) -> Again | Verdict:
    """Without noise a difference is a difference. That there is none is proved before anything is kept for it.

    Counts, shares and whole milliseconds often agree three times and differ at the fourth: what is kept then is luck.
    """
    kept = None
    if first > terms.min_effect:
        kept = Verdict(verdict=KEEP, why="it is better", rule=IMPROVE, gain=first)
    elif terms.rule != IMPROVE and measured.lines < 0 and loop.peak is not None:  # noqa: SIM102  two thoughts
        if gain(measured.values[:1], (loop.peak,), minimize=terms.minimize) >= 0:
            kept = Verdict(verdict=KEEP, why="as good, with fewer lines", rule=SIMPLER, gain=first)
    if kept is None:
        return Verdict(verdict=DISCARD, why=_no_gain(terms, first), rule=rule, gain=first)
    proof = 0 if terms.rule == IMPROVE else STRIDE - len(measured.against)
    return Again(pairs=proof) if proof > 0 else kept


def _by_pairs(
    terms: Terms, loop: Loop, lines: int, first: float, mine: tuple[float, ...], theirs: tuple[float, ...]
) -> Again | Verdict:
    sigma = loop.noise.sigma or 0.0
    promising = first > max(PROMISING * sigma, terms.min_effect - 2 * sigma)
    lighter = lines < 0 and first >= -max(sigma, terms.min_effect)
    alpha = _stake(terms, loop, first, sigma) if promising else 0.0
    if not (promising or lighter):
        return Verdict(verdict=DISCARD, why="it looked no better, measured once", rule=CONFIRMED, gain=first)
    if not theirs:
        return Again(pairs=min(STRIDE, terms.max_pairs))
    test = _Test(
        mine=mine,
        theirs=theirs,
        noise=spread(loop.noise, mine, theirs),
        gain=gain(mine, theirs, minimize=terms.minimize),
        alpha=alpha,
        last=terms.max_pairs,
    )
    return _look(terms, loop, test, lighter=lighter)


def _stake(terms: Terms, loop: Loop, first: float, sigma: float) -> float:
    """What a test may take of the alpha that is left: more, the better the candidate looked when it was selected.

    That measurement has no part in the test, so it may say how much is staked on it. Whatever the stakes are, what is
    taken from the rest can never add up to more than there was.
    """
    left = max(terms.alpha - loop.alpha, 0.0)
    looked = first / sigma if sigma else 1.0
    weight = min(max(STEEP * looked * looked, LEAST), LARGEST)
    return left * min(weight / (SHARE + loop.tests), 1 / terms.parallel)


def _look(terms: Terms, loop: Loop, test: _Test, *, lighter: bool) -> Again | Verdict:
    """One look at a comparison: it is decided, or hopeless, or goes on."""
    pairs = len(test.theirs)
    p = _paid(test, pairs, test.gain, test.noise) if test.alpha else None
    if p is not None and p <= test.alpha and test.gain > terms.min_effect:
        return _told(test, p, KEEP, f"better in {pairs} fresh pairs", CONFIRMED)
    over = pairs >= test.last
    if not over and _may_yet(terms, test):
        return Again(pairs=min(STRIDE, test.last - pairs))
    if lighter and _as_good(terms, loop, test, -SURE):
        return _told(test, p, KEEP, f"as good as the best in {pairs} fresh pairs, with fewer lines", SIMPLER)
    if not over and lighter and _as_good(terms, loop, test, PATIENCE):
        return Again(pairs=min(STRIDE, test.last - pairs))
    return _told(test, p, DISCARD, f"{_no_gain(terms, test.gain)} after {pairs} fresh pairs", CONFIRMED)


def _told(test: _Test, p: float | None, verdict: str, why: str, rule: str) -> Verdict:
    return Verdict(verdict=verdict, why=why, rule=rule, gain=test.gain, p=p, alpha=test.alpha)


def _paid(test: _Test, pairs: int, found: float, noise: Noise) -> float:
    """The p of a look, with what the other looks cost: their shares of the test's alpha add up to one."""
    looks = [*range(STRIDE, test.last, STRIDE), test.last]
    share = float(pairs) ** LATE / math.fsum(float(look) ** LATE for look in looks)
    return min(p_of(found, noise, len(test.mine) - len(test.theirs) + pairs, pairs) / share, 1.0)


def _may_yet(terms: Terms, test: _Test) -> bool:
    """Whether the test would succeed if what is to come were better by `PATIENCE` of its standard errors."""
    left = 1 / len(test.theirs) - 1 / test.last
    hoped = test.gain + PATIENCE * (test.noise.sigma or 0.0) * math.sqrt(2 * left)
    df = test.noise.df + 2 * (test.last - len(test.theirs))
    then = Noise(df=df, ss=(test.noise.sigma or 0.0) ** 2.0 * df)
    return hoped > terms.min_effect and test.alpha > 0 and _paid(test, test.last, hoped, then) <= test.alpha


def _as_good(terms: Terms, loop: Loop, test: _Test, errors: float) -> bool:
    """Whether it is no more than half a sigma below the best confirmed, give or take so many standard errors.

    Held against the peak and not against the incumbent: else a hundred changes, each a little worse than the one before
    and simpler, would walk downhill. And held against it in two ways. By what the incumbent lacks to the peak: that
    knows nothing of drift, but an incumbent that was kept by luck measured too well. And by its own measurements.
    """
    below = 0.0
    if loop.best is not None and loop.best.value is not None and loop.peak is not None:
        below = gain((loop.best.value,), (loop.peak,), minimize=terms.minimize)
    error = test.error if below == 0 else test.error * math.sqrt(2)
    sigma = test.noise.sigma or 0.0
    if loop.noise.sigma is not None:
        sigma = min(sigma, loop.noise.sigma)  # what made measuring noisier may not lose more for it
    margin = max(WORSE * sigma, terms.min_effect)
    if test.gain + below + errors * error < -margin:
        return False
    if loop.peak is None:
        return True
    error = (test.noise.sigma or 0.0) / math.sqrt(len(test.mine))
    return gain(test.mine, (loop.peak,), minimize=terms.minimize) + errors * error >= -margin


def _no_gain(terms: Terms, found: float) -> str:
    if found <= 0:
        return "it is no better"
    if found <= terms.min_effect:
        return "the gain is below min_effect"
    return "the gain is within the noise"
