"""What one run of a project is to do. It is the run's params.json: sealed with it, and read back by whoever looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.research.project import Name

if TYPE_CHECKING:
    from collections.abc import Mapping

SEND = "send"  # of the phase publishing: send what was approved


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`inputs` is the digest of everything the phase is given: the same digest is the same work, done once.

    `given` names the sealed runs that it builds on, by phase. `idea` is the name of the idea that a round is about.
    """

    phase: Name
    worker: str
    round: int = 1
    idea: str = ""
    inputs: str = ""
    given: dict[str, str] = {}  # phase -> run
    step: str = ""
    release: str = ""  # of `send`: the hash of the manifest that was approved

    def params(self) -> dict[str, object]:
        """As the parameters of a run."""
        told: dict[str, object] = msgspec.to_builtins(self)
        return told


def read(params: Mapping[str, object] | None) -> Order | None:
    """The order in a run's parameters; None for what is none."""
    try:
        return msgspec.convert(dict(params or {}), Order)
    except (msgspec.ValidationError, TypeError):
        return None


def read_bytes(data: bytes) -> Order | None:
    """The order in a run's params.json."""
    try:
        return msgspec.json.decode(data, type=Order)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None  # a person's own parameters, most likely


def digest(parts: Mapping[str, object]) -> str:
    """Of everything that a phase is given."""
    return canonical.digest(canonical.encode(dict(parts)))
