"""The log of one run, written while the run goes on; and how it ended, written by a process that the lab may outlive.

The run works in the same folder and may do to the file what it likes. It is made new and held open: where the run puts
a link in its place, nothing is written through it; and when it took the file away, `close` writes it again. Not synced:
the seal does that.
"""

from __future__ import annotations

import os
import stat
from functools import cache
from typing import TYPE_CHECKING

from lab.core import layout
from lab.store import machine

if TYPE_CHECKING:
    from lab.store.files import Files

TAKEN_SUFFIX = ".of-the-run"
_NEW = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20
_WRITABLE = 0o222


class RunLog:
    """Made at the first byte, so that a run that prints nothing keeps no empty file. After a refusal it takes none."""

    def __init__(self, files: Files, path: str) -> None:
        self.problem = ""
        self._files = files
        self._path = path
        self._descriptor = -1

    def write(self, data: bytes | memoryview) -> int:
        """How many of the bytes the disk took. The first refusal is told in `problem`; the run goes on without."""
        done = 0
        if self.problem:
            return done
        try:
            if self._descriptor < 0:
                self._descriptor = self._new()
            while done < len(data):
                self._files.step("append", self._path)
                done += os.write(self._descriptor, data[done:] if done else data)
        except OSError as error:
            self.problem = f"{os.path.basename(self._path)} ends early: {error.strerror or error}"
        return done

    def close(self) -> None:
        """Let go of the file, and put it back where the run took it away."""
        if self._descriptor < 0:
            return
        try:
            if not self._is_there() and not is_sealed(os.path.dirname(self._path)):
                self._put_back()
        except OSError as error:
            self.problem = self.problem or f"{os.path.basename(self._path)} was taken away: {error.strerror or error}"
        finally:
            os.close(self._descriptor)
            self._descriptor = -1

    def _new(self) -> int:
        """A file of ours. What the run laid in its place is kept beside it."""
        if os.path.lexists(self._path):
            self._files.move(self._path, self._path + TAKEN_SUFFIX)
        self._files.step("open", self._path)
        return os.open(self._path, _NEW, 0o644)

    def _is_there(self) -> bool:
        try:
            found, held = os.lstat(self._path), os.fstat(self._descriptor)
        except FileNotFoundError:
            return False
        return (found.st_dev, found.st_ino) == (held.st_dev, held.st_ino)

    def _put_back(self) -> None:
        self._files.folder(os.path.dirname(self._path))
        again = self._new()
        try:
            at = 0
            while piece := os.pread(self._descriptor, _PIECE_BYTES, at):
                self._files.step("append", self._path)
                at += os.write(again, piece)
        finally:
            os.close(again)


def is_sealed(folder: str) -> bool:
    """Whether somebody took this run while its machine was out of reach, and sealed a copy of what there was."""
    try:
        mode = os.lstat(f"{folder}/{layout.SEAL}").st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) and not mode & _WRITABLE


def draft_of(path: str) -> str:
    """A name beside a file that says whose draft it is: of the process that asks, not of the one that writes.

    A pid means nothing outside its namespace. What a warden leaves half written there is cleared at once when the lab
    that started it is dead, for that can be proven.
    """
    folder, name = os.path.split(path)
    return f"{folder}/.{name}.{_here(os.getpid())}{os.urandom(2).hex()}-{os.getpid()}-0{layout.DRAFT_SUFFIX}"


@cache
def _here(_pid: int) -> str:
    """Asked once by each process: a burst has a thousand runs."""
    return machine.here()


def put(files: Files, draft: str, path: str, data: bytes) -> None:
    """Put a new text in the place of whatever lies there, by way of a draft whose name was chosen before."""
    try:
        _put(files, draft, path, data)
    except FileNotFoundError:  # the run took its folder away; or recovery the draft, for the lab that it names is dead
        files.folder(os.path.dirname(path))
        _put(files, draft, path, data)


def _put(files: Files, draft: str, path: str, data: bytes) -> None:
    files.step("open", draft)
    descriptor = os.open(draft, _NEW, 0o644)
    try:
        files.step("write", draft)
        done = 0
        while done < len(data):
            done += os.write(descriptor, data[done:])
        files.move(draft, path)
    except OSError:
        files.discard(draft)
        raise
    finally:
        os.close(descriptor)
