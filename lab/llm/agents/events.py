"""JSON lines as agents print them. Read leniently: a new release adds events, and a killed one cuts its last line."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.llm import foreign

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        event = foreign.object_in(bare)
        torn = event is None
        if event is not None:
            found.append(event)
    return Events(found=tuple(found), torn=torn)


def inner(event: Event, key: str) -> Event:
    """An object inside; an empty one where there is none."""
    found = event.get(key)
    return {str(name): value for name, value in found.items()} if isinstance(found, dict) else {}


def word(event: Event, key: str) -> str:
    """A text, or an empty one for anything else."""
    return foreign.word(event.get(key))


def count(event: Event, *keys: str) -> int | None:
    """The sum of some counts; None where not one of them is there, which is not 0."""
    return total(foreign.count(event.get(key)) for key in keys)


def total(counts: Iterable[int | None]) -> int | None:
    """The sum of those that are known; None where not one of them is."""
    known = [each for each in counts if each is not None]
    return sum(known) if known else None


def money(event: Event, key: str) -> float | None:
    """A sum of money; None where none is told."""
    return foreign.money(event.get(key))
