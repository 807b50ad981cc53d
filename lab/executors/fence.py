"""Where a program may write: the kernel's Landlock, or bwrap, or nothing and why."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.core.launch import Program


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """What this machine has for a fence."""

    landlock: int = 0  # the version of the kernel's interface; 0: there is none
    bwrap: str = ""  # the program, where it works
    why: str = ""  # in words, what is missing


def available(path: str = "") -> Reach:
    """What this machine can do. bwrap is looked for on `path`, and tried once in a process."""
    raise NotImplementedError


def environment(folder: str) -> dict[str, str]:
    """Variables that lead temporary files and caches of compilers into a folder that the program may write to."""
    raise NotImplementedError


class Raised(msgspec.Struct, frozen=True, kw_only=True):
    """A fence as it will stand: decided before the fork, entered between fork and exec."""

    argv: tuple[str, ...]
    said: str

    def enter(self) -> None:
        """Step inside. The calling process and all that it starts cannot step out again."""
        raise NotImplementedError


def raised(program: Program) -> Raised:
    """How this program is fenced on this machine. `Unavailable` for a level that cannot be had."""
    raise NotImplementedError
