"""What the server keeps below its own folder: put there whole or not at all, replaced, and taken away.

The files of a checkpoint are written by who makes them, into a draft that is made here. What is half-made bears a name
that starts with a dot: no checkpoint, run or session is called so, and the next start clears it away.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from lab.core.errors import Busy, Unavailable
from lab.tinker.folders import make, settle, sync

if TYPE_CHECKING:
    from collections.abc import Iterator

DRAFT, OLD, GONE = ".draft-", ".old-", ".gone-"
PRIVATE = 0o700  # as for the files of any program; it keeps nobody out who asks the server itself


def take(folder: str) -> int:
    """Make the folder ours until the process ends, or say who has it. The descriptor must stay open."""
    try:
        make(folder, PRIVATE)
        held = os.open(f"{folder}/.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        fix = "give another with --folder, or make it writable"
        raise Unavailable(f"the server's folder cannot be used: {error}", where=folder, fix=fix) from error
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(held)
        fix = "stop it, or give this one a folder of its own with --folder"
        raise Busy("another server keeps its checkpoints here", where=folder, fix=fix) from error
    return held


def give_back(held: int) -> None:
    os.close(held)


def write(path: str, data: bytes) -> None:
    """Put these bytes at this path, on disk when it returns; what was there stays until they are."""
    folder, name = os.path.split(path)
    make(folder, PRIVATE)
    draft = f"{folder}/{DRAFT}{secrets.token_hex(4)}-{name}"
    try:
        with open(draft, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.rename(draft, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(draft)
        raise
    sync(folder)


def draft_beside(path: str) -> str:
    """A new empty folder, to be filled and then published at this path."""
    folder, name = os.path.split(path)
    make(folder, PRIVATE)
    draft = f"{folder}/{DRAFT}{secrets.token_hex(4)}-{name}"
    os.mkdir(draft, mode=PRIVATE)
    return draft


def fill_from(source: str, draft: str, *, leave_out: str) -> None:
    for entry in os.scandir(source):
        if entry.is_file(follow_symlinks=False) and entry.name != leave_out:
            shutil.copyfile(entry.path, f"{draft}/{entry.name}")


def publish(draft: str, path: str) -> None:
    """Make everything in the draft durable, then give it its name; what had the name goes. OSError: nothing changed."""
    settle(draft)
    folder, name = os.path.split(path)
    old = f"{folder}/{OLD}{name}"
    replaces = os.path.lexists(path)
    if replaces:
        drop(old)
        os.rename(path, old)  # `clear` brings it back, should the next line never run
    moved = False
    try:
        os.rename(draft, path)
        moved = True
        sync(folder)
    except OSError:
        if moved:
            os.rename(path, draft)
        if replaces:
            os.rename(old, path)
        raise
    if replaces:
        drop(old)


def discard(path: str) -> None:
    """Take a folder away, at once for whoever looks for its name."""
    folder, name = os.path.split(path)
    gone = f"{folder}/{GONE}{secrets.token_hex(4)}-{name}"
    with suppress(FileNotFoundError):
        os.rename(path, gone)
        sync(folder)
        drop(gone)


def forget(path: str) -> None:
    """Take a file away, and the folders that it was the last in."""
    with suppress(FileNotFoundError):
        os.unlink(path)
    folder = os.path.dirname(path)
    with suppress(OSError):  # not empty
        for each in folders_in(folder):
            os.rmdir(f"{folder}/{each}")
        os.rmdir(folder)


def drop(path: str) -> None:
    """Remove what nobody names any more. What cannot be removed now, the next start tries again."""
    shutil.rmtree(path, ignore_errors=True)


def clear(folder: str) -> None:
    """After a crash: bring back what was being replaced, and remove what was half-made or half-removed."""
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = f"{parent}/{name}"
            if name.startswith(OLD) and not os.path.lexists(f"{parent}/{name.removeprefix(OLD)}"):
                os.rename(path, f"{parent}/{name.removeprefix(OLD)}")
            elif name.startswith((DRAFT, OLD, GONE)):
                drop(path) if name in folders else os.unlink(path)
        folders[:] = [name for name in folders if not name.startswith(".")]


def files_in(folder: str) -> Iterator[str]:
    """The names of the plain files right below a folder; subfolders and links are none."""
    with os.scandir(folder) as entries:
        yield from sorted(each.name for each in entries if each.is_file(follow_symlinks=False))


def folders_in(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(each.name for each in entries if each.is_dir(follow_symlinks=False) and each.name[0] != ".")
    except FileNotFoundError:
        return []


def size_of(folder: str) -> int:
    return sum(os.stat(f"{folder}/{name}").st_size for name in files_in(folder))


def read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
