"""Train a small GPT inside a budget, and tell its bits per byte on text that it has not seen.

It reads from top to bottom: what can be set, the model, the optimizer, what fits, a step. Three files beside it stay
as they are: prepare.py is data and measure, harness.py the budget's clock and checkpoints, machine.py the device.

    python train.py                                        on what is here: CUDA, MPS or CPU
    python train.py --budget 300s --depth 8 --width 512    five minutes
    python train.py --plan --vram-gb 24                    what would fit another card
    python train.py --resume checkpoint.pt                 goes on where it was stopped
    torchrun --standalone --max-restarts=1 --nproc-per-node 4 train.py      on several devices
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import harness  # isort: skip  # before torch: it sets what torch reads when it is loaded
import kernels
import numpy as np
import prepare
import torch
import torch.distributed as dist
import torch.nn.functional as F  # noqa: N812  # as everybody writes it
from harness import Bell, Progress, Run, attention_flops, knob, way
from kernels import mixed, norm, squared_relu_mlp, turned
from machine import Machine, Plan, cut_up, detect, fitting, megabytes, say, tell_plan
from prepare import Refused
from torch import Tensor, nn
from torch.nn.attention.flex_attention import create_block_mask, flex_attention
from torch.utils.checkpoint import checkpoint

if TYPE_CHECKING:
    from collections.abc import Callable

# ----------------------------------------------------------------------------------------------------- what can be set

# Where a knob is None the machine decides, between these.
ON_CPU: dict[str, Any] = {"depth": 2, "width": 128, "head_dim": 64, "batch_tokens": 2048, "scalar_lr": 0.05,
                          "weight_decay": 0.0}  # fmt: skip  # of half a million tokens there is little to forget
ON_MPS: dict[str, Any] = {"depth": 4, "width": 256, "head_dim": 64, "batch_tokens": 1 << 15, "scalar_lr": 0.05,
                          "weight_decay": 0.2}  # fmt: skip
ON_CUDA: dict[str, Any] = {"depth": 8, "width": 512, "head_dim": 128, "batch_tokens": 1 << 18, "scalar_lr": 0.5,
                           "weight_decay": 0.2}  # fmt: skip


@dataclass(frozen=True)
class Config:
    """Every field is a flag, in this order; in a flag `_` and `-` are the same."""

    # the model
    depth: int | None = knob(None, "layers; where it alone is given, the width is 64 a layer", 1, 128)
    width: int | None = knob(None, "channels, a multiple of head-dim", 16, 16384)
    head_dim: int | None = knob(None, "channels of a head, even", 8, 256)
    context: int | None = knob(None, "tokens of a row in training; as the data says if not given", 8, 1 << 20)
    windows: str = knob("SSSL", "attention by layer, repeated: S short, L long; the last layer is always long")
    short_window: int = knob(2, "a short window is the context divided by this", 1, 64)
    softcap: float = knob(15.0, "logits are bent to stay within this", 1, 60)
    rope_base: float = knob(10000.0, "longest wave of the rotary positions", 10, 1e9)
    qk_scale: float = knob(1.0, "attention is sharper by this, squared, than after plain normalisation", 0.1, 10)
    smear: bool = knob(default=True, about="mix in the token before, by a gate")
    # the optimizer
    batch_tokens: int | None = knob(None, "tokens of a step, over all devices, in whole rows", 8, 1 << 26)
    matrix_lr: float = knob(0.04, "rate of the matrices (Muon)", 0)
    embedding_lr: float = knob(0.6, "rate of the embeddings (AdamW) at width 768", 0)
    head_lr: float = knob(0.004, "rate of the head (AdamW) at width 768", 0)
    scalar_lr: float | None = knob(None, "rate of the scalars and gates (AdamW)", 0)
    weight_decay: float | None = knob(None, "of the matrices, where it agrees with the step; falls to 0", 0, 10)
    momentum: float = knob(0.95, "of Muon, once momentum-steps are over", 0, 0.9999)
    momentum_steps: int = knob(300, "steps in which the momentum rises from 0.85", 1, 1 << 30)
    # the schedule, by the share of the budget that is used
    warmup: float = knob(0.0, "share of the budget in which the rates rise", 0, 1)
    warmdown: float = knob(0.7, "share of the budget, its last, in which they fall", 0, 1)
    final_lr: float = knob(0.05, "what is left of them at the very end", 0, 1)
    seed: int = knob(1, "of the first weights and of the order of the data", 0, 1 << 31)
    dataset: str = knob("builtin", "builtin, climbmix or local:PATH")
    budget: str = knob("auto", "250steps, 300s, 2tflop (kflop to eflop), or auto")
    # how it is run
    device: str = way("auto", "auto, cpu, mps, cuda or cuda:N")
    precision: str = way("auto", "auto, fp32, bf16 or fp16")
    device_batch: int | None = way(None, "rows at once on a device; what fits if not given", 1, 1 << 20)
    checkpointing: str = way("auto", "gradient checkpointing: auto (where nothing else fits), on or off")
    compile: str = way("auto", "torch.compile: auto (on CUDA), on or off")
    threads: int | None = way(None, "of the CPU; OMP_NUM_THREADS, else up to 4, if not given", 1, 1024)
    vram_gb: float | None = way(None, "plan for a device with so much memory", 0.001, 1e6)
    warmup_steps: int | None = way(None, "steps that are run and rolled back before the clock starts", 0, 1000)
    checkpoint: str = way("", "where to save (else the run's artifacts, else ./checkpoint.pt)")
    checkpoint_every: float = way(600.0, "seconds between two saves", 0, 1e9)
    save_at_stop: bool = way(default=True, about="save where TERM or Ctrl-C ends it")
    keep_checkpoint: bool = way(default=False, about="leave the checkpoint, with the trained weights, at a good end")
    resume: str = way("", "the checkpoint to go on from; what is not given is as it says")
    plan: bool = way(default=False, about="tell the shape and the memory that it needs, and end")


# ----------------------------------------------------------------------------------------------------------- the model


@dataclass(frozen=True)
class Shape:
    """All that the model is made of."""

    vocab: int
    depth: int
    width: int
    head_dim: int
    context: int
    windows: tuple[int, ...]  # by layer, in tokens
    softcap: float
    rope_base: float
    qk_scale: float
    smear: bool

    @property
    def heads(self) -> int:
        return self.width // self.head_dim

    @property
    def valued(self) -> tuple[int, ...]:
        """Layers with value embeddings: every other one, and the last."""
        return tuple(layer for layer in range(self.depth) if layer % 2 == (self.depth - 1) % 2)

    def words(self) -> str:
        windows = f"windows {', '.join(map(str, self.windows))}"
        return f"depth {self.depth}, width {self.width}, {self.heads} head(s), {self.context} tokens a row, {windows}"

    @property
    def matrices(self) -> int:
        """Weights of the blocks that every token is multiplied with."""
        return 12 * self.depth * self.width**2

    def flops(self) -> float:
        """Floating-point operations that a token costs in training: products forward, and twice that backward."""
        gates = GATE * self.heads * len(self.valued) + GATE * self.smear
        products = 6.0 * (self.matrices + self.vocab * self.width + gates)
        return products + attention_flops(self.width, self.context, self.windows)


GATE = 24  # channels that a gate looks at


def shape_of(config: Config, vocab: int) -> Shape:
    """The shape of a config in which nothing is left open."""
    if config.depth is None or config.width is None or config.head_dim is None or config.context is None:
        raise TypeError("the config is not filled in")
    if config.width % config.head_dim or config.head_dim % 2 or config.width < GATE:
        raise Refused(f"--width {config.width} with --head-dim {config.head_dim}: no whole number of even heads",
                      fix=f"--width {max(1, config.width // 64) * 64} --head-dim 64")  # fmt: skip
    short = max(1, config.context // config.short_window)
    letters = [config.windows[layer % len(config.windows)] for layer in range(config.depth - 1)] + ["L"]
    windows = tuple(short if letter == "S" else config.context for letter in letters)
    return Shape(vocab, config.depth, config.width, config.head_dim, config.context, windows, config.softcap,
                 config.rope_base, config.qk_scale, config.smear)  # fmt: skip


class GPT(nn.Module):
    """Matrices of one form lie in one parameter, layer by layer, so that the optimizer takes them all at once."""

    def __init__(self, shape: Shape, *, attention: str = "sdpa", checkpointing: bool = False,
                 dtype: torch.dtype = torch.float32) -> None:  # fmt: skip
        super().__init__()
        self.shape, self.attention, self.checkpointing, self.dtype = shape, attention, checkpointing, dtype
        depth, width, valued = shape.depth, shape.width, len(shape.valued)
        self.embedding = nn.Parameter(torch.empty(shape.vocab, width))
        self.values = nn.Parameter(torch.empty(valued, shape.vocab, width))
        self.mixing = nn.Parameter(torch.empty(depth, 4, width, width))  # query, key, value, out
        self.mlp = nn.Parameter(torch.empty(depth, 2, 4 * width, width))  # up, and down turned on its side
        self.head = nn.Parameter(torch.empty(shape.vocab, width))
        self.gates = nn.Parameter(torch.zeros(valued, shape.heads, GATE))  # how much of its values a head takes
        self.residual = nn.Parameter(torch.ones(depth))  # what a layer takes of the stream, and of its beginning
        self.beginning = nn.Parameter(torch.zeros(depth))
        if shape.smear:
            self.smear_gate, self.smear = nn.Parameter(torch.zeros(1, GATE)), nn.Parameter(torch.zeros(1))
        self.waves = torch.empty(0)
        self.masks: dict[tuple[int, int], Any] = {}

    @torch.no_grad()
    def begin(self, seed: int) -> GPT:
        """The first weights. They are drawn on the CPU: a seed means the same on every device."""
        chance = torch.Generator().manual_seed(seed)
        bound = math.sqrt(3.0 / self.shape.width)  # a uniform draw with a deviation of 1/sqrt(width)
        self.embedding.normal_(generator=chance)
        self.head.normal_(std=0.001, generator=chance)
        self.values.uniform_(-bound, bound, generator=chance)
        self.mixing.uniform_(-bound, bound, generator=chance)[:, 3].zero_()
        self.mlp.uniform_(-bound, bound, generator=chance)[:, 1].zero_()
        return self

    def ready(self, device: torch.device, *lengths: int) -> GPT:
        """On its device, with positions and masks of rows of these lengths: a compiler finds them made."""
        self.to(device)
        for length, reach in {(one, self.reach(one, window)) for one in lengths for window in self.shape.windows}:
            if self.attention != "flash" and (reach < length or misread(device)):
                self.mask(length, reach, device)
        wave = self.shape.rope_base ** -(torch.arange(0, self.shape.head_dim, 2, device=device) / self.shape.head_dim)
        angle = torch.outer(torch.arange(max(lengths), device=device), wave)[None, :, None]
        self.waves = torch.stack([angle.cos(), angle.sin()], dim=-1)
        return self

    def logits(self, tokens: Tensor) -> Tensor:
        """What evaluation reads, bent as in training."""
        return kernels.logits(self(tokens), self.head, self.shape.softcap)

    def loss(self, tokens: Tensor, targets: Tensor) -> Tensor:
        """Nats of all targets together, for training."""
        return kernels.head_loss(self(tokens), self.head, targets, self.shape.softcap)

    def forward(self, tokens: Tensor) -> Tensor:
        """What the head reads."""
        shape, x = self.shape, norm(F.embedding(tokens, self.embedding).to(self.dtype))
        if shape.smear:
            gate = self.smear.to(x.dtype) * torch.sigmoid(F.linear(x[:, 1:, :GATE], self.smear_gate.to(x.dtype)))
            x = torch.cat([x[:, :1], x[:, 1:] + gate * x[:, :-1]], dim=1)
        first = x
        # One split of all layers: their slopes come back as one piece, where each index would make a bank of zeros.
        mixing = self.mixing.to(x.dtype).flatten(0, 2).split([3 * shape.width, shape.width] * shape.depth)
        mlp = self.mlp.to(x.dtype).flatten(0, 2).split(4 * shape.width)
        values, gates = self.values.flatten(0, 1).split(shape.vocab), self.gates.to(x.dtype).unbind()
        residual, beginning = self.residual.unbind(), self.beginning.unbind()
        for layer, window in enumerate(shape.windows):
            x = mixed(x, residual[layer], first, beginning[layer])
            at = shape.valued.index(layer) if layer in shape.valued else None
            value = None if at is None else (F.embedding(tokens, values[at]).to(x.dtype), gates[at])
            given = (x, value, *mixing[2 * layer : 2 * layer + 2], *mlp[2 * layer : 2 * layer + 2], window)
            x = checkpoint(self.block, *given, use_reentrant=False) if self.checkpointing else self.block(*given)
        return norm(x)

    def block(self, x: Tensor, value: tuple[Tensor, Tensor] | None, three: Tensor, out: Tensor, up: Tensor,
              down: Tensor, window: int) -> Tensor:  # fmt: skip
        """Attention, then the MLP, each added to the stream."""
        (rows, length, width), heads, normed = x.shape, self.shape.heads, norm(x)
        query_key, v = F.linear(normed, three).view(rows, length, 3 * heads, -1).split([2 * heads, heads], dim=2)
        if value is not None:
            share = 2.0 * torch.sigmoid(F.linear(normed[..., :GATE], value[1]))
            v = torch.addcmul(v, share.unsqueeze(-1), value[0].view_as(v))
        q, k = turned(query_key, self.waves[:, :length]).split(heads, dim=2)
        x = x + F.linear(self.attend(q, k, v, window).reshape(rows, length, width), out)
        return x + squared_relu_mlp(norm(x), up, down)

    def reach(self, length: int, window: int) -> int:
        """Tokens that a layer looks back on. A long window is all of the row, however long."""
        return length if window >= self.shape.context else min(window, length)

    def attend(self, q: Tensor, k: Tensor, v: Tensor, window: int) -> Tensor:
        """Each token looks at itself and at what came before it, as far back as the window."""
        length, scale = q.size(1), self.shape.qk_scale**2 / math.sqrt(self.shape.head_dim)
        reach, careful = self.reach(length, window), misread(q.device)
        if self.attention == "flash":
            back = (reach - 1, 0) if reach < length else (-1, -1)  # its kernel without windows is the faster one
            return flash_attention()(q, k, v, softmax_scale=scale, causal=True, window_size=back)
        q, k, v = q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2)
        if careful:
            q, k, v = q.contiguous(), k.contiguous(), v.contiguous()
        if reach >= length and not careful:
            out = F.scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale)
        elif self.attention == "flex":
            out = flex_attention(q, k, v, block_mask=self.mask(length, reach, q.device), scale=scale)
        else:
            out = F.scaled_dot_product_attention(q, k, v, attn_mask=self.mask(length, reach, q.device), scale=scale)
        return out.transpose(1, 2)

    def mask(self, length: int, reach: int, device: torch.device) -> Any:
        """Which keys are left, made once, and not on the device: on its way it takes ten bytes for each pair."""
        if (length, reach) not in self.masks:
            if self.attention == "flex":
                near = lambda b, h, q, k: (q >= k) & (q - k < reach)  # noqa: ARG005, E731  # as FlexAttention calls it
                made: Any = create_block_mask(near, None, None, length, length, device="cpu")
            else:
                made = torch.ones(length, length, dtype=torch.bool, device="cpu").tril_().triu_(1 - reach)
            self.masks[length, reach] = made.to(device)
        return self.masks[length, reach]


def misread(device: torch.device) -> bool:
    """Where torch's attention read views wrongly, and let half types look ahead if only told that it is causal."""
    return device.type == "mps"  # pytorch issues 163597, 181133 and 195910: all in silence


