"""A value as YAML has it on one line, the same for the same value. Pure."""

from __future__ import annotations

import json
import re

# What JSON lets stand in a text, and YAML takes for a line end or for nothing.
_ESCAPED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def line(value: object) -> str:
    """JSON is YAML, but for a few signs. Raises ValueError for NaN and infinity."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    return _ESCAPED.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
