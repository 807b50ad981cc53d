"""JSON lines as agents print them. Read leniently: a new release adds events, and a killed one cuts its last line."""

from __future__ import annotations

import msgspec

Event = dict[str, object]


class Events(msgspec.Struct, frozen=True, kw_only=True):
    """The objects among the lines. `torn` when the last line began one and did not end it."""

    found: tuple[Event, ...] = ()
    torn: bool = False


def read(data: bytes) -> Events:
    """Every line that is an object. What else is printed between them (a banner, a warning) is passed over."""
    found: list[Event] = []
    torn = False
    for line in data.splitlines():
        bare = line.strip()
        if not bare.startswith(b"{"):
            torn = torn and not bare
            continue
        event = object_in(bare)
        torn = event is None
        if event is not None:
            found.append(event)
    return Events(found=tuple(found), torn=torn)


def object_in(data: bytes) -> Event | None:
    """The object that these bytes are, or None."""
    try:
        return msgspec.json.decode(data, type=Event)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def inner(event: Event, key: str) -> Event:
    """An object inside; an empty one where there is none."""
    found = event.get(key)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def word(event: Event, key: str) -> str:
    """A text, or an empty one for anything else."""
    found = event.get(key)
    return found if isinstance(found, str) else ""


def count(event: Event, *keys: str) -> int | None:
    """The sum of some counts; None where not one of them is there, which is not 0."""
    found = [event[key] for key in keys if key in event]
    known = [each for each in found if isinstance(each, int) and not isinstance(each, bool) and each >= 0]
    return sum(known) if known else None


def money(event: Event, key: str) -> float | None:
    """A sum of money; None where none is told."""
    found = event.get(key)
    if isinstance(found, bool) or not isinstance(found, int | float):
        return None
    return float(found) if 0 <= found < 1e9 else None  # noqa: PLR2004  # inf and nan are no sums either
