"""What kind of crash a candidate's was, by what its programs left behind, and what is done about it. Pure.

A crash is never worth 0: it has no value. What it has is a kind, and one line that says what happened.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Collection

OOM, SYNTAX, IMPORT, TIMEOUT, OTHER = "oom", "syntax", "import", "timeout", "other"
KINDS = (OOM, SYNTAX, IMPORT, TIMEOUT, OTHER)
DIVISOR = 2  # by which the device batch is divided, and the steps of accumulation multiplied
_WHAT_CHARS = 300
_TAIL_CHARS = 65_536
_KILL = 9


class Halve(msgspec.Struct, frozen=True, kw_only=True):
    """Measure once more with half the device batch at the same total batch. Whether it listens is its own."""

    divisor: int = DIVISOR


class Repair(msgspec.Struct, frozen=True, kw_only=True):
    """Give the change back to its proposer with the crash, once."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Write it down: the candidate is over."""


def kind(exit_code: int | None, signal: int | None, tail: str, stopped: str = "") -> str:
    """What kind of crash it was; empty for a program that ended well.

    `tail` is the end of what it printed, errors last. `stopped` is that of `launch.Exit`: a program that the lab ended
    for its memory ran out of it, one that was ended for its time crashed by time, and any other was somebody's wish.
    """
    raise NotImplementedError


def what(tail: str) -> str:
    """One line that says what happened: the last one that names an error, else the last one at all."""
    raise NotImplementedError


def answer(found: str, already: Collection[str] = ()) -> Halve | Repair | Record:
    """What is done about a crash of this kind. `already` has the kinds that were answered once for this candidate."""
    raise NotImplementedError
