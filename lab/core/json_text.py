"""JSON as its standard has it: Python's own reader also takes NaN and Infinity, which nobody else could read back."""

from __future__ import annotations

import json
import math


def parse(text: str) -> object:
    """The value. ValueError for what is no JSON, RecursionError for what nests too deeply."""
    return json.loads(text, parse_constant=_refuse)


def finite(value: object) -> float | None:
    """A finite number; None for anything else, also for a whole number of 400 digits."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def _refuse(name: str) -> object:
    message = f"{name} is no JSON"
    raise ValueError(message)
