"""The arithmetic of preferences: the DPO loss with its gradient in closed form, and who wins a round robin. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class Dpo(msgspec.Struct, frozen=True, kw_only=True):
    """One batch of pairs. `chosen` and `rejected` weigh their tokens in a cross entropy with the gradient of `loss`."""

    loss: float  # mean of -log sigmoid(beta * margin); log 2 where the policy is the reference
    accuracy: float  # share of pairs in which the chosen answer gained more than the rejected one
    margin: float  # mean of beta * margin: the implicit reward of chosen over rejected
    chosen: tuple[float, ...]
    rejected: tuple[float, ...]


def dpo(chosen: Sequence[float], rejected: Sequence[float], beta: float) -> Dpo:
    """The loss of pairs, given by how many nats the policy likes each answer more than the reference does.

    d loss / d margin = -beta * sigmoid(-beta * margin) / pairs. A cross entropy whose tokens of a chosen answer weigh
    the negative of that, and those of a rejected one the same with the sign turned, has this gradient and no other.
    """
    margins = [one - other for one, other in zip(chosen, rejected, strict=True)]
    count = len(margins)
    pull = [beta * _sigmoid(-beta * margin) / count for margin in margins]
    return Dpo(
        loss=sum(_softplus(-beta * margin) for margin in margins) / count,
        accuracy=sum(margin > 0 for margin in margins) / count,
        margin=beta * sum(margins) / count,
        chosen=tuple(pull),
        rejected=tuple(-each for each in pull),
    )


def ordered_pairs(count: int) -> Iterator[tuple[int, int]]:
    """Everyone against everyone, and each pair in both orders: a judge that likes what stands first is evened out."""
    return ((one, other) for one in range(count) for other in range(count) if one != other)


def win_rates(count: int, outcomes: Sequence[tuple[int, int, float]]) -> list[float]:
    """The share of its comparisons that each of `count` won. An outcome is (first, second, what the first got: 0 to 1).

    Where the judge said neither, give 0.5, or answers that confuse the judge would all be losers. Over a full round
    robin the rates have the mean 0.5 whatever the answers are, so that mean measures nothing.
    """
    won, met = [0.0] * count, [0] * count
    for first, second, share in outcomes:
        won[first] += share
        won[second] += 1 - share
        met[first] += 1
        met[second] += 1
    return [got / of if of else 0.5 for got, of in zip(won, met, strict=True)]


def _sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
