"""The arithmetic of the model in fewer passes over memory: the same mathematics as the plain lines beside each.

On a CPU, which takes one operation after the other, they make a step a quarter faster (scripts/bench/train.py). Where a
compiler fuses operations, and on other devices, the plain lines are what runs. The loss is made piece by piece
everywhere: the logits of all tokens at once would be most of the memory of a small model.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # as everybody writes it
from torch import Tensor
from torch.autograd import Function

EPS = 1e-6  # beside a mean square, as rms_norm has it: what is nearly 0 has one norm on every device
PIECE = 256  # rows of a product at a time: what it reads and writes stays in the cache of a core


def by_hand(x: Tensor) -> bool:
    """Whether the slopes are made here: a CPU's fp32, not compiled."""
    return x.device.type == "cpu" and x.dtype == torch.float32 and not torch.compiler.is_compiling()


def norm(x: Tensor) -> Tensor:
    """To a root mean square of 1 along the last axis."""
    return Norm.apply(x) if by_hand(x) else F.rms_norm(x, (x.size(-1),), eps=EPS)


def inverse_size(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_().div_(x.size(-1)).add_(EPS).rsqrt_()


def through_norm(slope: Tensor, y: Tensor, inverse: Tensor) -> Tensor:
    along = torch.linalg.vecdot(slope, y).unsqueeze(-1)
    return torch.addcmul(slope, y, along, value=-1.0 / y.size(-1)).mul_(inverse)


class Norm(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        inverse = inverse_size(x)
        y = x * inverse
        ctx.save_for_backward(y, inverse)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Tensor:
        return through_norm(slope, *ctx.saved_tensors)


def turned(x: Tensor, waves: Tensor) -> Tensor:
    """Normed, and each pair of channels turned by its position. `waves` is cosine and sine in a last axis of two."""
    if by_hand(x):
        return Turned.apply(x, torch.view_as_complex(waves))
    (a, b), (cosine, sine) = norm(x).unflatten(-1, (-1, 2)).unbind(-1), waves.to(x.dtype).unbind(-1)
    return torch.stack([a * cosine - b * sine, a * sine + b * cosine], dim=-1).flatten(-2)


def pairs(x: Tensor) -> Tensor:
    return torch.view_as_complex(x.unflatten(-1, (-1, 2)))


class Turned(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, waves: Tensor) -> Tensor:
        inverse = inverse_size(x)
        y = torch.view_as_real(pairs(x) * waves).flatten(-2).mul_(inverse)  # to turn changes no size
        ctx.save_for_backward(y, inverse, waves)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, None]:
        y, inverse, waves = ctx.saved_tensors
        back = pairs(through_norm(slope, y, inverse)).mul_(waves.conj())
        return torch.view_as_real(back).flatten(-2), None


def mixed(x: Tensor, share: Tensor, first: Tensor, first_share: Tensor) -> Tensor:
    """So much of the one and so much of the other."""
    if by_hand(x):
        return Mixed.apply(x, share, first, first_share)
    return x * share.to(x.dtype) + first * first_share.to(x.dtype)


class Mixed(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, share: Tensor, first: Tensor, first_share: Tensor) -> Tensor:
        ctx.save_for_backward(x, share, first, first_share)
        return torch.addcmul(x * share, first, first_share)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        x, share, first, first_share = ctx.saved_tensors
        flat = slope.flatten()
        return slope * share, torch.dot(flat, x.flatten()), slope * first_share, torch.dot(flat, first.flatten())


def squared_relu_mlp(x: Tensor, up: Tensor, down: Tensor) -> Tensor:
    """To four times as wide, ReLU, squared, and back. `down` lies on its side, so that both are of one form."""
    if by_hand(x):
        return Mlp.apply(x.flatten(0, -2), up, down).view_as(x)
    return F.linear(x, up).relu().square() @ down


class Mlp(Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, up: Tensor, down: Tensor) -> Tensor:
        above, y = x.new_empty(len(x), len(up)), torch.empty_like(x)
        for piece, part, out in zip(x.split(PIECE), above.split(PIECE), y.split(PIECE), strict=True):
            torch.mm(piece, up.T, out=part).relu_()
            torch.mm(part.square(), down, out=out)
        ctx.save_for_backward(x, above, up, down)
        return y

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        x, above, up, down = ctx.saved_tensors
        x_slope, up_slope, down_slope = torch.empty_like(x), torch.zeros_like(up), torch.zeros_like(down)
        pieces = (one.split(PIECE) for one in (x, above, slope, x_slope))
        for piece, part, given, out in zip(*pieces, strict=True):
            inner = torch.mm(given, down.T).mul_(part).mul_(2.0)
            down_slope.addmm_(part.square().T, given)
            torch.mm(inner, up, out=out)
            up_slope.addmm_(inner.T, piece)
        return x_slope, up_slope, down_slope


def logits(x: Tensor, head: Tensor, softcap: float) -> Tensor:
    """Bent to stay within the cap, in fp32."""
    share = (x @ head.to(x.dtype).T).float().mul_(2.0 / softcap).sigmoid_()  # as in HeadLoss
    if torch.is_grad_enabled():
        return share * (2.0 * softcap) - softcap
    return share.mul_(2.0 * softcap).sub_(softcap)  # of evaluation: two tensors of 8 MB less for every piece


def head_loss(x: Tensor, head: Tensor, targets: Tensor, softcap: float) -> Tensor:
    """Nats of all targets together: cross entropy of the logits above, without ever holding all of them."""
    return HeadLoss.apply(x.flatten(0, -2), head, targets.flatten(), softcap)


def head_rows(kind: str, vocab: int) -> int:
    """How many tokens' logits are there at once."""
    return max(16, (1 << 18 if kind == "cpu" else 1 << 27) // vocab)


class HeadLoss(Function):
    """Its slopes are made in the same pass. Bent logits need no maximum taken off before they are raised."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, head: Tensor, targets: Tensor, softcap: float) -> Tensor:
        weight, rows = head.to(x.dtype), head_rows(x.device.type, len(head))
        x_slopes, head_slope, nats = [], torch.zeros_like(head), x.new_zeros((), dtype=torch.float32)
        for piece, target in zip(x.split(rows), targets[:, None].split(rows), strict=True):
            # cap * tanh(z / cap) is 2 * cap * sigmoid(2 * z / cap) - cap, and a sigmoid costs a third of a tanh
            share = (piece @ weight.T).float().mul_(2.0 / softcap).sigmoid_()
            likely = (share * (2.0 * softcap)).sub_(softcap)
            wanted = likely.gather(1, target)
            total = likely.exp_().sum(1, keepdim=True)
            nats = nats + (total.log() - wanted).sum()
            likely = likely.mul_(total.reciprocal()).scatter_add_(1, target, -torch.ones_like(wanted))
            slope = torch.ops.aten.sigmoid_backward(likely, share).to(x.dtype)  # a quarter of it: backward makes it up
            x_slopes.append(slope @ weight)
            head_slope = head_slope.addmm_(slope.T, piece) if by_hand(x) else head_slope + slope.T @ piece
        ctx.save_for_backward(torch.cat(x_slopes), head_slope)
        return nats

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> tuple[Tensor, Tensor, None, None]:
        x_slope, head_slope = ctx.saved_tensors
        return x_slope * (4.0 * slope).to(x_slope.dtype), head_slope * (4.0 * slope), None, None
