"""What the door asks of the models behind it.

The door (HTTP, sessions, order, checkpoints' names and places) knows no tensor; the models know no request but these.
Everything here is called from one thread, the server's worker, except `Models.names` and `Models.path`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


MOST_SAMPLES = 4096  # of one request


class UserError(Exception):
    """The request cannot be done as it was asked. Told to the client in these words; nothing was changed by it."""


class Lora(msgspec.Struct, frozen=True, kw_only=True):
    """What is trained on top of a base model."""

    rank: int = 32
    seed: int | None = None
    train_unembed: bool = True
    train_mlp: bool = True
    train_attn: bool = True


class Piece(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a prompt. `type` other than "encoded_text" (an image, sound) has no tokens and is to be refused."""

    type: str = "encoded_text"
    tokens: list[int] = []


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    chunks: list[Piece] = []


class Tensor(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor as JSON has it; sparse (CSR) where the last two are given."""

    data: list[float] = []
    dtype: str = "int64"
    shape: list[int] | None = None
    sparse_crow_indices: list[int] | None = None
    sparse_col_indices: list[int] | None = None


class Sampling(msgspec.Struct, frozen=True, kw_only=True):
    """`stop`: None stops at the end-of-text token, an empty list never."""

    max_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str | int] | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """The body of `asample`, with what addresses it."""

    prompt: Prompt
    sampling_params: Sampling = Sampling()
    num_samples: int = 1
    base_model: str | None = None
    model_path: str | None = None
    sampling_session_id: str | None = None
    seq_id: int | None = None
    prompt_logprobs: bool | None = None
    topk_prompt_logprobs: int = 0
    topk_sample_logprobs: int = 0
    target_prompt_logprobs: Tensor | None = None
    prompt_alt_tokens_k: int = 0
    prompt_logprobs_last_n: int | None = None
    record_stability_info: bool | None = None
    type: Literal["sample"] = "sample"


class Sampler(Protocol):
    """Weights that do not change any more."""

    @property
    def size_bytes(self) -> int:
        """What it keeps in memory for itself alone, beside its base model."""
        ...

    def sample(self, request: SampleRequest) -> bytes:
        """A serialized `SampleResponse` with `num_samples` sequences."""
        ...


class Trainer(Protocol):
    """One training run: a base model, its adapter, its optimizer."""

    @property
    def steps(self) -> int:
        """Optimizer steps inside these weights."""
        ...

    def forward_backward(self, request: bytes) -> bytes:
        """From a serialized `ForwardBackwardRequest` (also with `forward_only`) to a serialized output."""
        ...

    def optim_step(self, adam: Mapping[str, float]) -> dict[str, float]:
        """Apply the gradients and forget them. The metrics of the step.

        `adam`: what the client said, by its names. UserError for a name that is unknown here, or a number that is none.
        """
        ...

    def save(self, folder: str, *, optimizer: bool) -> None:
        """Write adapter files (PEFT's layout), with the optimizer's state where asked, into a folder that exists.

        The door syncs and publishes the folder. An OSError goes up as it is.
        """
        ...

    def load(self, folder: str, *, optimizer: bool) -> None:
        """Take over what `save` wrote. UserError where it does not fit."""
        ...

    def sampler(self) -> Sampler:
        """The weights as they are now, whatever the training does next. In memory: nothing of it reaches the disk.

        One is made in every step of a reinforcement, and the server keeps dozens: it copies the adapter, not the base.
        """
        ...


class Models(Protocol):
    """The base models of a server, by name."""

    @property
    def names(self) -> tuple[str, ...]: ...

    def path(self, name: str) -> str:
        """The folder of a base model, with its tokenizer. UserError for an unknown one."""
        ...

    def context_length(self, name: str) -> int: ...

    def trainer(self, base: str, lora: Lora) -> Trainer:
        """UserError for an unknown base or an adapter that cannot be."""
        ...

    def sampler(self, base: str, folder: str | None) -> Sampler:
        """Of a base model, or of one with the adapter that `Trainer.save` wrote into the folder."""
        ...
