"""A sealed run, with what its files say as they were sealed. Whether the ledger knows of it, who reads it has asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.seal import Seal  # msgspec resolves annotations
from lab.store import bundles

if TYPE_CHECKING:
    from lab.core.run import Run


class Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Where it lies, and its seal."""

    path: str
    seal: Seal

    @property
    def run(self) -> Run:
        return self.seal.run

    @property
    def run_id(self) -> str:
        return self.seal.run.run_id

    def output(self, name: str) -> bytes | None:
        """A file of its artifacts; None where it is not there as it was sealed."""
        return bundles.sealed_bytes(self.path, f"{layout.ARTIFACTS}/{name}", self.seal)
