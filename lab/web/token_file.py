"""The token in a file that only its owner can read: for a server whose terminal others see, or that has none.

A server holds a lock on its file as long as it lives, so that another one does not take the name over, and then, at its
end, remove what the first was reached by. Where a file system knows no locks, nothing is held, and the last one wins.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import BadInput, Busy
from lab.store import reading, sections
from lab.store.refusals import refused
from lab.web.sessions import TOKEN_PREFIX

if TYPE_CHECKING:
    from lab.store.root import Root

_MOST_BYTES = 256
_MODE = 0o600


class TokenFile(msgspec.Struct, frozen=True):
    """Where the token is, and the lock on it."""

    place: str
    lock: int


def keep(root: Root, path: str, token: str) -> TokenFile:
    """Write it. The token of a server that has ended is written over; that of one that lives is not."""
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
    data = f"{token}\n".encode()
    try:
        earlier = sections.own(place)
        try:
            if earlier < 0:
                root.files.create(place, data, mode=_MODE)
            else:
                root.files.replace(place, data, mode=_MODE)
            lock = sections.own(place)
        finally:
            _let_go(earlier)
    except (Busy, FileExistsError):
        raise _taken(place) from None
    except OSError as error:
        raise refused(error) from None
    if reading.read_head(place, _MOST_BYTES) != data:
        _let_go(lock)
        raise _taken(place)
    return TokenFile(place, lock)


def drop(root: Root, kept: TokenFile, token: str) -> None:
    """Remove it: a token of no server is good for nothing. Not one that somebody else has put there."""
    with suppress(OSError):
        if _is_token(kept.place) and reading.read_head(kept.place, _MOST_BYTES) == f"{token}\n".encode():
            root.files.discard(kept.place)
    _let_go(kept.lock)


def _let_go(descriptor: int) -> None:
    if descriptor >= 0:
        os.close(descriptor)


def _taken(place: str) -> Busy:
    return Busy("another labctl serve is running, and its token is there", where=place, fix="name another file")


def _is_token(place: str) -> bool:
    """Whether a plain file there, no link, holds what a server wrote."""
    found = reading.read_head(place, _MOST_BYTES) if not os.path.islink(place) and reading.is_file(place) else None
    return found is not None and found.startswith(TOKEN_PREFIX.encode()) and found.count(b"\n") <= 1
