"""Values from outside as JSON that every reader takes: no NaN, no lone surrogates, nothing too deep or too long."""

from __future__ import annotations

import math

import msgspec

MAX_DEPTH = 32
_TOO_DEEP = "…"
# What msgspec says to a lone surrogate, an integer of 30 digits, a cycle, and a value or key JSON has no word for.
_UNWRITABLE = (UnicodeEncodeError, OverflowError, RecursionError, TypeError, ValueError)


def encode(value: object) -> bytes:
    """The compact JSON of a value. What JSON cannot say becomes text or null; nothing is refused."""
    try:
        return msgspec.json.encode(value)
    except _UNWRITABLE:
        return msgspec.json.encode(clean(value))


def clean(value: object, depth: int = MAX_DEPTH) -> object:
    """The same value, made of what JSON can say."""
    match value:
        case None | bool():
            return value
        case str():
            return value.encode(errors="replace").decode()
        case int():
            # Beyond 53 bits half of the readers round, beyond 64 many refuse; the digits stay as text.
            return value if -(2**63) <= value < 2**63 else _digits(value)
        case float():
            return value if math.isfinite(value) else None
        case dict():
            if depth == 0:
                return _TOO_DEEP
            return {str(key).encode(errors="replace").decode(): clean(each, depth - 1) for key, each in value.items()}
        case list() | tuple():
            return [clean(each, depth - 1) for each in value] if depth else _TOO_DEEP
        case _:
            return type(value).__name__


def _digits(value: int) -> str:
    return str(value) if value.bit_length() < 10_000 else f"an integer of {value.bit_length()} bits"  # noqa: PLR2004  # Python refuses to write out longer ones
