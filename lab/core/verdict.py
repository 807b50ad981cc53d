"""Whether a change is kept: what is measured next, and what the measurements say. Pure.

The lab and the simulation ask the same functions, after each measurement, until the answer is a verdict.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.core.loop import Loop
    from lab.core.spec_fields import Spec

IMPROVE, SIMPLER, CONFIRMED = "improve", "improve-or-simpler", "confirmed"
RULES = (IMPROVE, SIMPLER, CONFIRMED)


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What the SPEC says of keeping."""

    minimize: bool
    min_effect: float = 0.0
    alpha: float = 0.05
    max_pairs: int = 8
    repeats: int = 3
    rule: str = ""  # blank finds out from the baseline whether the measurement is noisy


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


def terms(spec: Spec) -> Terms:
    """What this SPEC says of keeping. An `acceptance_rule` in other words decides nothing."""
    raise NotImplementedError


def baseline(terms: Terms, values: Sequence[float]) -> Again | Verdict:
    """What follows after these measurements of the unchanged code."""
    raise NotImplementedError


def judge(terms: Terms, loop: Loop, measured: Measured) -> Again | Verdict:
    """What follows after these measurements of a candidate. The loop is as it was before the candidate."""
    raise NotImplementedError


def value_of(measured: Measured, verdict: Verdict) -> float | None:
    """What the candidate measures: the mean of its fresh measurements, never the one that selected it, if it has any."""
    raise NotImplementedError


def confidence(best: float | None, first: float | None, values: Sequence[float]) -> float | None:
    """The peers' number: abs(best - first) / MAD of the session's values; None below 3 values or without spread."""
    raise NotImplementedError


def confidence_words(confidence: float | None) -> str:
    """`likely real`, `marginal` or `noise`, as the peers say it; blank where there is no number."""
    raise NotImplementedError
