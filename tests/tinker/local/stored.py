"""Checkpoints for tests of the store itself: nothing in them but a text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.tinker.local.checkpoints import Checkpoint
from lab.tinker.local.training import Lora

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.tinker.local.checkpoints import Kind


def checkpoint(name: str = "one", expires_at: float | None = None, kind: Kind = "weights") -> Checkpoint:
    return Checkpoint(
        run_id="r:train:0", kind=kind, name=name, base_model="m", lora=Lora(), steps=1, saved_at=1.0,
        expires_at=expires_at,
    )  # fmt: skip


def fill(text: str) -> Callable[[str], None]:
    def write(folder: str) -> None:
        with open(f"{folder}/adapter", "w", encoding="utf-8") as file:
            file.write(text)

    return write
