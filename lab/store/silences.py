"""Engines that could not be asked: said once when it begins, and once when it is over, whichever process looks.

A small file for each while it lasts. Losing it costs a sentence that is said twice.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.record import Record, encode
from lab.store import strays

if TYPE_CHECKING:
    from lab.store.root import Root


class Silence(Record, frozen=True, kw_only=True):
    """Since when, and what was said of it then."""

    at: str
    what: str


def begin(root: Root, engine: str, address: str, what: str) -> bool:
    """Note that an engine cannot be asked. False where that was noted before, so that people know it."""
    try:
        root.files.create(_file(root, engine, address), encode(Silence(at=root.now(), what=what)), durable=False)
    except FileExistsError:
        return False
    except OSError:  # a disk that refuses it costs a sentence
        return True
    return True


def ended(root: Root, engine: str, address: str) -> bool:
    """An engine has answered: whether that is news."""
    path = _file(root, engine, address)
    if not os.path.lexists(path):
        return False
    with suppress(OSError):
        root.files.discard(path)
    return True


def _file(root: Root, engine: str, address: str) -> str:
    return root.layout.silence(strays.called(engine, address))
