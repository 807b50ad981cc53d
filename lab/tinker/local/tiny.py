"""A tiny random model, made on the spot: for a trial that costs nothing, and for tests.

It knows nothing, and learns a few short sentences in a dozen steps. The same versions of the libraries make the same
bytes.
"""

from __future__ import annotations

import msgspec
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging as transformers_logging

from lab.tinker.folders import whole

VOCABULARY = 512
CONTEXT = 2048
SEED = 2  # of those tried, one that finds a rare reward within thirty steps, whatever the seed of the samples
END, PAD = "<|im_end|>", "<|endoftext|>"
# What the tokenizer has short codes for. The codes of single bytes spell everything else.
TEXTS = (
    "the quick brown fox jumps over the lazy dog.",
    "what is 2 + 3? the answer is 5.",
)
CHAT = (
    "{% for message in messages %}"
    "<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n"
    "{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


class Tiny(msgspec.Struct, frozen=True, kw_only=True):
    """What was made."""

    folder: str
    parameters: int
    tokens: int  # of the tokenizer; the model has room for VOCABULARY, as larger ones have room to spare
    context: int = CONTEXT


def make_tiny(folder: str) -> Tiny:
    """Write model and tokenizer, in Hugging Face layout, into a folder that is empty or does not exist.

    BadInput where something is in it. Whole or not at all.
    """
    transformers_logging.disable_progress_bar()
    tokenizer = _tokenizer()
    model = _model(tokenizer)
    with whole(folder) as draft:
        tokenizer.save_pretrained(draft)
        model.save_pretrained(draft)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return Tiny(folder=folder, parameters=parameters, tokens=len(tokenizer))


def _tokenizer() -> PreTrainedTokenizerFast:
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, "<|im_start|>", END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXTS * 10, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token=END, pad_token=PAD, chat_template=CHAT)


def _model(tokenizer: PreTrainedTokenizerFast) -> Qwen3ForCausalLM:
    """Small enough that a step takes milliseconds, and still with every kind of layer that a large one has."""
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=16,
        max_position_embeddings=CONTEXT,
        tie_word_embeddings=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    with torch.random.fork_rng(devices=[]):  # the chance of the rest of the process stays as it was
        torch.manual_seed(SEED)
        return Qwen3ForCausalLM(config)
