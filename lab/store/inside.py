"""Files of a bundle, opened so that no name leads out of it.

A run owns its bundle and may put a link in place of anything, also between two looks. So a file is reached folder by
folder, each opened in the one before without following links, and what is read is what was opened. Writes nothing.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING

import msgspec

from lab.store import contents

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST_DEEP = 32
_FILE = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_FOLDER = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_DIRECTORY


class NotPlain(OSError):
    """A link, a pipe, a folder or a device where a file should be."""


class There(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Something that lies in the folder and is no folder itself. `is_plain`: a file that can be read."""

    name: str
    size: int
    is_plain: bool


def parts_of(name: str) -> tuple[str, ...]:
    """The folders and the file of a relative name; none for a name that is not one, or that goes upwards."""
    parts = tuple(name.split("/"))
    if "\0" in name or any(part in ("", ".", "..") for part in parts) or len(parts) > MOST_DEEP + 1:
        return ()
    return parts


def folder(above: str, name: str) -> int:
    """The descriptor of a folder in another one; neither may be a link. `OSError` where there is none."""
    start = os.open(above, _FOLDER)
    try:
        return os.open(name, _FOLDER, dir_fd=start)
    finally:
        os.close(start)


def opened(at: int, name: str) -> int:
    """The descriptor of a plain file below a folder. `FileNotFoundError`, `NotPlain` or another `OSError` otherwise."""
    parts = parts_of(name)
    if not parts:
        raise FileNotFoundError(name)
    *folders, last = parts
    here = at
    try:
        for part in folders:
            below = os.open(part, _FOLDER, dir_fd=here)
            if here != at:
                os.close(here)
            here = below
        if not stat.S_ISREG(os.stat(last, dir_fd=here, follow_symlinks=False).st_mode):
            raise NotPlain(name)  # before it is opened: opening a pipe or a device can wake whoever made it
        descriptor = os.open(last, _FILE, dir_fd=here)
    finally:
        if here != at:
            os.close(here)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotPlain(name)
    return descriptor


def head(at: int, name: str, limit_bytes: int) -> tuple[bytes, int]:
    """The first bytes of a file, and its size."""
    descriptor = opened(at, name)
    try:
        size = os.fstat(descriptor).st_size
        return os.pread(descriptor, min(limit_bytes, size), 0), size
    finally:
        os.close(descriptor)


def size_of(at: int, name: str) -> int:
    """The size of a plain file."""
    descriptor = opened(at, name)
    try:
        return os.fstat(descriptor).st_size
    finally:
        os.close(descriptor)


def listed(at: int) -> Iterator[There]:
    """Everything below a folder but folders, by relative name, in no promised order. What is too deep is not entered.

    A folder that is gone or locked by now is passed over.
    """
    waiting = [""]
    while waiting:
        place = waiting.pop()
        try:
            here = _below(at, place)
        except OSError:
            continue
        try:
            with os.scandir(here) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
            for entry in found:
                whole = f"{place}/{entry.name}" if place else entry.name
                try:
                    seen = entry.stat(follow_symlinks=False)
                except OSError:
                    continue
                if not stat.S_ISDIR(seen.st_mode):
                    plain = stat.S_ISREG(seen.st_mode)
                    yield There(name=contents.sealed_name(whole), size=seen.st_size, is_plain=plain)
                elif whole.count("/") < MOST_DEEP:
                    waiting.append(whole)
        finally:
            os.close(here)


def _below(at: int, place: str) -> int:
    """The descriptor of a folder below another one; of that one itself for an empty name."""
    here = os.open(".", _FOLDER, dir_fd=at)
    for part in place.split("/") if place else ():
        try:
            below = os.open(part, _FOLDER, dir_fd=here)
        finally:
            os.close(here)
        here = below
    return here
