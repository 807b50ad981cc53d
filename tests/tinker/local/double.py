"""No models: a double that counts. What it keeps of a training is how often it was called, in which order.

It knows nothing of tensors; the tests with real models are in test_sdk.py. A body that contains one of these words:

    refuse   is refused as the user's mistake
    break    raises what nobody foresaw
    wait=P   waits until somebody opens the pipe P for writing
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.tinker.local.training import Lora, SampleRequest, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

FILE = "adapter_model.safetensors"
ADAM = ("learning_rate", "beta1", "beta2", "eps", "weight_decay", "grad_clip_norm")


class Kept(msgspec.Struct):
    """What is saved: `forwards` since the last step, `order` of everything that was asked."""

    steps: int = 0
    forwards: int = 0
    order: list[str] = []
    padding: str = ""


class DoubleSampler:
    def __init__(self, kept: Kept) -> None:
        self._kept = msgspec.structs.replace(kept)
        self._drawn = 0

    @property
    def size_bytes(self) -> int:
        return len(msgspec.json.encode(self._kept))

    def sample(self, request: SampleRequest) -> bytes:
        obey(msgspec.json.encode(request))
        self._drawn += 1
        return b"draw %d of " % self._drawn + msgspec.json.encode(self._kept)


class DoubleTrainer:
    def __init__(self, lora: Lora) -> None:
        self._kept = Kept(padding="." * lora.rank)
        self._rank = lora.rank

    @property
    def steps(self) -> int:
        return self._kept.steps

    def forward_backward(self, request: bytes) -> bytes:
        obey(request)
        self._kept.forwards += 1
        self._kept.order.append(request[-4:].decode())
        return msgspec.json.encode(self._kept.order)

    def optim_step(self, adam: Mapping[str, float]) -> dict[str, float]:
        if unknown := adam.keys() - ADAM:
            raise UserError(f"the double's optimizer has no {min(unknown)}")
        if not all(0 <= value < float("inf") for value in adam.values()):
            raise UserError(f"the double cannot step with {adam}")
        forwards, self._kept.forwards = self._kept.forwards, 0
        self._kept.steps += 1
        return {
            "forwards": forwards,
            "steps": self._kept.steps,
            "rate": adam.get("learning_rate", 1e-4),
            "nan": float("nan"),
        }

    def save(self, folder: str, *, optimizer: bool) -> None:
        with open(f"{folder}/{FILE}", "wb") as file:
            file.write(msgspec.json.encode(self._kept))
            file.flush()
            if self._rank == 13:
                obey(b"wait=" + folder.rpartition("/runs/")[0].encode() + b"/../gate ")
        with open(f"{folder}/adapter_config.json", "wb") as file:
            file.write(b"{}")

    def load(self, folder: str, *, optimizer: bool) -> None:
        with open(f"{folder}/{FILE}", "rb") as file:
            self._kept = msgspec.json.decode(file.read(), type=Kept)

    def sampler(self) -> DoubleSampler:
        return DoubleSampler(self._kept)


class DoubleModels:
    names = ("double",)

    def path(self, name: str) -> str:
        return "/nowhere"

    def context_length(self, name: str) -> int:
        return 64

    def trainer(self, base: str, lora: Lora) -> DoubleTrainer:
        if base not in self.names:
            raise UserError(f"unknown base model {base!r}")
        return DoubleTrainer(lora)

    def sampler(self, base: str, folder: str | None) -> DoubleSampler:
        trainer = DoubleTrainer(Lora(rank=0))
        if folder is not None:
            trainer.load(folder, optimizer=False)
        return trainer.sampler()


def obey(body: bytes) -> None:
    """Do what the words in it say."""
    if b"refuse" in body:
        raise UserError("the double was told to refuse")
    if b"break" in body:
        raise ZeroDivisionError("the double was told to break")
    gate = re.search(rb"wait=([!-~]+)", body)
    if gate:
        with open(gate[1], "rb") as pipe:  # ends when whoever opened it closes it
            pipe.read()
