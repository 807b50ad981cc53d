"""What a phase is given: files of sealed runs, proved against their seals, and files of the user's, by their digest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from lab.core.seal import Seal


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """One file: where it lies, and the digest that it must have.

    `name` is what phases call it: `literature/lit/sources.jsonl`, `folder:data/rows.csv`.
    """

    name: str
    path: str
    sha256: str
    run_id: str = ""  # empty: the user's


class Given(Protocol):
    """Built by `lab.research.work.inputs`; a phase's worker sees only this."""

    def names(self, below: str = "") -> tuple[str, ...]:
        """The names that begin so, sorted."""
        ...

    def read(self, name: str) -> bytes:
        """Its bytes, which have the digest that was promised; `Corrupt` naming the file where they have not."""
        ...

    def find(self, name: str) -> bytes | None:
        """The same; None where the phase was not given it."""
        ...

    def pieces(self) -> tuple[Piece, ...]:
        """Everything, for who copies it or writes down what it was."""
        ...

    def seal(self, phase: str) -> Seal | None:
        """The seal of the run of an earlier phase that this one builds on."""
        ...
