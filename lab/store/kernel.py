"""Calls of the Linux kernel that Python has no name for. ctypes is loaded at the first of them: it costs 2 ms."""

from __future__ import annotations

import os
import struct
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ctypes

CLONE_NEWNS, CLONE_NEWPID = 0x0002_0000, 0x2000_0000
_PDEATHSIG, _SET_SUBREAPER, _GET_SUBREAPER, _NO_NEW_PRIVILEGES = 1, 36, 37, 38
_PRIVATE = 0x4000 | 1 << 19  # MS_REC | MS_SLAVE: what the host mounts is seen here, what is mounted here stays here
_PLAIN = 2 | 4 | 8  # MS_NOSUID | MS_NODEV | MS_NOEXEC
_ARGUMENTS = 45  # field 48 of /proc/PID/stat, counted from the state field: where its arguments begin
LINUX = sys.platform == "linux"
_CALLS = ("capget", "capset", "mount", "prctl", "setns", "syscall", "unshare")
_CAPABILITIES_3 = 0x2008_0522
_HALVES = (0, 0, 0, 32, 32, 32)  # effective, permitted and inheritable, the low 32 bits and then the high ones
# What root keeps that may not harm the machine: about what it has in a container, less the making of devices.
_HARMLESS = sum(1 << number for number in (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 18, 23, 24))
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


def call_itself(words: str) -> None:
    """Change what `ps` shows of this process, where a fork goes its own way. Cut where the old words were shorter."""
    import ctypes  # noqa: PLC0415  # as above

    try:
        with open("/proc/self/stat", "rb") as file:
            text = file.read()
    except OSError:
        return
    fields = text[text.rfind(b")") + 2 :].split()
    start, end = int(fields[_ARGUMENTS]), int(fields[_ARGUMENTS + 1])
    if 0 < start < end:
        data = words.encode(errors="replace")[: end - start - 1]
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, data, len(data))


def call(number: int, *arguments: bytes | int | None) -> int:
    """A system call by its number, for those that the C library has no name for either."""
    import ctypes  # noqa: PLC0415  # as above

    # A plain int would be passed as 32 bits, the rest being whatever was there.
    wide = [ctypes.c_long(each) if isinstance(each, int) else each for each in arguments]
    result = int(_libc().syscall(ctypes.c_long(number), *wide))
    if result < 0:
        _check(result)
    return result


def gain_nothing() -> None:
    """From here on no program that is started has more rights than this process, whoever owns it."""
    _check(_libc().prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0))


def drop_capabilities() -> None:
    """Give up what root could harm the machine with: mounting, devices, modules, files by their number, the clock."""
    import ctypes  # noqa: PLC0415  # as above

    who = struct.pack("=Ii", _CAPABILITIES_3, 0)
    held = ctypes.create_string_buffer(24)
    _check(_libc().capget(who, held))
    kept = [
        each & _HARMLESS >> shift & 0xFFFF_FFFF
        for each, shift in zip(struct.unpack("=6I", held.raw), _HALVES, strict=True)
    ]
    _check(_libc().capset(who, struct.pack("=6I", *kept)))


def _check(result: int) -> None:
    if result != 0:
        import ctypes  # noqa: PLC0415  # as above

        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
