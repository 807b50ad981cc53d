"""A LoRA adapter: the small matrices that are trained while the base model stays as it is.

Its files are those of PEFT, so whatever loads a PEFT adapter loads ours; PEFT itself is not needed to train or to
serve. Expert layers that a model keeps as one block of three dimensions have no adapter here.
"""

from __future__ import annotations

import math
import random
from typing import TYPE_CHECKING

import msgspec
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor  # msgspec reads the annotations
from torch.nn.functional import linear

from lab.core.errors import Corrupt, NotFound
from lab.tinker.folders import write
from lab.tinker.local.training import Lora, UserError

if TYPE_CHECKING:
    from collections.abc import Mapping

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
PREFIX = "base_model.model."  # what PEFT puts before the name of each layer
ALPHA = 32.0  # fixed by the service, whatever the rank
LARGEST_RANK = 1024  # a slip of the hand would ask for more memory than there is
ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj", "qkv_proj")
MLP = ("gate_proj", "up_proj", "down_proj", "gate_up_proj")
UNEMBED = ("lm_head",)


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """`adapter_config.json`, as far as it decides what the weights mean; PEFT's defaults where it is silent."""

    peft_type: str = "LORA"
    task_type: str | None = "CAUSAL_LM"
    base_model_name_or_path: str | None = None
    r: int = 8
    lora_alpha: float = 8.0
    lora_dropout: float = 0.0
    target_modules: list[str] | str | None = None
    bias: str = "none"
    fan_in_fan_out: bool = False
    use_rslora: bool = False
    use_dora: bool = False
    inference_mode: bool = True
    modules_to_save: list[str] | None = None
    rank_pattern: dict[str, int] | None = {}
    alpha_pattern: dict[str, float] | None = {}

    @property
    def scale(self) -> float:
        """What the product of the two matrices is multiplied with."""
        return self.lora_alpha / (math.sqrt(self.r) if self.use_rslora else self.r)


class Pair(msgspec.Struct, frozen=True):
    """The two matrices of one layer: `down` is rank x inputs, `up` is outputs x rank."""

    down: Tensor
    up: Tensor


