"""Where a service keeps what it saved: `tinker://RUN/KIND/NAME`. Pure.

A path comes from a server, or from a file that others may have written. It is checked before it is asked for, shown or
made a name of a folder, and never reaches a shell.
"""

from __future__ import annotations

import re

import msgspec

from lab.core.errors import BadInput, NotFound

WEIGHTS, SAMPLER, EXTERNAL = "weights", "sampler_weights", "external_weights"
LONGEST_CHARS = 512
_PATH = re.compile(r"tinker://([A-Za-z0-9_.:-]+)/(weights|sampler_weights|external_weights)/([A-Za-z0-9_.-]+)")
_NAME = re.compile(r"[A-Za-z0-9_.-]+")


class Gone(NotFound):
    """The service has no longer what was saved at a path, so that asking again is in vain."""


class Saved(msgspec.Struct, frozen=True):
    """The three words of a path."""

    run: str
    kind: str
    name: str

    @property
    def path(self) -> str:
        return f"tinker://{self.run}/{self.kind}/{self.name}"


def is_path(text: str) -> bool:
    """Whether this is the path of something saved. `..` and the like are no names of a run or of what it saved."""
    found = _PATH.fullmatch(text) if len(text) <= LONGEST_CHARS else None
    return found is not None and not {found[1], found[3]} & {".", ".."}


def parse(text: str, where: str = "") -> Saved:
    """The words of this path, or `BadInput` with what is wrong about it."""
    found = _PATH.fullmatch(text) if is_path(text) else None
    if found is None:
        shown = text if len(text) <= LONGEST_CHARS else text[:LONGEST_CHARS] + "..."
        what = f"{shown!r} is no path of something saved"
        fix = f"it reads tinker://RUN/KIND/NAME, with KIND {WEIGHTS}, {SAMPLER} or {EXTERNAL}: "
        raise BadInput(what, where=where, fix=fix + "labctl tinker checkpoints lists them")
    return Saved(found[1], found[2], found[3])


def is_name(text: str) -> bool:
    """Whether a checkpoint can be called this."""
    return _NAME.fullmatch(text) is not None and text not in {".", ".."} and len(text) <= LONGEST_CHARS


def name_of(next_step: int) -> str:
    """What the state with so many optimizer steps in it is called."""
    return f"{next_step:06d}"


def step_of(path: str) -> int | None:
    """The optimizer steps in a state, by its name; None where somebody else gave it one."""
    name = path.rpartition("/")[2]
    return int(name) if name.isascii() and name.isdecimal() and len(name) >= len(name_of(0)) else None
