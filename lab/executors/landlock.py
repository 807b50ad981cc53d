"""Landlock: the calling process and all that it starts can write only below some folders, for ever.

The kernel holds it, as root too: no mount, no link or rename out, no ptrace of what is outside, and from version 6 no
signal to it. It knows neither modes nor times (`chmod` of a file that one owns goes on working; what is in the file is
safe), and it cannot hide what may be read. TCP is left alone: agents and trainings talk to servers, and a rule by port
would stop the honest ones first. Sockets that are files are left alone too, for want of a rule.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from lab.store import kernel

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_ASK_VERSION, _BELOW = 1, 1
_NEW_EACH = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: 1 << 15}  # of rights; each version has those before it too
_EXECUTE, _WRITE, _READ, _READ_DIR = 1, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_SCOPED_FROM, _SCOPED = 6, 3  # abstract sockets and signals stay among those inside
_LOOKING = _EXECUTE | _READ | _READ_DIR
# A node that root made in a folder of its own would be the disk by another name.
_FOLDER = ((1 << 15) - 1) & ~_MAKE_CHAR & ~_MAKE_BLOCK
_DEVICE = _WRITE | _READ | _READ_DIR | _TRUNCATE | _IOCTL
_DEVICES = frozenset({
    "null", "zero", "full", "random", "urandom", "tty", "ptmx", "pts",
    "dri", "kfd", "accel", "dxg", "infiniband",
})  # fmt: skip
_SHARED_MEMORY = "shm"
_NVIDIA = "nvidia"


def version() -> int:
    """The version of the kernel's interface; 0 where there is none."""
    if not kernel.LINUX:
        return 0
    try:
        return kernel.call(_CREATE, None, 0, _ASK_VERSION)
    except OSError:
        return 0


def handled(abi: int) -> int:
    """The rights that this version knows. What it does not know it lets pass."""
    return sum(rights for since, rights in _NEW_EACH.items() if since <= abi)


def rules(writable: Iterable[str], abi: int) -> Iterator[tuple[str, int]]:
    """(path, rights): everything may be read and started, little may be written."""
    known = handled(abi)
    yield "/", _LOOKING & known
    for name in os.listdir("/dev"):
        if name in _DEVICES or name.startswith(_NVIDIA):
            yield f"/dev/{name}", _DEVICE & known
        elif name == _SHARED_MEMORY:
            yield f"/dev/{name}", _FOLDER & known
    for path in writable:
        yield path, _FOLDER & known


def enter(writable: Iterable[str], abi: int) -> None:
    """Step inside, with no way back. A folder that is not there is an error: nothing could be written to it later."""
    scoped = _SCOPED if abi >= _SCOPED_FROM else 0
    attributes = struct.pack("=QQQ", handled(abi), 0, scoped)[: 24 if scoped else 8]
    ruleset = kernel.call(_CREATE, attributes, len(attributes), 0)
    try:
        must = set(writable)
        for path, rights in rules(must, abi):
            _allow(ruleset, path, rights, required=path in must)
        kernel.gain_nothing()
        kernel.drop_capabilities()
        kernel.call(_RESTRICT, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int, *, required: bool) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        if required:
            raise
        return  # a device that went away, or that is not for this user
    try:
        if not os.path.isdir(path):
            rights &= _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL  # the kernel refuses a right that cannot apply
        kernel.call(_ADD, ruleset, _BELOW, struct.pack("=Qi", rights, place), 0)
    finally:
        os.close(place)
