"""Engines that could not be asked: said once when it begins, and once when it is over, whichever process looks.

An engine may list its jobs and take none: a silence that only a submission has met is not ended by a listing.

A small file for each while it lasts. Losing it costs a sentence that is said twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse
from lab.store import reading, strays

if TYPE_CHECKING:
    from lab.store.root import Root


class Silence(Record, frozen=True, kw_only=True):
    """Since when, and what was said of it then."""

    at: str
    what: str
    lists: bool = False  # its jobs were listed: only what was asked of it for one job met silence


def begin(root: Root, engine: str, address: str, what: str, *, lists: bool = False) -> bool:
    """Note that an engine cannot be asked. False where that was noted before, so that people know it."""
    path, made = _file(root, engine, address), encode(Silence(at=root.now(), what=what, lists=lists))
    try:
        root.files.create(path, made, durable=False)
    except FileExistsError:
        if not lists and _lists(path):  # it is silent in everything now
            with suppress(OSError):
                root.files.replace(path, made, durable=False)
        return False
    except OSError:  # a disk that refuses it costs a sentence
        return True
    return True


def ended(root: Root, engine: str, address: str, *, lists: bool = False) -> bool:
    """An engine has answered: whether that is news. `lists`: it took a job, and to list them is another matter."""
    path = _file(root, engine, address)
    if not os.path.lexists(path) or _lists(path) is not lists:
        return False
    with suppress(OSError):
        root.files.discard(path)
    return True


def _lists(path: str) -> bool:
    """Whether the engine listed its jobs when it fell silent; False where that cannot be read."""
    try:
        return parse(Silence, reading.read(path) or b"", path).lists
    except Corrupt:
        return False


def _file(root: Root, engine: str, address: str) -> str:
    return root.layout.silence(strays.called(engine, address))
