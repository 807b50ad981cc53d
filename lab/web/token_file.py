"""The token in a file that only its owner can read: for a server whose terminal others see, or that has none."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.store import reading
from lab.store.files import refused
from lab.web.sessions import TOKEN_PREFIX

if TYPE_CHECKING:
    from lab.store.root import Root

_MOST_BYTES = 256
_MODE = 0o600


def keep(root: Root, path: str, token: str) -> str:
    """Write it, and return where. The token of an earlier server is written over; anything else is refused."""
    place = os.path.abspath(os.path.expanduser(path))
    folder = os.path.realpath(os.path.dirname(place))
    lab = os.path.realpath(root.layout.root)
    if folder == lab or folder.startswith(f"{lab}/"):
        what = "a token does not belong into a lab, which is copied and shared as a whole"
        raise BadInput(what, where=place, fix="name a file outside: --token-file ~/.labctl-token")
    if not os.path.isdir(folder):
        raise BadInput("there is no such folder", where=folder, fix=f"mkdir {folder}")
    if os.path.lexists(place) and not _is_token(place):
        raise BadInput("this is there already, and is no token of labctl", where=place, fix="name another file")
    try:
        root.files.replace(place, f"{token}\n".encode(), mode=_MODE)
    except OSError as error:
        raise refused(error) from None
    return place


def drop(root: Root, place: str, token: str) -> None:
    """Remove it: a token of no server is good for nothing. Not one that a later server has put there."""
    with suppress(OSError):
        if _is_token(place) and reading.read_head(place, _MOST_BYTES) == f"{token}\n".encode():
            root.files.discard(place)


def _is_token(place: str) -> bool:
    """Whether a plain file there, no link, holds what a server wrote."""
    found = reading.read_head(place, _MOST_BYTES) if not os.path.islink(place) and reading.is_file(place) else None
    return found is not None and found.startswith(TOKEN_PREFIX.encode()) and found.count(b"\n") <= 1
