"""An adapter becomes part of its base model: the result is a model like any other, for whatever knows no adapters.

It is done on the files, one at a time, so it takes the memory of the largest of them and never builds the model. What
was trained on another base of the same sizes is not told apart: of its base an adapter keeps what its service called
it, and a folder knows no service's names.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, TypeVar

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from lab.core.errors import BadInput, Corrupt, NotFound, Unavailable
from lab.tinker.folders import copy, whole, write
from lab.tinker.local import adapters

if TYPE_CHECKING:
    from torch import Tensor

CONFIG = "config.json"
SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
MATRIX = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
UNEMBED, EMBED = "lm_head.weight", "embed_tokens.weight"
TIED = "tie_word_embeddings"
WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".h5", ".msgpack", ".gguf", ".index.json")
T = TypeVar("T")
NOT_OURS = ("README.md",)  # the base's own page: it describes another model than the merged one


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What was made."""

    folder: str
    layers: int  # that the adapter changed
    rank: int


class _Index(msgspec.Struct, kw_only=True):
    """Which file of a base holds which tensor."""

    weight_map: dict[str, str]
    metadata: dict[str, object] = {}


class _Change(msgspec.Struct, frozen=True, kw_only=True):
    """What is added to one tensor. `source` is another one where the base has none of that name."""

    source: str
    delta: adapters.Pair


def merge(base_dir: str, adapter_dir: str, out_dir: str) -> Merged:
    """Write base plus adapter to a folder that is empty or does not exist: whole or not at all.

    BadInput where something is in the folder, or where adapter and base do not fit.
    """
    config, tensors = adapters.read(adapter_dir)
    pairs = _pairs(config, tensors, adapter_dir)
    index = _index(base_dir)
    changes = _changes(pairs, index, base_dir, adapter_dir)
    with whole(out_dir) as draft:
        for name in sorted(set(index.weight_map.values())):
            _write_shard(f"{base_dir}/{name}", f"{draft}/{name}", changes, config.scale)
        _write_rest(base_dir, draft, index, changes)
    return Merged(folder=out_dir, layers=len(pairs), rank=config.r)


