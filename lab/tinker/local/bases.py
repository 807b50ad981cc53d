"""The base models of the server: loaded once, in float32, and shared by every training and sampler.

A training does not get a model of its own. Each layer that can be trained carries one hook, which adds what the adapter
that is worn at the moment adds. So a run costs its adapter and its optimizer only (a copied model, or PEFT's way of
wrapping one, would cost the base weights once a run), and no run can reach another's numbers: there is nothing in the
base that a step changes. The operations are those of PEFT in the same order, so the results are the same bits.

One thread at a time: what is worn is a state of the base.
"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lab.core.errors import BadInput, NotFound
from lab.tinker.local.adapters import ATTENTION, MLP, UNEMBED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.tinker.local.adapters import Adapter

TRAINABLE = frozenset(ATTENTION + MLP + UNEMBED)


class Cache:
    """What the model remembers of the tokens so far. `word` is what this version of transformers calls it."""

    def __init__(self, word: str, state: object) -> None:
        self.word = word
        self.state = state

    def repeated(self, times: int) -> Cache:
        """The same past for several sequences. The model's own method; this cache is used up by it."""
        cast("_Repeats", self.state).batch_repeat_interleave(times)
        return self


class _Repeats:
    """The one method of a cache that is called here."""

    def batch_repeat_interleave(self, repeats: int) -> None:
        raise NotImplementedError


class Base:
    """One base model with its tokenizer. What it is asked, it is asked with an adapter, or with None for itself."""

    def __init__(self, name: str, folder: str) -> None:
        self.name = name
        self.folder = folder
        transformers_logging.disable_progress_bar()
        with _told(folder):
            self.context = _context(AutoConfig.from_pretrained(folder, local_files_only=True))
            self.tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
        self._model.eval()
        self._model.requires_grad_(requires_grad=False)
        self.spelt = len(self.tokenizer)  # the tokens from here to the end of the vocabulary have no text
        self.vocabulary = cast("nn.Embedding", self._model.get_input_embeddings()).num_embeddings
        self.layers: dict[str, tuple[int, int]] = {}
        self._worn: Adapter | None = None
        for path, module in self._model.named_modules():
            if isinstance(module, nn.Linear) and path.rpartition(".")[2] in TRAINABLE:
                self.layers[path] = (module.in_features, module.out_features)
                module.register_forward_hook(self._hook(path))

    @property
    def ends(self) -> frozenset[int]:
        """The tokens that end a text where the request says nothing else."""
        named = getattr(self._model.generation_config, "eos_token_id", None)
        listed = named if isinstance(named, list) else [named]
        return frozenset(each for each in [*listed, self.tokenizer.eos_token_id] if isinstance(each, int))

    def text(self, tokens: list[int]) -> str:
        """The words of the tokens; a token that the tokenizer does not know has none."""
        return str(self.tokenizer.decode(tokens, skip_special_tokens=False))

    def logits(self, tokens: list[int], adapter: Adapter | None) -> Tensor:
        """One row of logits for each token. Gradients reach the adapter, unless the caller has turned them off."""
        with self._wearing(adapter):
            return cast("Tensor", self._model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0])

    def begin(self, tokens: list[int], adapter: Adapter | None) -> tuple[Tensor, Cache]:
        """The same, with what is needed to go on from there."""
        with self._wearing(adapter):
            put_out = self._model(input_ids=torch.tensor([tokens]), use_cache=True)
        word = "cache" if "cache" in put_out else "past_key_values"  # renamed on the way through transformers 5
        return cast("Tensor", put_out.logits[0]), Cache(word, put_out[word])

    def go_on(self, newest: list[int], cache: Cache, adapter: Adapter | None) -> Tensor:
        """A row of logits for each of several sequences, after one more token in each. The cache grows with them."""
        with self._wearing(adapter):
            rows = torch.tensor(newest)[:, None]
            put_out = self._model(input_ids=rows, use_cache=True, **{cache.word: cache.state})
            return cast("Tensor", put_out.logits[:, -1])

    @contextmanager
    def _wearing(self, adapter: Adapter | None) -> Iterator[None]:
        self._worn = adapter
        try:
            yield
        finally:
            self._worn = None

    def _hook(self, path: str) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
        def add(_layer: nn.Module, given: tuple[Tensor, ...], put_out: Tensor) -> Tensor:
            return put_out if self._worn is None else self._worn.add(path, given[0], put_out)

        return add


@contextmanager
def _told(folder: str) -> Iterator[None]:
    """Whatever the library says of a folder, in our words and with its name."""
    if not os.path.isdir(folder):
        raise NotFound("there is no such folder", where=folder, fix="give NAME=DIR, a model in Hugging Face layout")
    try:
        yield
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise BadInput(
            f"no base model can be loaded from it: {first}",
            where=folder,
            fix="it needs config.json, the weights and a tokenizer; labctl tinker make-tiny DIR makes a small one",
        ) from error


def _context(config: object) -> int:
    """How many tokens the model was made for."""
    text = getattr(config, "text_config", config)
    return int(getattr(text, "max_position_embeddings", None) or getattr(text, "n_positions", None) or 2048)