def flash_attention() -> Callable[..., Tensor]:
    from flash_attn import flash_attn_func  # noqa: PLC0415  # only where it is installed; nothing is downloaded

    return flash_attn_func


# ------------------------------------------------------------------------------------------------------- the optimizer

# Steps towards the nearest orthogonal matrix: polynomials of Polar Express (Amsel and others, arXiv 2505.16932).
FAR = (
    (8.156554524902461, -22.48329292557795, 15.878769915207462),
    (4.042929935166739, -2.808917465908714, 0.5000178451051316),
    (3.8916678022926607, -2.772484153217685, 0.5060648178503393),
    (3.285753657755655, -2.3681294933425376, 0.46449024233003106),
    (2.3465413258596377, -1.7097828382687081, 0.42323551169305323),
)


# By the same rule, for singular values from 0.03 of the norm up: those of narrow matrices lie no farther apart.
NARROW = 128
NEAR = ((7.362563, -20.743325, 15.160332), (2.917698, -2.182556, 0.475556), (2.046384, -1.429552, 0.393363))


def orthogonal(matrices: Tensor) -> Tensor:
    """The nearest orthogonal matrices, all at once; none is wider than high."""
    x = matrices / (matrices.norm(dim=(-2, -1), keepdim=True) * 1.02 + 1e-6)
    polynomials = NEAR if x.size(-1) <= NARROW else FAR
    if x.size(-2) <= 2 * x.size(-1) or x.dtype != torch.float32 or x.device.type == "cuda":  # fp32 there may be tf32
        for a, b, c in polynomials:
            gram = x.mT @ x
            x = torch.baddbmm(x, x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), beta=a)
        return x
    # Of high ones all but the last product are made in the small square; narrow types are too coarse for that.
    gram, one = x.mT @ x, torch.eye(x.size(-1), device=x.device)
    whole = one.expand_as(gram)
    for a, b, c in polynomials:
        part = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) + a * one
        whole, gram = whole @ part, part @ gram @ part
    return x @ whole


