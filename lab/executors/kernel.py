"""Calls of the Linux kernel that Python has no name for. ctypes is loaded at the first of them: it costs 2 ms."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

CLONE_NEWNS, CLONE_NEWPID = 0x0002_0000, 0x2000_0000
_PDEATHSIG, _SET_SUBREAPER, _GET_SUBREAPER = 1, 36, 37
_PRIVATE = 0x4000 | 1 << 19  # MS_REC | MS_SLAVE: what the host mounts is seen here, what is mounted here stays here
_PLAIN = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC
LINUX = sys.platform == "linux"
_CALLS = ("mount", "prctl", "setns", "unshare")
_loaded: list[ctypes.CDLL] = []


def load() -> None:
    """Load what the calls need. Done before a fork, so that no child pays for it or imports anything."""
    if LINUX:
        _libc()


def _libc() -> ctypes.CDLL:
    if not _loaded:
        import ctypes  # noqa: PLC0415  # 2 ms, wanted only where a program is started

        library = ctypes.CDLL(None, use_errno=True)
        for name in _CALLS:
            getattr(library, name)  # looked up once and kept, or each child would do it again in pages of its own
        _loaded.append(library)
    return _loaded[0]


def unshare(kind: int) -> None:
    """Leave a namespace; for CLONE_NEWPID it is the next child that is the first of the new one."""
    _check(_libc().unshare(kind))


def setns(descriptor: int, kind: int) -> None:
    """Enter a namespace that a descriptor stands for."""
    _check(_libc().setns(descriptor, kind))


def mount_proc() -> None:
    """A /proc of this pid namespace, seen by this process and its children only."""
    libc = _libc()
    unshare(CLONE_NEWNS)
    _check(libc.mount(b"none", b"/", None, _PRIVATE, None))
    _check(libc.mount(b"proc", b"/proc", b"proc", _PLAIN, None))


def die_with_parent(number: int) -> None:
    """Have the kernel send this signal when the parent dies. It does not reach grandchildren."""
    _check(_libc().prctl(_PDEATHSIG, number, 0, 0, 0))


def adopt_orphans(*, on: bool) -> bool:
    """Whether orphaned descendants come to this process instead of pid 1. Returns how it was before."""
    import ctypes  # noqa: PLC0415  # as above

    before = ctypes.c_int()
    _check(_libc().prctl(_GET_SUBREAPER, ctypes.byref(before), 0, 0, 0))
    _check(_libc().prctl(_SET_SUBREAPER, int(on), 0, 0, 0))
    return bool(before.value)


def _check(result: int) -> None:
    if result != 0:
        import ctypes  # noqa: PLC0415  # as above

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
