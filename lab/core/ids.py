"""Names that become folders and files: each either cannot leave the root, or is refused.

Every validator returns the name it was given. None looks at the disk: whether a name is taken is for the store.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from lab.core.errors import BadInput

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RUN = re.compile(r"RUN-([0-9]{4})([0-9]{2})([0-9]{2})-([0-9]{2})([0-9]{2})([0-9]{2})-([0-9]{6})-(.+)", re.DOTALL)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_DEVICES = frozenset(
    ("con", "prn", "aux", "nul", *(f"com{n}" for n in range(10)), *(f"lpt{n}" for n in range(10))),
)
_FIX = "use letters, digits, '.', '_' and '-', starting with a letter or a digit, at most 64 in all"
_SHOWN_CHARS = 80


def experiment_id(value: object) -> str:
    """Return the id of an experiment; it names a folder under `experiments/`."""
    return name(value, "experiment id")


def role(value: object) -> str:
    """Return a worker's role; it is the last part of a run's folder."""
    return name(value, "role")


def tier(value: object) -> str:
    """Return the name of a fidelity tier."""
    return name(value, "tier")


def worker(value: object) -> str:
    """Return the name of a worker; it is the last part of a running package's folder."""
    return name(value, "worker name")


def run_id(value: object) -> str:
    """Return the id of a run: `RUN-YYYYMMDD-HHMMSS-ffffff-role`, at a moment that exists."""
    found = _RUN.fullmatch(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None:
        raise _refusal("run id", value, "it must look like RUN-20261121-093000-000000-scout")
    *moment, last = found.groups()
    year, month, day, hour, minute, second, micro = (int(part) for part in moment)
    try:
        datetime(year, month, day, hour, minute, second, micro, tzinfo=UTC)
    except ValueError:
        raise _refusal("run id", value, "its date or time does not exist") from None
    role(last)
    return value


def new_run_id(now: datetime, role_name: str) -> str:
    """Return the id of a run that starts at `now` (aware). Ids sort by time; two in one microsecond are the same."""
    if now.tzinfo is None:
        # A naive time would be read in the zone of this machine, and ids of two hosts would not sort.
        message = "new_run_id needs a time with its zone"
        raise ValueError(message)
    utc = now.astimezone(UTC)
    # Not strftime: it writes years below 1000 with fewer than four digits on some systems.
    day = f"{utc.year:04d}{utc.month:02d}{utc.day:02d}"
    clock = f"{utc.hour:02d}{utc.minute:02d}{utc.second:02d}"
    return f"RUN-{day}-{clock}-{utc.microsecond:06d}-{role(role_name)}"


def variable(value: object) -> str:
    """Return the name of an environment variable."""
    if not isinstance(value, str) or not _VARIABLE.fullmatch(value):
        raise _refusal("variable name", value, "use letters, digits and '_', not starting with a digit; no value")
    return value


def name(value: object, what: str) -> str:
    """Return a name that is safe as one part of a path on every system. `what` words the refusal."""
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise _refusal(what, value, _FIX)
    if ".." in value:
        raise _refusal(what, value, "leave out the '..'")
    if value.endswith("."):
        # Windows drops a last dot, so that `a.` and `a` would be the same folder there.
        raise _refusal(what, value, "leave out the last '.'")
    if value.partition(".")[0].lower() in _DEVICES:
        raise _refusal(what, value, "Windows keeps this name for a device; choose another")
    return value


def _refusal(what: str, value: object, fix: str) -> BadInput:
    if not isinstance(value, str):
        return BadInput(f"{what} must be text, not {type(value).__name__}", fix=fix)
    return BadInput(f"{what} {value[:_SHOWN_CHARS]!r} cannot be used", fix=fix)
