"""The losses, and everything that can be wrong with what they are given.

Each is a sum over tokens, and over data: twice the data is twice the gradient. Of the service's losses dro, gspo,
stable_reinforce and those that a client brings as code are not here.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec
import torch
from torch import Tensor  # msgspec reads the annotations

from lab.core.errors import nearest
from lab.tinker.local.training import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lab.tinker.local.wire import Batch, Item

TARGETS = "target_tokens"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What a loss reads: lists of numbers beside the targets, and the settings of the request with their defaults."""

    needs: tuple[str, ...] = ()
    may_have: tuple[str, ...] = ()
    low: float | None = None  # of clip_low_threshold; None: the loss clips nothing, and has no such setting
    high: float | None = None

    @property
    def settings(self) -> dict[str, float]:
        """The defaults. They are thresholds of the ratio itself, and not how far it may be from 1."""
        if self.low is None or self.high is None:
            return {}
        return {"clip_low_threshold": self.low, "clip_high_threshold": self.high}


SAMPLED = ("logprobs", "advantages")
RULES: dict[str, Rule] = {
    # The SDK sends no weights where it only asks for logprobs, for a loss that the client computes by itself.
    "cross_entropy": Rule(may_have=("weights",)),
    "importance_sampling": Rule(needs=SAMPLED),
    "ppo": Rule(needs=SAMPLED, low=0.8, high=1.2),
    "cispo": Rule(needs=SAMPLED, low=0.0, high=4.0),
}


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One datum that was found good."""

    tokens: list[int]
    targets: Tensor
    inputs: dict[str, Tensor]


class Loss(msgspec.Struct, frozen=True, kw_only=True):
    """One loss with its settings."""

    name: str
    low: float = 0.0
    high: float = math.inf

    def of(self, logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
        """The sum over the tokens of one datum."""
        return LOSSES[self.name](self, logprobs, inputs)


def _cross_entropy(_loss: Loss, logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    return -(logprobs * inputs["weights"]).sum()


def _importance_sampling(_loss: Loss, logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    return -(_ratio(logprobs, inputs) * inputs["advantages"]).sum()


def _ppo(loss: Loss, logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """The worse of the two, so that a ratio beyond its threshold gains nothing more."""
    ratio, advantages = _ratio(logprobs, inputs), inputs["advantages"]
    return -torch.minimum(ratio * advantages, ratio.clamp(loss.low, loss.high) * advantages).sum()


def _cispo(loss: Loss, logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    """The ratio is a weight here, through which no gradient goes."""
    weights = _ratio(logprobs, inputs).clamp(loss.low, loss.high).detach()
    return -(weights * logprobs * inputs["advantages"]).sum()


def _ratio(logprobs: Tensor, inputs: Mapping[str, Tensor]) -> Tensor:
    return (logprobs - inputs["logprobs"]).exp()


LOSSES: dict[str, Callable[[Loss, Tensor, Mapping[str, Tensor]], Tensor]] = {
    "cross_entropy": _cross_entropy,
    "importance_sampling": _importance_sampling,
    "ppo": _ppo,
    "cispo": _cispo,
}


def judged(batch: Batch, *, context: int, vocabulary: int) -> tuple[Loss, list[Task]]:
    """The loss and its data, or UserError: all of it is looked at before any of it is computed."""
    rule = RULES.get(batch.loss)
    if rule is None:
        raise UserError(f"the loss {batch.loss!r} is not supported here; these are: {', '.join(RULES)}")
    if not batch.items:
        raise UserError("there is no datum in the request")
    loss = _loss(batch, rule)
    tasks = []
    for number, item in enumerate(batch.items):
        try:
            tasks.append(_task(batch.loss, rule, item, context, vocabulary))
        except UserError as error:
            raise UserError(f"datum {number}: {error}") from None
    return loss, tasks


def _loss(batch: Batch, rule: Rule) -> Loss:
    settings = rule.settings
    for name, value in batch.config.items():
        if name not in settings:
            known = f"; it takes {' and '.join(settings)}" if settings else "; it takes none"
            raise UserError(f"{batch.loss} has no setting {name!r}{known}")
        if not math.isfinite(value):
            raise UserError(f"{name} is {value}; it must be a finite number")
        settings[name] = value
    if not settings:
        return Loss(name=batch.loss)
    low, high = settings["clip_low_threshold"], settings["clip_high_threshold"]
    if low > high:
        raise UserError(f"clip_low_threshold is {low:g}, which is more than clip_high_threshold, {high:g}")
    return Loss(name=batch.loss, low=low, high=high)


def _task(loss: str, rule: Rule, item: Item, context: int, vocabulary: int) -> Task:
    length = len(item.tokens)
    if not length:
        raise UserError("no token goes into the model")
    if length > context:
        raise UserError(f"{length} tokens go into the model, which takes {context} at most")
    _within("its input", item.tokens, vocabulary)
    known = (TARGETS, *rule.needs, *rule.may_have)
    for name in (TARGETS, *rule.needs):
        if name not in item.inputs:
            raise UserError(f"{loss} needs {name}, which is missing")
    for name, values in item.inputs.items():
        if name not in known:
            close = nearest(name, known)
            hint = f"did you mean {close}?" if close else f"it takes {', '.join(known)}"
            raise UserError(f"{loss} takes no {name}; {hint}")
        if len(values) != length:
            raise UserError(f"{name} has {len(values)} numbers, but {length} tokens go into the model")
        _finite(name, values)
    targets = [int(each) for each in item.inputs[TARGETS]]
    if targets != item.inputs[TARGETS]:
        raise UserError(f"{TARGETS} has numbers that are not whole")
    _within(TARGETS, targets, vocabulary)
    inputs = {name: torch.tensor(item.inputs[name], dtype=torch.float32) for name in known[1:] if name in item.inputs}
    if loss == "cross_entropy" and "weights" not in inputs:
        inputs["weights"] = torch.ones(length)
    return Task(tokens=item.tokens, targets=torch.tensor(targets), inputs=inputs)


def _finite(name: str, values: list[float]) -> None:
    for place, value in enumerate(values):
        if not math.isfinite(value):
            raise UserError(f"{name}[{place}] is {value}; one such number would spoil every weight")


def _within(name: str, tokens: list[int], vocabulary: int) -> None:
    for place, token in enumerate(tokens):
        if not 0 <= token < vocabulary:
            raise UserError(f"{name} has the token {token} at {place}; the model knows 0 to {vocabulary - 1}")
