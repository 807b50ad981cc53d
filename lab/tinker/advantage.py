"""The arithmetic of reinforcement learning on groups of samples: advantages, and how far two policies are apart."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.tinker.data import Sample


def advantages(rewards: Sequence[float]) -> list[float]:
    """By how much each sample of a group beat its mean. Not divided by the spread: an easy prompt weighs no more."""
    mean = sum(rewards) / len(rewards)
    return [reward - mean for reward in rewards]


def has_signal(rewards: Sequence[float]) -> bool:
    """Whether a group teaches anything: where all of its rewards are the same, each advantage is nothing."""
    return len(set(rewards)) > 1


def kl(samples: Sequence[Sample], logprobs: Sequence[Sequence[float]]) -> float:
    """An estimate of KL(what sampled || what trains) in nats a token, from what the sampled tokens had in both.

    `logprobs` are those of a training step on the samples, each at the end of its sequence. About nothing where the
    weights that sampled are those that train. One batch estimates it, so it can be below zero.
    """
    apart = count = 0.0
    for sample, told in zip(samples, logprobs, strict=True):
        trained = told[len(told) - len(sample.tokens) :]
        apart += sum(one - other for one, other in zip(sample.logprobs, trained, strict=True))
        count += len(sample.tokens)
    return apart / count if count else 0.0