class Adapter:
    """Pairs by the name of their layer, in the order of the model's layers."""

    def __init__(self, pairs: Mapping[str, Pair], rank: int, scale: float) -> None:
        self.pairs = dict(pairs)
        self.rank = rank
        self.scale = scale

    @classmethod
    def fresh(cls, lora: Lora, layers: Mapping[str, tuple[int, int]]) -> Adapter:
        """An adapter that changes nothing yet. `layers` are (inputs, outputs) by name; the same seed, the same start.

        `up` starts at zero and `down` uniformly, as everywhere else; from a generator of its own, so that no other
        work of the process moves it.
        """
        names = targets(lora)
        shapes = {name: shape for name, shape in layers.items() if name.rpartition(".")[2] in names}
        if not shapes:
            raise UserError(f"this base model has none of the layers that would be trained: {', '.join(names)}")
        if not 1 <= lora.rank <= LARGEST_RANK:
            raise UserError(f"rank is {lora.rank}; it must be from 1 to {LARGEST_RANK}")
        chance = torch.Generator()
        chance.manual_seed(random.SystemRandom().getrandbits(63) if lora.seed is None else lora.seed % 2**63)
        pairs = {}
        for name, (inputs, outputs) in shapes.items():
            bound = 1 / math.sqrt(inputs)
            down = torch.empty(lora.rank, inputs).uniform_(-bound, bound, generator=chance)
            pairs[name] = Pair(down.requires_grad_(), torch.zeros(outputs, lora.rank).requires_grad_())
        return cls(pairs, lora.rank, ALPHA / lora.rank)

    @classmethod
    def saved(cls, folder: str, layers: Mapping[str, tuple[int, int]]) -> Adapter:
        """One that was saved, of whichever of these layers it has. Corrupt where it has another, or another size."""
        config, tensors = read(folder)
        found: dict[str, Pair] = {}
        for name, (inputs, outputs) in layers.items():
            down, up = (tensors.pop(f"{PREFIX}{name}.lora_{side}.weight", None) for side in "AB")
            if down is None or up is None:
                continue
            if down.shape != (config.r, inputs) or up.shape != (outputs, config.r):
                raise Corrupt(f"the adapter does not fit the base model: {name} has other sizes", where=folder)
            found[name] = Pair(down.clone(), up.clone())  # apart from the file, which may go away
        if tensors or not found:
            odd = min(tensors, default="no layer at all")
            raise Corrupt(f"the adapter does not fit the base model, which lacks: {odd}", where=folder)
        return cls(found, config.r, config.scale)

    def add(self, name: str, given: Tensor, put_out: Tensor) -> Tensor:
        """What a layer puts out, with what the adapter adds to it: the operations of PEFT, in PEFT's order."""
        pair = self.pairs.get(name)
        return put_out if pair is None else put_out + linear(linear(given, pair.down), pair.up) * self.scale

    @property
    def tensors(self) -> dict[str, Tensor]:
        """Every matrix by the name that PEFT has for it."""
        named = {}
        for name, pair in self.pairs.items():
            named[f"{PREFIX}{name}.lora_A.weight"] = pair.down
            named[f"{PREFIX}{name}.lora_B.weight"] = pair.up
        return named

    def frozen(self) -> Adapter:
        """A copy that no later step of the training changes."""
        copied = {name: Pair(pair.down.detach().clone(), pair.up.detach().clone()) for name, pair in self.pairs.items()}
        return Adapter(copied, self.rank, self.scale)

    def save(self, folder: str, base: str) -> None:
        """Write both files into a folder that exists."""
        names = sorted({name.rpartition(".")[2] for name in self.pairs})
        config = Config(base_model_name_or_path=base, r=self.rank, lora_alpha=ALPHA, target_modules=names)
        write(f"{folder}/{CONFIG}", msgspec.json.format(msgspec.json.encode(config), indent=1) + b"\n")
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.tensors.items()}
        put(tensors, f"{folder}/{WEIGHTS}")

    def load(self, folder: str) -> None:
        """Take over the numbers of an adapter of the same layers and rank. UserError, and nothing taken, otherwise."""
        config, tensors = read(folder)
        own = self.tensors
        if config.scale != self.scale:
            raise UserError(
                f"the adapter's scale is {config.scale:g} and not {self.scale:g}: its rank or alpha differs"
            )
        if tensors.keys() != own.keys():
            odd = min(tensors.keys() ^ own.keys())
            raise UserError(f"the adapter is of other layers than these; {odd} is in one of them only")
        for name, tensor in own.items():
            if tensors[name].shape != tensor.shape:
                given, wanted = list(tensors[name].shape), list(tensor.shape)
                raise UserError(f"the adapter does not fit: {name} has the shape {given}, and {wanted} is needed")
        with torch.no_grad():
            for name, tensor in own.items():
                tensor.copy_(tensors[name])


def put(tensors: dict[str, Tensor], path: str) -> None:
    """Write a file of tensors. An OSError where the disk does not take it, as for any other file."""
    try:
        save_file(tensors, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise OSError(f"{path}: {error}") from error


def targets(lora: Lora) -> tuple[str, ...]:
    """The last part of the names of the layers that are trained."""
    groups = ((lora.train_attn, ATTENTION), (lora.train_mlp, MLP), (lora.train_unembed, UNEMBED))
    names = tuple(name for wanted, group in groups if wanted for name in group)
    if not names:
        raise UserError("nothing would be trained: set one of train_attn, train_mlp and train_unembed")
    return names


def read(folder: str) -> tuple[Config, dict[str, Tensor]]:
    """A saved adapter, of any maker."""
    config = _config(folder)
    path = f"{folder}/{WEIGHTS}"
    try:
        return config, load_file(path)
    except FileNotFoundError as error:
        raise NotFound("the adapter has no weights", where=path, fix="give a folder in PEFT's layout") from error
    except SafetensorError as error:
        raise Corrupt(f"the adapter's weights cannot be read: {error}", where=path) from error


def _config(folder: str) -> Config:
    path = f"{folder}/{CONFIG}"
    try:
        with open(path, "rb") as file:
            config = msgspec.json.decode(file.read(), type=Config)
    except FileNotFoundError as error:
        raise NotFound("no adapter is here", where=path, fix="give a folder in PEFT's layout") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"not the configuration of an adapter: {error}", where=path) from error
    if config.r < 1:
        raise Corrupt(f"not the configuration of an adapter: its rank is {config.r}", where=path)
    return config
