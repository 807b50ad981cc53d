"""What a recipe gives to a training and gets back: plain numbers, which a test can make without a service."""

from __future__ import annotations

import msgspec

from lab.core.errors import LabError

LOSSES = ("cross_entropy", "importance_sampling", "ppo", "cispo", "dro", "gspo", "stable_reinforce")


class Datum(msgspec.Struct, frozen=True, kw_only=True):
    """One sequence to train on: `targets[i]` is what should follow `tokens[i]`; every list is as long as `tokens`.

    Which lists a loss reads: cross_entropy targets and weights; importance_sampling, ppo and cispo targets, logprobs
    (as they were sampled) and advantages. All losses are sums over tokens: a rate that fits a batch fits no larger one.
    """

    tokens: list[int]
    targets: list[int]
    weights: list[float] | None = None
    logprobs: list[float] | None = None
    advantages: list[float] | None = None


class Trained(msgspec.Struct, frozen=True, kw_only=True):
    """What one optimizer step, or one forward pass, told."""

    logprobs: list[list[float]]  # of each target, in the order of the data, before the step
    metrics: dict[str, float] = {}  # what the service added, as it names it; may be empty
    loss: float | None = None  # the sum over all tokens, where the service tells it


class Trouble(LabError):
    """The training has come apart: no further step makes sense until a person has looked at it."""

    def __init__(self, what: str) -> None:
        fix = "nothing of this chunk was saved; try a smaller learning rate, or grad_clip_norm"
        super().__init__(f"{what}: the training has come apart", fix=fix)


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """One continuation. `stopped` says that it ended by itself, not by its length."""

    tokens: list[int]
    logprobs: list[float]
    stopped: bool = False


class Adam(msgspec.Struct, frozen=True, kw_only=True):
    """One step of the optimizer."""

    learning_rate: float
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-8
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0  # 0: the gradient is taken as it is


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How samples are drawn. Without `seeds`, one for each prompt, the service draws its own."""

    max_tokens: int
    temperature: float = 1.0
    seeds: list[int] | None = None
    stop: list[str] | list[int] | None = None  # None: the token that ends an answer


def supervised(prompt: list[int], completion: list[int], scale: float = 1.0) -> Datum:
    """Learn to say `completion` after `prompt`, which must hold a token; `scale` weighs each of its tokens."""
    joined = [*prompt, *completion]
    weights = [0.0] * (len(prompt) - 1) + [scale] * len(completion)
    return Datum(tokens=joined[:-1], targets=joined[1:], weights=weights)


def rollout(prompt: list[int], sample: Sample, advantage: float) -> Datum:
    """Make `sample`, which followed `prompt`, likelier by its advantage, or less likely where that is negative."""
    before = len(prompt) - 1
    return Datum(
        tokens=[*prompt, *sample.tokens[:-1]],
        targets=[*([0] * before), *sample.tokens],
        logprobs=[*([0.0] * before), *sample.logprobs],
        advantages=[*([0.0] * before), *([advantage] * len(sample.tokens))],
    )
