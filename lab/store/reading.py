"""Reading files that may not be there, may be huge, and may not be files at all."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


def read(path: str) -> bytes | None:
    """The bytes of a file, or None when there is no file: nothing, a folder, or a pipe that would keep us waiting."""
    descriptor = _open_file(path)
    if descriptor is None:
        return None
    try:
        size = os.fstat(descriptor).st_size
        data = os.read(descriptor, size + 1)
        while len(data) != size:  # it grew while we read, or is longer than Linux reads at once: 2 GiB
            more = os.read(descriptor, max(1 << 20, size - len(data) + 1))
            if not more:
                break
            data += more
            size = max(size, len(data) - 1)
        return data
    finally:
        os.close(descriptor)


def has(path: str, data: bytes) -> bool:
    """Whether a file holds just these bytes. It is read in pieces: a table of 100,000 runs is not held twice."""
    descriptor = _open_file(path)
    if descriptor is None:
        return False
    try:
        if os.fstat(descriptor).st_size != len(data):
            return False
        left = memoryview(data)
        while left:
            piece = os.read(descriptor, 1 << 20)
            if not piece or left[: len(piece)] != piece:
                return False
            left = left[len(piece) :]
        return not os.read(descriptor, 1)  # it may have grown since
    finally:
        os.close(descriptor)


def read_head(path: str, limit: int) -> bytes | None:
    """The first bytes of a file, or None when there is none: a result of 400 MB must not fill the memory."""
    descriptor = _open_file(path)
    if descriptor is None:
        return None
    try:
        return os.read(descriptor, limit)
    finally:
        os.close(descriptor)


def read_given(path: str, limit: int) -> bytes | None:
    """The same for what a person names: a pipe (`<(command)`) is waited for."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        data = os.read(descriptor, limit)
        while len(data) < limit and (more := os.read(descriptor, limit - len(data))):
            data += more
        return data
    finally:
        os.close(descriptor)


def afresh(path: str) -> None:
    """Ask the file server itself: on NFS what is known of a file or folder may be a minute old, until it is opened."""
    with suppress(FileNotFoundError, NotADirectoryError):
        os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK))


def _open_file(path: str) -> int | None:
    """To read; None for what is no plain file. A run may put a pipe anywhere, and to open that waits for ever."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if error.errno == errno.ENXIO:  # a socket
            return None
        raise
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    os.close(descriptor)
    return None


def read_from(path: str, start: int) -> bytes:
    """What a file holds from an offset on; nothing when it is shorter, not there, or no file."""
    descriptor = _open_file(path)
    if descriptor is None:
        return b""
    try:
        size = os.fstat(descriptor).st_size
        pieces = []
        while start < size:
            piece = os.pread(descriptor, size - start, start)
            if not piece:
                break
            pieces.append(piece)
            start += len(piece)
        return b"".join(pieces)
    finally:
        os.close(descriptor)


def lines_from(path: str, start: int, block: int) -> Iterator[tuple[int, bytes]]:
    """Whole lines of a file from an offset on, many at a time, each time with the offset of the first of them.

    As far as the file went when it was opened; without an unfinished last line. A log of gigabytes is never in the
    memory as a whole, but for a line that is as long. None of what is no file.
    """
    descriptor = _open_file(path)
    if descriptor is None:
        return
    try:
        left = os.fstat(descriptor).st_size - start
        rest = b""
        while left > 0:
            # As much again as waits for its newline: a line of gigabytes is copied a few times, not once a block.
            piece = os.pread(descriptor, min(left, max(block, len(rest))), start + len(rest))
            if not piece:
                return
            left -= len(piece)
            stop = piece.rfind(b"\n") + 1
            if not stop:
                rest += piece
                continue
            data, rest = rest + piece[:stop], piece[stop:]
            yield start, data
            start += len(data)
    finally:
        os.close(descriptor)


def size_of(path: str) -> int:
    """A file's size, or -1 when it is not there."""
    try:
        return os.stat(path).st_size
    except (FileNotFoundError, NotADirectoryError):
        return -1


def is_folder(path: str) -> bool:
    """Whether a folder is there. A link to one is not: what is written through it would leave the data root."""
    try:
        return stat.S_ISDIR(os.lstat(path).st_mode)
    except OSError:
        return False


def is_file(path: str) -> bool:
    """Whether a plain file is there. A link is not: what it points to can change after the seal."""
    try:
        return stat.S_ISREG(os.lstat(path).st_mode)
    except OSError:
        return False


_LOCAL = frozenset(
    {errno.EACCES, errno.EPERM, errno.EISDIR, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENOENT}
)


def is_local(error: OSError) -> bool:
    """Whether a refusal is about these files alone. A full or broken disk is everybody's trouble."""
    return error.errno in _LOCAL


def is_writable(folder: str) -> bool:
    """Whether files can be made in a folder, as far as its modes say; one that is not there is nobody's refusal."""
    return os.access(folder, os.W_OK) or not os.path.lexists(folder)