def _pairs(config: adapters.Config, tensors: dict[str, Tensor], where: str) -> dict[str, adapters.Pair]:
    """The matrices of each layer, or BadInput for an adapter that is more than such matrices."""
    odd = {
        f"peft_type {config.peft_type}": config.peft_type != "LORA",
        "use_dora": config.use_dora,
        f"bias {config.bias}": config.bias != "none",
        "modules_to_save": bool(config.modules_to_save),
        "fan_in_fan_out": config.fan_in_fan_out,
        "rank_pattern": bool(config.rank_pattern),
        "alpha_pattern": bool(config.alpha_pattern),
    }
    for name, has in odd.items():
        if has:
            raise BadInput(f"an adapter with {name} cannot be merged here", where=where, fix="merge it with PEFT")
    sides: dict[str, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        found = MATRIX.fullmatch(name)
        if found is None:
            raise BadInput(f"{name} is no matrix of a plain adapter", where=where, fix="merge it with PEFT")
        sides.setdefault(found["layer"], {})[found["side"]] = tensor
    pairs = {}
    for layer, pair in sides.items():
        down, up = pair.get("A"), pair.get("B")
        if down is None or up is None or down.ndim != 2 or up.ndim != 2 or down.shape[0] != up.shape[1]:  # noqa: PLR2004
            raise Corrupt(f"{layer} lacks one of its two matrices, or they do not fit each other", where=where)
        pairs[layer] = adapters.Pair(down, up)
    if not pairs:
        raise Corrupt("the adapter is empty", where=where)
    return pairs


def _index(base: str) -> _Index:
    if not os.path.isfile(f"{base}/{CONFIG}"):
        raise NotFound(f"no base model is here: {CONFIG} is missing", where=base)
    if os.path.isfile(f"{base}/{INDEX}"):
        with open(f"{base}/{INDEX}", "rb") as file:
            index = _decoded(file.read(), _Index, f"{base}/{INDEX}")
        outside = [name for name in index.weight_map.values() if os.path.basename(name) != name]
        if outside:
            raise Corrupt(f"it names a file that is not beside it: {outside[0]}", where=f"{base}/{INDEX}")
        return index
    path = f"{base}/{SINGLE}"
    if not os.path.isfile(path):
        raise NotFound(f"the base model has no {SINGLE}", where=base, fix="save it as safetensors first")
    return _Index(weight_map=dict.fromkeys(_shapes(path), SINGLE))


def _changes(pairs: dict[str, adapters.Pair], index: _Index, base: str, where: str) -> dict[str, _Change]:
    """What happens to which tensor. Every layer must be in the base, with the sizes of its matrices."""
    shapes: dict[str, list[int]] = {}
    for name in sorted(set(index.weight_map.values())):
        shapes |= _shapes(f"{base}/{name}")
    embeddings = [name for name in shapes if name.endswith(EMBED)]
    changes = {}
    for layer, pair in pairs.items():
        name = f"{layer}.weight"
        source = embeddings[0] if name == UNEMBED and name not in shapes and embeddings else name
        wanted = [pair.up.shape[0], pair.down.shape[1]]
        if source not in shapes:
            raise BadInput(
                f"the adapter does not fit the base model: {layer} is not in it",
                where=where,
                fix=f"give the base that it was trained on, not {base}",
            )
        if shapes[source] != wanted:
            raise BadInput(
                f"the adapter does not fit the base model: {layer} is {shapes[source]} in it, and {wanted} is needed",
                where=where,
                fix=f"give the base that it was trained on, not {base}",
            )
        changes[name] = _Change(source=source, delta=pair)
    return changes


def _shapes(path: str) -> dict[str, list[int]]:
    """Of every tensor in a file, without its numbers."""
    try:
        with safe_open(path, framework="pt") as file:
            return {name: list(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118  # no mapping
    except (OSError, SafetensorError) as error:
        raise Corrupt(f"the base model's weights cannot be read: {error}", where=path) from error


def _write_shard(source: str, target: str, changes: dict[str, _Change], scale: float) -> None:
    """One file. Sums are taken in float32 and come back in the type that the base has."""
    tensors: dict[str, Tensor] = {}
    with safe_open(source, framework="pt") as file:
        for name in file.keys():  # noqa: SIM118  # no mapping
            tensors[name] = file.get_tensor(name)
    for name, change in changes.items():
        if change.source in tensors:
            before = tensors[change.source]
            delta = (change.delta.up.float() @ change.delta.down.float()) * scale
            tensors[name] = (before.float() + delta).to(before.dtype)
    try:
        save_file(tensors, target, metadata={"format": "pt"})
    except SafetensorError as error:
        raise Unavailable(f"the merged weights cannot be written: {error}", where=target) from error


def _write_rest(base: str, draft: str, index: _Index, changes: dict[str, _Change]) -> None:
    """The configuration, the index and the tokenizer."""
    for name in sorted(os.listdir(base)):
        if name.startswith(".") or name in NOT_OURS or name == CONFIG or name.endswith(WEIGHTS):
            continue
        if os.path.isfile(f"{base}/{name}"):
            copy(f"{base}/{name}", f"{draft}/{name}")
    with open(f"{base}/{CONFIG}", "rb") as file:
        config = _decoded(file.read(), dict[str, object], f"{base}/{CONFIG}")
    write(f"{draft}/{CONFIG}", _page(_untied(config) if UNEMBED in changes else config))
    if os.path.isfile(f"{base}/{INDEX}"):
        for name, change in changes.items():
            index.weight_map[name] = index.weight_map[change.source]
        sizes = (os.path.getsize(f"{draft}/{name}") for name in set(index.weight_map.values()))
        index.metadata = {"total_size": sum(sizes)}
        write(f"{draft}/{INDEX}", _page(msgspec.to_builtins(index)))


def _untied(config: dict[str, object]) -> dict[str, object]:
    """A model whose last layer was changed has it apart from the first: else loading would lay the first over it."""
    nested = {
        name: {**value, TIED: False} for name, value in config.items() if isinstance(value, dict) and TIED in value
    }
    return {**config, **nested, TIED: False}


def _page(value: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n"


def _decoded(data: bytes, kind: type[T], where: str) -> T:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Corrupt(f"it cannot be read: {error}", where=where) from error
