"""The reference training step, written plainly: what `templates/gpu-training/train.py` is measured against.

The design is that of karpathy's autoresearch at the template's CPU size, as it is built there: one parameter
a matrix, full logits in fp32, AdamW by torch, Muon over weights of one shape that are stacked anew at every step.
Nothing is slowed down: it runs in fp32, with the threads and the waiting of OpenMP that ours runs with.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

HEAD, GATE = 128, 32
SOFTCAP = 15.0
# The five quintic steps of Polar Express (arXiv 2505.16932): each maps singular values nearer to one.
POLAR = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


def norm(x: Tensor) -> Tensor:
    return F.rms_norm(x, (x.size(-1),))


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    half = x.size(3) // 2
    left, right = x[..., :half], x[..., half:]
    return torch.cat([left * cos + right * sin, right * cos - left * sin], dim=3)


class Attention(nn.Module):
    def __init__(self, width: int, *, values: bool) -> None:
        super().__init__()
        self.heads = width // HEAD
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        self.out = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(GATE, self.heads, bias=False) if values else None

    def forward(self, x: Tensor, extra: Tensor | None, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        batch, length, width = x.shape
        q, k, v = (each(x).view(batch, length, self.heads, HEAD) for each in (self.query, self.key, self.value))
        if self.gate is not None and extra is not None:
            gate = 2 * torch.sigmoid(self.gate(x[..., :GATE]))
            v = v + gate.unsqueeze(-1) * extra.view(batch, length, self.heads, HEAD)
        q, k = norm(rotate(q, *turn)), norm(rotate(k, *turn))
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=mask is None)
        out: Tensor = self.out(y.transpose(1, 2).reshape(batch, length, width))
        return out


class Block(nn.Module):
    def __init__(self, width: int, *, values: bool) -> None:
        super().__init__()
        self.attention = Attention(width, values=values)
        self.wide = nn.Linear(width, 4 * width, bias=False)
        self.narrow = nn.Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor, extra: Tensor | None, turn: tuple[Tensor, Tensor], mask: Tensor | None) -> Tensor:
        x = x + self.attention(norm(x), extra, turn, mask)
        grown: Tensor = self.narrow(F.relu(self.wide(norm(x))).square())
        return x + grown


class Plain(nn.Module):
    """The model. `windows` is a letter a layer, repeated: S sees half a row, L all of it; the last is always L."""

    def __init__(self, *, vocab: int, depth: int, width: int, length: int, windows: str = "SSSL") -> None:
        super().__init__()
        self.tokens = nn.Embedding(vocab, width)
        self.blocks = nn.ModuleList(Block(width, values=_has_values(at, depth)) for at in range(depth))
        self.values = nn.ModuleDict(
            {str(at): nn.Embedding(vocab, width) for at in range(depth) if _has_values(at, depth)}
        )
        self.head = nn.Linear(width, vocab, bias=False)
        self.kept = nn.Parameter(torch.ones(depth))
        self.first = nn.Parameter(torch.full((depth,), 0.1))
        angle = torch.outer(torch.arange(length), 10_000.0 ** -(torch.arange(0, HEAD, 2) / HEAD))
        self.turn = (angle.cos()[None, :, None, :], angle.sin()[None, :, None, :])
        back = torch.arange(length)[:, None] - torch.arange(length)[None, :]
        near = (back >= 0) & (back < length // 2)
        letters = [*(windows[at % len(windows)] for at in range(depth - 1)), "L"]
        self.masks = [near if letter == "S" else None for letter in letters]
        self._begin(width)

    @torch.no_grad()
    def _begin(self, width: int) -> None:
        spread = math.sqrt(3 / width)
        nn.init.normal_(self.tokens.weight)
        nn.init.normal_(self.head.weight, std=0.001)
        for name, weight in self.named_parameters():
            if name.endswith(("out.weight", "narrow.weight", "gate.weight")):
                nn.init.zeros_(weight)
            elif name.startswith(("blocks", "values")):
                nn.init.uniform_(weight, -spread, spread)

    def forward(self, tokens: Tensor) -> Tensor:
        """The logits."""
        x = norm(self.tokens(tokens))
        first = x
        for at, block in enumerate(self.blocks):
            x = self.kept[at] * x + self.first[at] * first
            extra = self.values[str(at)](tokens) if str(at) in self.values else None
            x = block(x, extra, self.turn, self.masks[at])
        logits = self.head(norm(x)).float()
        return SOFTCAP * torch.tanh(logits / SOFTCAP)

    def losses(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """The nats of each target."""
        logits = self(tokens)
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction="none").view(targets.shape)


def _has_values(at: int, depth: int) -> bool:
    return at % 2 == (depth - 1) % 2


class Muon:
    """Steps of orthogonal matrices: Nesterov momentum, Polar Express, a factored second moment, cautious decay."""

    def __init__(self, weights: Iterable[nn.Parameter], *, rate: float) -> None:
        self.rate = rate
        groups: dict[torch.Size, list[nn.Parameter]] = {}
        for weight in weights:
            groups.setdefault(weight.shape, []).append(weight)
        self.groups = list(groups.values())
        self.momenta = [torch.zeros(len(each), *each[0].shape) for each in self.groups]
        self.second = [torch.zeros(len(each), *_row(each[0].shape)) for each in self.groups]

    @torch.no_grad()
    def step(self, share: float, momentum: float, decay: float) -> None:
        for weights, mean, second in zip(self.groups, self.momenta, self.second, strict=True):
            rate = self.rate * share * max(1.0, weights[0].size(0) / weights[0].size(1)) ** 0.5
            grads = torch.stack([weight.grad for weight in weights if weight.grad is not None])
            mean.lerp_(grads, 1 - momentum)
            update = _scaled(polar(grads.lerp_(mean, momentum)), second)
            stacked = torch.stack(list(weights))
            kept = (update * stacked) >= 0
            stacked.sub_(rate * update + rate * decay * stacked * kept)
            for weight, new in zip(weights, stacked.unbind(), strict=True):
                weight.copy_(new)


def polar(x: Tensor) -> Tensor:
    """Matrices whose singular values are near one. Tall ones are multiplied from the right: a small Gram matrix."""
    x = x / (x.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    for a, b, c in POLAR:
        gram = x.mT @ x if x.size(-2) > x.size(-1) else x @ x.mT
        mixed = b * gram + c * (gram @ gram)
        x = a * x + (x @ mixed if x.size(-2) > x.size(-1) else mixed @ x)
    return x


def _row(shape: Sequence[int]) -> tuple[int, int]:
    return (shape[0], 1) if shape[0] >= shape[1] else (1, shape[1])


def _scaled(update: Tensor, second: Tensor, beta: float = 0.95) -> Tensor:
    """The rows (or columns) of a step made equally long, at the same size of the whole."""
    along = -1 if update.size(-2) >= update.size(-1) else -2
    count = update.size(along)
    mean = update.square().mean(dim=along, keepdim=True)
    before = (mean.sum(dim=(-2, -1), keepdim=True) * count).sqrt()
    second.lerp_(mean, 1 - beta)
    scale = second.clamp_min(1e-10).rsqrt()
    after = (mean * count * scale.square()).sum(dim=(-2, -1), keepdim=True).sqrt()
    return update * (scale * (before / after.clamp_min(1e-10)))


class Trainer:
    """The model, its optimizers and the schedule over a known number of steps."""

    def __init__(
        self, *, vocab: int, steps: int, seed: int, depth: int = 2, width: int = 128, length: int = 128
    ) -> None:
        torch.manual_seed(seed)
        self.model = Plain(vocab=vocab, depth=depth, width=width, length=length)
        self.steps, self.done = steps, 0
        scale = (width / 768) ** -0.5
        model = self.model
        groups = [
            {"params": [model.head.weight], "lr": 0.004 * scale, "betas": (0.8, 0.95)},
            {"params": [model.tokens.weight], "lr": 0.6 * scale, "betas": (0.8, 0.95)},
            {"params": list(model.values.parameters()), "lr": 0.6 * scale, "betas": (0.8, 0.95)},
            {"params": [model.kept], "lr": 0.5 * 0.01, "betas": (0.8, 0.95)},
            {"params": [model.first], "lr": 0.5, "betas": (0.96, 0.95)},
        ]
        self.adam = torch.optim.AdamW(groups, eps=1e-10, weight_decay=0.0, fused=True)
        self.rates = [float(group["lr"]) for group in self.adam.param_groups]
        self.muon = Muon(model.blocks.parameters(), rate=0.04)

    def step(self, batches: Sequence[tuple[Tensor, Tensor]]) -> float:
        """One step over the batches, whose gradients add up. The mean nats of a target."""
        total = 0.0
        for tokens, targets in batches:
            loss = F.cross_entropy(self.model(tokens).flatten(0, 1), targets.flatten()) / len(batches)
            loss.backward()  # type: ignore[no-untyped-call]
            total += loss.item()
        progress = self.done / self.steps
        share = min(1.0, (1 - progress) / 0.5)
        for group, rate in zip(self.adam.param_groups, self.rates, strict=True):
            group["lr"] = rate * share
        self.adam.step()
        self.muon.step(share, 0.85 + 0.1 * min(1.0, self.done / 300), 0.2 * (1 - progress))
        self.model.zero_grad(set_to_none=True)
        self.done += 1
        return total
