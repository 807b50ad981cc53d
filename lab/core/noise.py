"""How much a measurement differs from itself, and what that says of a difference. Pure."""

from __future__ import annotations

import msgspec


class Noise(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The spread of repeats of the same code, pooled over everything that was measured more than once."""

    df: int = 0
    ss: float = 0.0  # sum of squared differences from each code's own mean
