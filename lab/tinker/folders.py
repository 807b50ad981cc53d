"""Writing of whole folders of large files: models and adapters, outside a lab's own folders.

A folder appears under its name only when everything in it is written. A crash leaves a draft beside it, whose name
begins with a dot and which nobody reads; the next to make a folder of that name takes it away.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from lab.core.errors import BadInput, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator


def write(path: str, data: bytes) -> None:
    """Make a new file."""
    with open(path, "xb") as file:
        file.write(data)


def copy(source: str, target: str) -> None:
    """Make a file with the bytes of another."""
    shutil.copyfile(source, target)


def make(folder: str, mode: int = 0o777) -> None:
    """A folder and all that it is in. Each is on the disk in the one above it: a power cut takes none of them back."""
    folder, missing = os.path.abspath(folder), []
    while not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder)
    for each in reversed(missing):
        with suppress(FileExistsError):
            os.mkdir(each, mode)
        sync(os.path.dirname(each))


def settle(folder: str) -> None:
    """What gets a name must be on the disk first, or a power cut leaves a folder of empty files."""
    for name in os.listdir(folder):
        sync(f"{folder}/{name}")
    sync(folder)


def sync(path: str) -> None:
    """A file, or the names in a folder, to the disk."""
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


@contextmanager
def whole(folder: str) -> Iterator[str]:
    """A draft to fill. It gets its name when the block ends well, and is gone when it does not.

    BadInput, before anything is done, where something is already in the way: nothing is ever written over.
    """
    folder = os.path.abspath(folder)
    if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise BadInput("something is already there", where=folder, fix="name a folder that does not exist, or is empty")
    above, name = os.path.split(folder)
    mine = f".{name}.{os.uname().nodename}."  # another machine may write here too, and its processes are not ours
    draft = f"{above}/{mine}{os.getpid()}.draft"
    try:
        make(above)
        _clear(above, mine)
        os.mkdir(draft)
    except OSError as error:
        raise Unavailable(f"no folder can be made: {error.strerror}", where=draft) from error
    try:
        yield draft
        _open_up(draft)
        settle(draft)
        os.rename(draft, folder)
        sync(above)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise BadInput("somebody else made it meanwhile", where=folder) from error
        raise Unavailable(f"the folder cannot be written: {error.strerror or error}", where=folder) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # after the rename there is nothing of that name


def _open_up(draft: str) -> None:
    """Whoever may enter the folder may read its files: safetensors makes some that only their owner can."""
    readable = os.stat(draft).st_mode & 0o444
    for name in os.listdir(draft):
        path = f"{draft}/{name}"
        os.chmod(path, os.stat(path).st_mode & 0o777 | readable)


def _clear(above: str, mine: str) -> None:
    """Take away the drafts of processes that are no more."""
    for name in os.listdir(above):
        pid = name.removeprefix(mine).removesuffix(".draft")
        if name == f"{mine}{pid}.draft" and pid.isdecimal() and not _is_alive(int(pid)):
            shutil.rmtree(f"{above}/{name}", ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        pass
    return True