def muon_step(weight: Tensor, slope: Tensor, speed: Tensor, spread: Tensor, rate: Tensor, momentum: Number,
              decay: Number, low: torch.dtype) -> None:  # fmt: skip
    """Momentum, made orthogonal, evened out by row, added where decay agrees. `weight` is [matrices, rows, columns]."""
    speed.lerp_(slope, 1.0 - momentum)
    step = orthogonal(slope.lerp_(speed, momentum).to(low)).float()
    # NorMuon: rows that always move far are held back, and the size of the step as a whole stays what it was.
    size = step.square().mean(-1, keepdim=True)
    spread.lerp_(size, 0.05)
    even = spread.clamp_min(1e-10).rsqrt()
    before, after = size.sum(-2, keepdim=True), (size * even.square()).sum(-2, keepdim=True)
    step.mul_(even * (before / after.clamp_min(1e-20)).sqrt())
    agrees = (step * weight >= 0).to(step.dtype).mul_(decay)
    weight.sub_(step.addcmul_(weight, agrees).mul_(rate))


def adam_step(weight: Tensor, slope: Tensor, mean: Tensor, square: Tensor, rate: Number, beta: float,
              left: tuple[Number, Number]) -> None:  # fmt: skip
    """AdamW without decay. `left` is how much of the two averages is still their zero at the start."""
    mean.lerp_(slope, 1.0 - beta)
    square.lerp_(slope.square(), 1.0 - SQUARE_BETA)
    weight.sub_(mean / ((square / (1.0 - left[1])).sqrt_() + 1e-8) * (rate / (1.0 - left[0])))


