"""JSON that services and agents wrote, read leniently: what is missing or of another type is none. Pure.

One set of bounds for all of them: a cost of 1e300 dollars would end the budget of an experiment for good, and a count
that no file of ours can hold would end the run that it is told of.
"""

from __future__ import annotations

import msgspec

from lab.core import json_text

_MOST_TOKENS = 10**12
_MOST_USD = 1e9


def object_in(data: bytes) -> dict[str, object] | None:
    """The object that these bytes are, or None."""
    try:
        value = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def field(value: object, *path: str | int) -> object:
    """What lies at a path of names and positions; None where anything on the way is missing or of another type."""
    for step in path:
        if isinstance(step, str) and isinstance(value, dict):
            value = value.get(step)
        elif isinstance(step, int) and isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return None
    return value


def word(value: object) -> str:
    """A text, or an empty one for anything else."""
    return value if isinstance(value, str) else ""


def number(value: object) -> float | None:
    """A plain number, or None. Some gateways write it as text."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    return json_text.finite(value)


def count(value: object) -> int | None:
    """A number of tokens, or None for what is none."""
    found = number(value)
    return int(found) if found is not None and 0 <= found <= _MOST_TOKENS and found == int(found) else None


def money(value: object) -> float | None:
    """A sum of money, or None for what is none: then what was set aside stays spent."""
    found = number(value)
    return found if found is not None and 0 <= found < _MOST_USD else None
