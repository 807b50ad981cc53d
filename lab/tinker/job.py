"""What a recipe works with: its params, its files, the model under training, and others to sample from.

Every call is one answer of the service, waited for no longer than the SPEC says, and counted. Futures stay inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from random import Random

    from lab.core.chunk import Ends, Order
    from lab.core.parameter import Scalar
    from lab.tinker.data import Datum, Sample, Trained
    from lab.tinker.tokenizer import Tokenizer


class Sampler:
    """A model that answers."""

    def sample(
        self,
        prompt: Sequence[int],
        n: int = 1,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        seed: int | None = None,
        stop: Sequence[str] | Sequence[int] | None = None,
    ) -> list[Sample]:
        """`n` continuations of a prompt."""
        raise NotImplementedError

    def sample_each(
        self,
        prompts: Sequence[Sequence[int]],
        n: int = 1,
        *,
        max_tokens: int,
        temperature: float = 1.0,
        seeds: Sequence[int] | None = None,
        stop: Sequence[str] | Sequence[int] | None = None,
    ) -> list[list[Sample]]:
        """The same for many prompts, which are asked at once."""
        raise NotImplementedError

    def logprobs(self, tokens: Sequence[int]) -> list[float]:
        """How likely each token was after those before it; one number fewer than tokens, the first has none."""
        raise NotImplementedError

    def logprobs_each(self, sequences: Sequence[Sequence[int]]) -> list[list[float]]:
        """The same for many sequences, which are asked at once."""
        raise NotImplementedError


class Job:
    """One chunk, as its recipe sees it."""

    order: Order
    params: Mapping[str, Scalar]
    earlier: Mapping[str, Ends]  # by tier: what the trainings before this one left
    fixed: Mapping[str, str]  # the paths of the models that were fixed before step 0

    def number(self, name: str, default: float) -> float:
        """A param as a number."""
        raise NotImplementedError

    def whole(self, name: str, default: int) -> int:
        """A param as a whole number."""
        raise NotImplementedError

    def text(self, name: str, default: str) -> str:
        """A param as a word."""
        raise NotImplementedError

    def flag(self, name: str, *, default: bool) -> bool:
        """A param as yes or no."""
        raise NotImplementedError

    def file(self, path: str) -> str:
        """Where a file is: beside the recipe, or else in the workspace."""
        raise NotImplementedError

    def seed_of(self, step: int, *names: str | int) -> int:
        """A seed for one use in one step: the same in every chunking, another for every step, name and order."""
        raise NotImplementedError

    def chance(self, step: int, *names: str | int) -> Random:
        """The same as a source of chance."""
        raise NotImplementedError

    @property
    def tokenizer(self) -> Tokenizer:
        """Of the base model; loaded when it is first asked for."""
        raise NotImplementedError

    def train(
        self,
        data: Sequence[Datum],
        loss: str = "cross_entropy",
        *,
        learning_rate: float,
        config: Mapping[str, float] | None = None,
        weight_decay: float = 0.0,
        grad_clip_norm: float = 0.0,
    ) -> Trained:
        """One optimizer step on these data (Adam: beta 0.9, 0.95, eps 1e-8)."""
        raise NotImplementedError

    def forward(self, data: Sequence[Datum], loss: str = "cross_entropy") -> Trained:
        """The same without learning."""
        raise NotImplementedError

    def sampler(self, path: str = "") -> Sampler:
        """The model under training as it is now, or the one at a path. The first is made anew after each `train`."""
        raise NotImplementedError

    def snapshot(self, name: str) -> str:
        """Save the model under training, to be sampled from, and return its path; for `Recipe.fix`."""
        raise NotImplementedError
