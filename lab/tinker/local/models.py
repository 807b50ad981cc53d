"""The models behind the door of a local server."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from lab.core.errors import BadInput, LabError, nearest
from lab.tinker.local.adapters import Adapter
from lab.tinker.local.bases import Base
from lab.tinker.local.lora import LoraTrainer
from lab.tinker.local.sampling import LocalSampler
from lab.tinker.local.training import Lora, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping


class LocalModels:
    """Every base is loaded here and now, so that damage is told when the server starts and not to its first client.

    `threads` is stated and not left to the machine: sums are taken in an order that follows from it, and with another
    number a training that is resumed differs from one in one go in the last bits. It holds for the whole process.
    """

    def __init__(self, folders: Mapping[str, str], *, threads: int = 1) -> None:
        if not folders:
            raise BadInput("a local server needs a base model", fix="give --base NAME=DIR")
        torch.set_num_threads(threads)
        self._bases = {name: Base(name, folder) for name, folder in folders.items()}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._bases)

    def path(self, name: str) -> str:
        return self._base(name).folder

    def context_length(self, name: str) -> int:
        return self._base(name).context

    def trainer(self, base: str, lora: Lora) -> LoraTrainer:
        return LoraTrainer(self._base(base), lora)

    def sampler(self, base: str, folder: str | None) -> LocalSampler:
        loaded = self._base(base)
        if folder is None:
            return LocalSampler(loaded, None)
        try:
            return LocalSampler(loaded, Adapter.saved(folder, loaded.layers))
        except LabError as error:
            raise UserError(str(error)) from error

    def _base(self, name: str) -> Base:
        found = self._bases.get(name)
        if found is None:
            close = nearest(name, self.names)
            hint = f"; did you mean {close}?" if close else ""
            raise UserError(f"unknown base model {name!r}; this server has {', '.join(self.names)}{hint}")
        return found
