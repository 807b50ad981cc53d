"""Writing of whole folders of large files: models and adapters, outside a lab's own folders.

A folder appears under its name only when everything in it is written. A crash leaves a draft beside it, whose name
begins with a dot and which nobody reads.
"""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
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


@contextmanager
def whole(folder: str) -> Iterator[str]:
    """A draft to fill. It gets its name when the block ends well, and is gone when it does not.

    BadInput, before anything is done, where something is already in the way: nothing is ever written over.
    """
    folder = os.path.abspath(folder)
    if os.path.lexists(folder) and (not os.path.isdir(folder) or os.listdir(folder)):
        raise BadInput("something is already there", where=folder, fix="name a folder that does not exist, or is empty")
    draft = f"{os.path.dirname(folder)}/.{os.path.basename(folder)}.{os.getpid()}.draft"
    try:
        os.makedirs(draft)
    except OSError as error:
        raise Unavailable(f"no folder can be made: {error.strerror}", where=draft) from error
    try:
        yield draft
        for name in os.listdir(draft):
            _sync(f"{draft}/{name}")
        _sync(draft)
        os.rename(draft, folder)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise BadInput("somebody else made it meanwhile", where=folder) from error
        raise Unavailable(f"the folder cannot be written: {error.strerror or error}", where=folder) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)  # after the rename there is nothing of that name
    _sync(os.path.dirname(folder))


def _sync(path: str) -> None:
    """What the name is given to must be on the disk first, or a power cut leaves a folder of empty files."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
