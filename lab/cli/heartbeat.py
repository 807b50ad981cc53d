"""When the schedule last ran, read with the standard library alone: `status` may load nothing more."""

from __future__ import annotations

import json
import time

from lab.core.layout import Layout

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Heartbeat(TypedDict):
        """The `heartbeat` of `labctl status --json`. `ago_s` is None when the schedule has never run."""

        by: str
        at: str
        ago_s: float | None
        ran: int
        exit: int
        every_s: float
        late: bool


_SLACK_S = 60.0
_MOST = 1e12
_FIX = "labctl schedule status"
_STEPS = ((86400.0 * 2, 86400.0, "days"), (3600.0 * 2, 3600.0, "h"), (90.0, 60.0, "min"), (0.0, 1.0, "s"))


def read(path: str) -> Heartbeat | None:
    """What is known of the schedule of this lab; None where there never was one."""
    layout = Layout(path)
    beat, scheduled = _load(layout.heartbeat), _load(layout.schedule)
    if not beat and not scheduled:
        return None
    every_s = _number(scheduled, "every_s") or _number(beat, "every_s")
    since_s = _number(beat, "at_s") or _number(scheduled, "installed_s")
    silent_s = max(0.0, time.time() - since_s)
    return {
        "by": _word(beat, "by") or _word(scheduled, "backend") or "the schedule",
        "at": _word(beat, "at"),
        "ago_s": round(silent_s, 1) if beat else None,
        "ran": int(_number(beat, "ran")),
        "exit": int(_number(beat, "exit")),
        "every_s": every_s,
        "late": bool(every_s) and silent_s > 2 * every_s + _SLACK_S,
    }


def line(beat: Heartbeat) -> str:
    """The same in words: `cron last ran 3 min ago`."""
    ago_s, every = beat["ago_s"], shown(beat["every_s"])
    said = f"{beat['by']} has not run yet" if ago_s is None else f"{beat['by']} last ran {shown(ago_s)} ago"
    return f"{said}, expected every {every}: {_FIX}" if beat["late"] else said


def shown(seconds: float) -> str:
    """A length of time, roughly."""
    _, unit_s, name = next(step for step in _STEPS if seconds >= step[0])
    return f"{round(seconds / unit_s)} {name}"


def _load(path: str) -> dict[str, object]:
    """An object, or an empty one for anything else: a crash or a person may have left anything there."""
    try:
        with open(path, "rb") as file:
            found = json.loads(file.read())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _number(record: dict[str, object], key: str) -> float:
    found = record.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return 0.0
    return float(found) if 0 <= found < _MOST else 0.0


def _word(record: dict[str, object], key: str) -> str:
    found = record.get(key)
    return found[:40] if isinstance(found, str) and found.isprintable() else ""
