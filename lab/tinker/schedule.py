"""What a step of a training trains on, with which seed and at which rate: functions of the step alone. Pure.

Nothing here knows where a chunk begins or ends, so that a training in chunks meets the same batches, draws the same
samples and moves at the same rates as one in one go. How many examples there are and the seed have to stay the same.
"""

from __future__ import annotations

import math
from random import Random
from typing import Literal, get_args

from lab.core.errors import BadInput, nearest

Shape = Literal["constant", "linear", "cosine"]
SHAPES: tuple[str, ...] = get_args(Shape)


def permutation(epoch: int, count: int, seed: int) -> list[int]:
    """The order of the examples in one epoch; each of them stands in it once."""
    order = list(range(count))
    Random(f"{seed}/epoch/{epoch}").shuffle(order)
    return order


def batch(step: int, size: int, count: int, seed: int) -> list[int]:
    """Which of `count` examples the step trains on.

    The steps go through one epoch after the other without a gap: where the examples are no multiple of the batch, the
    batch that ends an epoch begins the next one as well.
    """
    if count < 1 or size < 1:
        raise BadInput(
            f"a batch of {size} out of {count} examples cannot be made", fix="give at least one example, and batch >= 1"
        )
    orders: dict[int, list[int]] = {}
    chosen = []
    for place in range(step * size, (step + 1) * size):
        epoch, index = divmod(place, count)
        if epoch not in orders:
            orders[epoch] = permutation(epoch, count, seed)
        chosen.append(orders[epoch][index])
    return chosen


def learning_rate(step: int, *, peak: float, steps: int, shape: str = "constant", warmup: int = 0) -> float:
    """The rate of a step. It grows to `peak` within `warmup` steps, then stays, or falls to nothing after `steps`.

    The first step already learns and so does the last: a rate of zero would be a step that is paid for nothing.
    """
    if shape not in SHAPES:
        near = nearest(shape, SHAPES)
        hint = f"did you mean {near}?" if near else f"known are {', '.join(SHAPES)}"
        raise BadInput(f"there is no schedule {shape!r} of the learning rate", fix=hint)
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    if shape == "constant":
        return peak
    done = min((step - warmup) / max(1, steps - warmup), 1.0)
    return peak * (1 - done) if shape == "linear" else peak * 0.5 * (1 + math.cos(math.pi * done))
