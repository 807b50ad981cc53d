"""What in sealed files names a machine, a person or a folder of this lab: it leaves as it is, and is told first.

It cannot be taken out, because the digests of the seals are over it. Other files are not looked through for names.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.research.paper import evidence

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_FOLDER = re.compile(rb"(?<![\w.:/\\-])/(?:[\w.@+~-]+/)+[\w.@+~-]+")
_WORDS = ("worker", "actor", "host", "user")
_MOST = 20


def names(files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Names of machines and people that the seals have, and folders that any of the evidence has: each once."""
    found: dict[str, None] = {}
    for path, data in files.items():
        if path.partition("/")[0] != evidence.FOLDER:
            continue
        if path.endswith(f"/{layout.SEAL}"):
            found |= dict.fromkeys(_named(_value(data)))
        found |= dict.fromkeys(each.decode(errors="replace") for each in _FOLDER.findall(data))
    return tuple(found)


def told(found: tuple[str, ...]) -> str:
    """In a sentence, for a list."""
    more = f", and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return ", ".join(found[:_MOST]) + more


def _value(data: bytes) -> object:
    try:
        return msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _named(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            if key in _WORDS and isinstance(each, str) and each:
                yield each
            yield from _named(each)
    elif isinstance(value, list):
        for each in value:
            yield from _named(each)
