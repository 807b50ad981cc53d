"""Short critical sections: flock on a file that stays.

The kernel drops the lock when its holder dies, so nothing is ever left locked by a crash. A section covers a few
writes, never a run: runs are covered by leases. A holder that is *stopped* inside one (SIGSTOP, a debugger) keeps it;
others are told `Busy` after a wait, and no lock is ever broken by age.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab.core.errors import Busy
from lab.store.refusals import gone

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTRY = "registry"
WAIT_S = 30.0
PAGES_WAIT_S = 5.0
_POLL_S, _SLOWEST_S = 0.005, 0.1


@contextmanager
def hold(path: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """Be the only one in this section. Not reentrant: a second `hold` of the same path waits for the first."""
    descriptor = _open(path)
    try:
        if not _taken(descriptor):
            _wait(descriptor, path, wait_s)
        yield
    finally:
        os.close(descriptor)  # which drops the lock


@contextmanager
def hold_folder(folder: str, *, wait_s: float = WAIT_S) -> Iterator[None]:
    """The same on a folder of somebody's that exists: the lock is on the folder itself, and no file is left in it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            is_taken = _taken(descriptor)
        except (
            OSError
        ):  # NFS locks nothing that is not open for writing, and no folder is: then a file there it must be
            with hold(f"{folder}/.section.lock", wait_s=wait_s):
                yield
            return
        if not is_taken:
            _wait(descriptor, folder, wait_s)
        yield
    finally:
        os.close(descriptor)


def is_held(path: str) -> bool:
    """Whether somebody is in the section now. Only for one that is held for as long as its holder lives."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe there would keep us waiting
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)  # shared: two that look must not see each other
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def own(path: str) -> int:
    """The same on a file that is there, for as long as its holder lives: its descriptor, to be closed at the end.

    -1 where there is no file; `Busy`, at once, where somebody has it. A file system without locks gives it to all.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _owned(path) from None
    except OSError:
        pass
    if not _is_still(descriptor, path):  # somebody put another file there since we opened it
        os.close(descriptor)
        raise _owned(path)
    return descriptor


def _is_still(descriptor: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def _owned(path: str) -> Busy:
    return Busy("somebody alive has this", where=path, fix="end that one, or name another file")


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    try:
        return os.open(path, flags, 0o644)
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        return os.open(path, flags, 0o644)


def _make_folder(path: str) -> None:
    """Where git left an empty one out. Never a lab's registry/: a lab that was moved away would begin to grow again."""
    if os.path.basename(path) == REGISTRY:
        raise gone(os.path.dirname(path))
    try:
        os.mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        _make_folder(os.path.dirname(path))
        _make_folder(path)


def _taken(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(descriptor: int, path: str, wait_s: float) -> None:
    """Queue for it. Asked again and again: a blocking flock has no end, and an alarm would be the whole process's."""
    until_s = time.monotonic() + wait_s
    while not _taken(descriptor):
        if time.monotonic() >= until_s:
            raise Busy(
                f"another process has held a short section for more than {wait_s:.0f}s",
                where=path,
                fix=f"see who it is with: fuser {path}; a stopped process can be continued with: kill -CONT <pid>",
            )
        time.sleep(pause_s(time.monotonic() - until_s + wait_s, os.urandom(1)[0] / 255))


def pause_s(waited_s: float, luck: float) -> float:
    """How long to leave it alone before it is asked for again. `luck` is from 0 to 1.

    Longer for who waits long: on a shared disk each ask is a message to its server, and with a thousand nodes in the
    queue nobody has to be quick for the section to be taken at once. By chance, or those who came together would ask
    together for ever.
    """
    return min(max(_POLL_S, waited_s / 16), _SLOWEST_S) * (0.5 + luck)