MATRICES = ("mixing", "mlp")
SCALARS = ("gates", "beginning", "smear_gate", "smear")  # what is in neither has a rate of its own
LATER = ("residual", "beginning")  # in the first step no block gives anything: their slopes are what rounding left
SQUARE_BETA = 0.95
Number = float | Tensor  # a tensor where it is compiled: a float would be compiled in, anew at each step


class Optimizer:
    """Muon for the matrices of the blocks, AdamW for everything else. Its state is a dictionary of plain tensors."""

    def __init__(self, model: GPT, config: Config, *, compiled: bool = False) -> None:
        self.config, self.parameters = config, dict(model.named_parameters())
        wider = (model.shape.width / 768) ** -0.5
        embedding, head = config.embedding_lr * wider, config.head_lr * wider
        scalars = config.scalar_lr or 0.0
        rates = {"embedding": embedding, "values": embedding, "head": head, "residual": scalars * 0.01,
                 "mixing": config.matrix_lr, "mlp": config.matrix_lr}  # fmt: skip
        unknown = [name for name, one in self.parameters.items() if name not in rates and name not in SCALARS]
        if unknown:
            raise Refused(f"no rate is known for {', '.join(unknown)}",
                          fix="name it in Optimizer's rates, in MATRICES for Muon too, or in SCALARS")  # fmt: skip
        self.rates = {name: rates.get(name, scalars) for name in self.parameters}
        self.updates = 0
        self.state: dict[str, Tensor] = {}
        for name, weight in self.parameters.items():
            self.state[f"{name}.first"] = torch.zeros_like(weight)
            flat = name in MATRICES  # of a matrix, one number a row
            self.state[f"{name}.second"] = torch.zeros_like(weight[..., :1] if flat else weight)
        self.low = (
            torch.bfloat16 if model.embedding.device.type == "cuda" and model.dtype == torch.bfloat16 else torch.float32
        )
        self.number: Callable[[float], Number] = torch.tensor if compiled else float
        self.muon = torch.compile(muon_step, dynamic=False) if compiled else muon_step
        self.adam = torch.compile(adam_step, dynamic=False) if compiled else adam_step

    def at_once(self, bank: Tensor) -> int:
        """Matrices of a bank in one go: so few that what a step makes on its way stays small beside the bank."""
        return max(1, (1 << 22 if bank.device.type == "cpu" else 1 << 26) // bank[0, 0].numel())

    @torch.no_grad()
    def step(self, share: float) -> None:
        """One step of all weights, at this share of the budget."""
        self.updates += 1
        config, rate, number = self.config, rate_at(self.config, share), self.number
        momentum = number(0.85 + (config.momentum - 0.85) * min(1.0, self.updates / config.momentum_steps))
        decay = number((config.weight_decay or 0.0) * (1.0 - share))
        for name, weight in self.parameters.items():
            slope, first, second = weight.grad, self.state[f"{name}.first"], self.state[f"{name}.second"]
            if slope is None or (self.updates == 1 and name in LATER):
                continue
            if name in MATRICES:
                rates = torch.full(weight.shape[:2], self.rates[name] * rate, device=weight.device)
                if name == "mlp":
                    rates[:, 0] *= 2.0  # up is four times as high as wide
                banks = (weight, slope, first, second, rates[..., None, None])
                for part in zip(*(bank.flatten(0, 1).split(self.at_once(weight)) for bank in banks), strict=True):
                    self.muon(*part, momentum, decay, self.low)  # type: ignore[call-arg]
            else:
                beta = 0.96 if name == "beginning" else 0.8
                adam, plain = (self.adam, number) if weight.numel() >= 1 << 14 else (adam_step, float)  # worth it
                left = (plain(beta**self.updates), plain(SQUARE_BETA**self.updates))
                adam(weight, slope, first, second, plain(self.rates[name] * rate), beta, left)


def rate_at(config: Config, share: float) -> float:
    """What the rates are multiplied with once this share of the budget is used."""
    if share < config.warmup:
        return max(share / config.warmup, 1e-3)
    left = min(1.0, (1.0 - share) / config.warmdown) if config.warmdown else 1.0
    return config.final_lr + (1.0 - config.final_lr) * max(0.0, left)


# ---------------------------------------------------------------------------------------- what fits, before it is tried


def bytes_of(shape: Shape, rows: int, size: int, kind: str, *, checkpointing: bool) -> dict[str, float]:
    """What training takes of a device of that kind, in bytes. `size`: of an activation."""
    tokens, width, others = rows * shape.context, shape.width, shape.vocab * shape.width * (2 + len(shape.valued))
    unit = float(tokens * width * size)  # a number for each channel of each token; how many of them was measured
    kept = 50.0 + 3.0 * shape.depth if checkpointing else 16.0 * shape.depth  # for the way back
    scores = 0.0 if kind == "cuda" else 4.0 + shape.context / shape.head_dim  # where the way back holds all of them
    return {
        "weights": 4.0 * (shape.matrices + others),
        "gradients": 8.0 * shape.matrices + 4.0 * others,  # by layer, then as one bank
        "optimizer": 4.0 * shape.matrices + 8.0 * others,
        "activations": unit * (kept + max(16.0, scores)),
        "logits": min(tokens, kernels.head_rows(kind, shape.vocab)) * shape.vocab * 10.0 + 4.0 * shape.vocab * width,
        "masks": (1.0 + size) * shape.context**2 * len({one for one in shape.windows if one < shape.context}),
        "libraries": float(28 << 20) if kind == "cpu" else 0.0,  # what they load and set aside once there is work
    }


def filled_in(config: Config, machine: Machine, data: prepare.Data) -> tuple[Config, Shape, Plan]:
    """The config with nothing left open, its shape, and a plan that fits; refused where none does."""
    on = {"cpu": ON_CPU, "mps": ON_MPS, "cuda": ON_CUDA}[machine.kind]
    sizes = [(config.depth or on["depth"], config.width or (64 * config.depth if config.depth else on["width"]))]
    if machine.kind != "cpu" and not config.depth and not config.width:
        sizes += [size for size in ((6, 384), (4, 256), (2, 128)) if size < sizes[0]]  # for smaller cards
    context = config.context or data.context
    tokens = config.batch_tokens or max(on["batch_tokens"], context * machine.world)
    rows, over = divmod(tokens, context * machine.world)
    if not rows:
        raise Refused(f"--batch-tokens {tokens}: not a row of {context} tokens on each of {machine.world} device(s)",
                      fix=f"--batch-tokens {context * machine.world}")  # fmt: skip
    if over:
        say(f"batch-tokens {tokens}: {tokens - over} of them are whole rows on {machine.world} device(s)")
        tokens -= over
    most = config.device_batch or max(1, MOST_TOKENS[machine.kind] // context)
    enough = MOST_TOKENS[machine.kind] // 4  # tokens at once that make a larger model worth it
    plans: list[Plan] = []
    for depth, width in sizes:
        head_dim = config.head_dim or next((one for one in (on["head_dim"], 64, 32, 16) if width % one == 0), 16)
        scalars = on["scalar_lr"] if config.scalar_lr is None else config.scalar_lr
        decay = on["weight_decay"] if config.weight_decay is None else config.weight_decay
        whole = dataclasses.replace(config, depth=depth, width=width, head_dim=head_dim, context=context,
                                    batch_tokens=tokens, scalar_lr=scalars, weight_decay=decay)  # fmt: skip
        shape = shape_of(whole, data.vocab_size)

        def parts(rows: int, checkpointing: bool, shape: Shape = shape) -> dict[str, float]:  # noqa: FBT001
            return bytes_of(shape, rows, machine.dtype.itemsize, machine.kind, checkpointing=checkpointing)

        plans = cut_up(rows, most, config.checkpointing, parts)
        good = fitting(plans, machine.memory)
        if good and ((depth, width) == sizes[-1] or good.rows * context >= min(rows * context, enough)):
            return whole, shape, good
    least = plans[-1]
    raise Refused(
        f"depth {depth}, width {width}, {context} tokens a row do not fit: {megabytes(least.bytes):,.0f} MB are needed "
        f"with {least.rows} row(s) at once, {megabytes(machine.memory):,.0f} MB are there ({least.words()})",
        fix="a smaller --depth, --width or --context",
    )


MOST_TOKENS = {"cpu": 1 << 13, "mps": 1 << 16, "cuda": 1 << 18}  # at once: more than that is no faster


# ------------------------------------------------------------------------------------------------------------ the loop


class Training(Run):
    """This model, this optimizer, and a step of both."""

    model: GPT

    def __init__(self, config: Config, machine: Machine, data: prepare.Data, bell: Bell) -> None:
        super().__init__(config, machine, data, bell)
        self.config, self.shape, self.plan = filled_in(self.config, machine, data)
        self.machine = machine = machine.suited(self.shape.head_dim, max(self.shape.context, data.context))
        self.tokens = self.config.batch_tokens or 0
        self.model = GPT(
            self.shape, attention=machine.attention, checkpointing=self.plan.checkpointing, dtype=machine.dtype
        )
        self.model.begin(config.seed).ready(machine.device, self.shape.context, data.context)
        self.optimizer = Optimizer(self.model, self.config, compiled=machine.compiled)
        self.loss = torch.compile(self.model.loss, dynamic=False) if machine.compiled else self.model.loss
        self.scale = 65536.0 if machine.dtype == torch.float16 else 1.0
        steps, seconds = harness.limits(self.config.budget, self.shape.flops() * self.tokens)
        self.progress = Progress(machine, bell, most_steps=steps, most_seconds=seconds, tokens=self.tokens)
        self.deal()

    def twin(self) -> GPT:
        with torch.device("meta"):
            return GPT(self.shape).ready(torch.device("meta"), self.shape.context)

    def train(self) -> None:
        """A step a turn. Between two of them the harness looks at the clock, at the loss, and at what came in."""
        for share in self.turns():
            self.hear(*self.step(share))

    def step(self, share: float) -> tuple[Tensor, int]:
        """One step of the optimizer: nats per token, still on the device, and the bytes of its targets."""
        machine = self.machine
        start, everywhere = self.rows.position, self.rows.take(self.tokens // self.shape.context)
        mine = np.split(everywhere, machine.world)[machine.rank]
        total = torch.zeros((), device=machine.device)
        for piece in np.array_split(mine, self.plan.accumulation):
            if self.bell.rung and machine.world == 1:  # a long step would outlast the time that a signal leaves
                self.model.zero_grad(set_to_none=True)
                self.deal(start)
                self.stop()
            rows, pinned = torch.from_numpy(piece), machine.kind == "cuda"
            rows = (rows.pin_memory() if pinned else rows).to(machine.device, non_blocking=pinned)
            nats = self.loss(rows[:, :-1], rows[:, 1:])
            (nats * (self.scale / self.tokens)).backward()
            total += nats.detach()
        slopes = [weight.grad for weight in self.model.parameters() if weight.grad is not None]
        if machine.world > 1:  # each has its rows' share of the mean: the sum is the gradient
            for sent in [dist.all_reduce(one, async_op=True) for one in (*slopes, total)]:
                sent.wait()
        if self.scale == 1.0 or self.unscaled(slopes):
            self.optimizer.step(share)
        self.model.zero_grad(set_to_none=True)
        return total / self.tokens, int(self.data.token_bytes[everywhere[:, 1:]].sum())

    def unscaled(self, slopes: list[Tensor]) -> bool:
        """fp16: gradients in their own size. False where they ran over: no step is taken, the next is scaled less."""
        fine = bool(torch.stack([slope.sum().isfinite() for slope in slopes]).all())
        for slope in slopes:
            slope.div_(self.scale)
        self.scale *= 2.0**0.001 if fine else 0.5
        return fine


def scorable(path: str, device: str = "") -> tuple[Callable[[Tensor], Tensor], prepare.Data, dict[str, Any]]:
    """For `prepare.py score`: what gives the logits of a checkpoint, its data, and how they are to be evaluated."""
    about, tensors = harness.load(path)
    config = dataclasses.replace(harness.kept(Config, about), device=device or "auto", plan=False)
    here, data = detect(config), prepare.ensure(config.dataset, say=say)
    harness.same_data(about, data)
    model = GPT(shape_of(config, data.vocab_size), attention="sdpa", dtype=here.dtype)
    harness.fill(model, tensors)
    model.ready(here.device, model.shape.context, data.context)
    return model.logits, data, harness.evaluation(here, data)


def program(arguments: list[str]) -> int:
    """From flags to the printed end."""
    config, about, tensors = harness.resumed(Config, harness.given(Config, arguments, __doc__ or ""))
    bell = Bell()
    machine = detect(config)
    data = prepare.ensure(config.dataset, say=say)
    if config.plan:
        whole, shape, plan = filled_in(config, machine, data)
        tell_plan(shape.words(), whole.batch_tokens or 0, plan, machine, config.device_batch)
        return 0
    run = Training(config, machine, data, bell)
    tell_plan(run.shape.words(), run.tokens, run.plan, machine, config.device_batch)
    run.begin(about, tensors)
    run.train()
    peak = machine.peak_bytes()
    score = run.score()
    if score is not None:
        harness.tell(harness.summary(run, score, peak))
    run.end()
    return 0


if __name__ == "__main__":
    raise SystemExit(harness.main(program, sys.argv[1:]))
