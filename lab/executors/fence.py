"""Where a program may write: held by the kernel's Landlock, or by bwrap, or by nothing, and then it is said why.

Landlock alone where it is enough: it costs nothing. bwrap where something is to be frozen or hidden, or where the
kernel's Landlock lets files be cut short (before version 3).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import Unavailable
from lab.core.launch import AUTO, BWRAP, FENCES, LANDLOCK, NO_FENCE
from lab.executors import bwrap, landlock
from lab.executors.starting import Raised
from lab.store import kernel

if TYPE_CHECKING:
    from lab.core.launch import Fence, Program

_HOLDS_TRUNCATION = 3
_MOST_FROZEN = 64  # each is a mount: 50 take 20 ms more, 400 half a second
_NO_LANDLOCK = "this kernel has no Landlock, or it is switched off"
_TEMPORARY = ("TMPDIR", "TMP", "TEMP")
# Caches of what was compiled: made again in seconds, and a program that cannot write its own fails. Stores of what was
# downloaded stay where they are, to be read: XDG_CACHE_HOME, HF_HOME and the like lead to gigabytes.
_CACHES = {
    "CUDA_CACHE_PATH": "nv", "CUPY_CACHE_DIR": "cupy", "GOCACHE": "go-build", "MPLCONFIGDIR": "matplotlib",
    "NUMBA_CACHE_DIR": "numba", "TORCHINDUCTOR_CACHE_DIR": "inductor",
    "TORCH_EXTENSIONS_DIR": "torch-extensions", "TRITON_CACHE_DIR": "triton", "npm_config_cache": "npm",
}  # fmt: skip


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine has for a fence."""

    landlock: int = 0  # the version of the kernel's interface; 0: there is none
    bwrap: str = ""  # the program, where it works
    why: str = ""  # in words, what is missing


_OPEN = "shared memory open"


def available() -> Reach:
    """What this machine can do. bwrap is tried once in a process: 20 ms."""
    abi, trouble = landlock.version(), bwrap.trouble()
    missing = [trouble] if trouble else []
    if not abi:
        missing.insert(0, _NO_LANDLOCK)
    return Reach(landlock=abi, bwrap="" if trouble else bwrap.program(), why="; ".join(missing))


def environment(folder: str) -> dict[str, str]:
    """Variables that lead temporary files and caches of compilers into a folder that the program may write to.

    The folder must be there. HOME stays: what lies there is read, and a program that writes to it needs
    `writable_paths` in its SPEC.
    """
    return dict.fromkeys(_TEMPORARY, folder) | {name: f"{folder}/{inside}" for name, inside in _CACHES.items()}


def raised(program: Program) -> Raised:
    """How this program is fenced on this machine. `Unavailable` for a level, or a folder, that cannot be had."""
    fence = program.fence
    if fence is None or fence.level == NO_FENCE:
        return Raised(said="none: not asked for")
    _check(fence)
    abi = landlock.version()
    wanted = fence.level
    if wanted == AUTO:
        wanted = _best(fence, abi)
    if wanted == LANDLOCK and abi:
        kernel.load()
        return Raised(said=_landlock(fence, abi), writable=fence.writable, landlock=abi)
    if wanted == BWRAP and not bwrap.trouble():
        if not os.access(program.argv[0], os.X_OK):  # bwrap would say it, as if it had been the program
            what = "Permission denied" if os.path.exists(program.argv[0]) else "No such file or directory"
            raise Unavailable(f"the program cannot be started: {program.argv[0]}: {what}")
        said = f"{BWRAP}, {_OPEN}" if bwrap.is_in_shared(fence) else BWRAP
        return Raised(said=said, argv=bwrap.found(fence, program.cwd))
    if fence.level == AUTO:
        return Raised(said=f"none: {_NO_LANDLOCK}; {bwrap.trouble()}")
    why = bwrap.trouble() if wanted == BWRAP else _NO_LANDLOCK
    raise Unavailable(f"the program cannot be fenced by {wanted}: {why}", fix="labctl doctor")


def _best(fence: Fence, abi: int) -> str:
    asks_more = fence.frozen or fence.hidden or abi < _HOLDS_TRUNCATION
    is_dear = len(fence.frozen) > _MOST_FROZEN and not fence.hidden and abi >= _HOLDS_TRUNCATION
    return BWRAP if asks_more and not is_dear and not bwrap.trouble() else LANDLOCK


def _landlock(fence: Fence, abi: int) -> str:
    """What is claimed, and what was asked for besides and is not held."""
    lacks = {"nothing frozen": fence.frozen, "nothing hidden": fence.hidden}
    lacks[_OPEN] = fence.writable if bwrap.is_in_shared(fence) else ()
    lacks["files may be cut short"] = () if abi >= _HOLDS_TRUNCATION else fence.writable or ("/",)
    return ", ".join((f"{LANDLOCK} {abi}", *(words for words, asked in lacks.items() if asked)))


def _check(fence: Fence) -> None:
    if fence.level not in FENCES:
        raise Unavailable(f"there is no fence {fence.level!r}", fix=f"use {', '.join(FENCES)}")
    for path in (*fence.writable, *fence.frozen, *fence.hidden):
        if not path.startswith("/"):
            raise Unavailable(
                f"the fence names {path}, which is not absolute", fix="correct writable_paths in SPEC.yaml"
            )
    for path in fence.writable:
        if not os.path.exists(path):
            what = f"the fence names {path}, which is not there"
            raise Unavailable(what, fix="make it, or correct writable_paths in SPEC.yaml")
