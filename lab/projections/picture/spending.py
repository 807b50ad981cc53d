"""What an experiment took, and what each improvement cost: hours, tokens and money."""

from __future__ import annotations

import msgspec


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
    within: bool = False


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
