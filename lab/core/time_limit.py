"""A time limit as batch systems write it: `90` (minutes), `30:00`, `2:00:00`, `1-0`, `1-12:30`, or UNLIMITED."""

from __future__ import annotations

import math
import re

_FORM = re.compile(
    r"(?P<days>[0-9]{1,4})-(?P<hours>[0-9]{1,2})(:(?P<minutes>[0-9]{1,2}))?(:(?P<seconds>[0-9]{1,2}))?"
    r"|(?P<first>[0-9]{1,6})(:(?P<second>[0-9]{1,2}))?(:(?P<third>[0-9]{1,2}))?"
)
_NONE = ("UNLIMITED", "INFINITE")


def seconds(text: str) -> float | None:
    """How long it is; infinite for no limit, and None for what is none."""
    if text.upper() in _NONE:
        return math.inf
    found = _FORM.fullmatch(text)
    if found is None:
        return None
    told = {name: int(value) for name, value in found.groupdict().items() if value is not None}
    if "days" in told:
        hours, mins, secs = told["hours"], told.get("minutes", 0), told.get("seconds", 0)
    elif "third" in told:
        hours, mins, secs = told["first"], told["second"], told["third"]
    else:  # minutes, and perhaps seconds
        hours, mins, secs = 0, told["first"], told.get("second", 0)
    return ((told.get("days", 0) * 24 + hours) * 60 + mins) * 60.0 + secs
