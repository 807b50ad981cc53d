"""JSON as its standard has it: Python's own reader also takes NaN and Infinity, which nobody else could read back."""

from __future__ import annotations

import json


def parse(text: str) -> object:
    """The value. ValueError for what is no JSON, RecursionError for what nests too deeply."""
    return json.loads(text, parse_constant=_refuse)


def _refuse(name: str) -> object:
    message = f"{name} is no JSON"
    raise ValueError(message)
