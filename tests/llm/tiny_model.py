"""A language model of chance: half a megabyte of random weights, made in a moment, the same for the same seed.

It says nothing sensible, and obeys a grammar. The file is GGUF, version 3: a header, pairs of names and values, the
places of the tensors, and the tensors, each at a multiple of 32 bytes. The vocabulary is a token for every byte.
"""

from __future__ import annotations

import array
import random
import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

LAYERS, WIDTH, HEADS, INNER, CONTEXT = 2, 64, 4, 128, 131_072
U32, I32, F32, BOOL, STRING, ARRAY = 4, 5, 6, 7, 8, 9
NORMAL, UNKNOWN, CONTROL, BYTE = 1, 2, 3, 6
ALIGNMENT = 32
TEMPLATE = "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}assistant: "


def write(path: Path, seed: int = 0) -> None:
    """Write the model. `seed` decides what it babbles."""
    tokens, scores, kinds = _vocabulary()
    tensors = _tensors(len(tokens), random.Random(seed))
    pairs = [
        _pair("general.architecture", STRING, "llama"),
        _pair("general.name", STRING, "labctl-tiny"),
        _pair("general.file_type", U32, 0),
        _pair("llama.context_length", U32, CONTEXT),
        _pair("llama.embedding_length", U32, WIDTH),
        _pair("llama.block_count", U32, LAYERS),
        _pair("llama.feed_forward_length", U32, INNER),
        _pair("llama.attention.head_count", U32, HEADS),
        _pair("llama.attention.head_count_kv", U32, HEADS),
        _pair("llama.attention.layer_norm_rms_epsilon", F32, 1e-5),
        _pair("llama.rope.dimension_count", U32, WIDTH // HEADS),
        _pair("llama.vocab_size", U32, len(tokens)),
        _pair("tokenizer.ggml.model", STRING, "llama"),
        _list("tokenizer.ggml.tokens", STRING, tokens),
        _list("tokenizer.ggml.scores", F32, scores),
        _list("tokenizer.ggml.token_type", I32, kinds),
        _pair("tokenizer.ggml.bos_token_id", U32, 1),
        _pair("tokenizer.ggml.eos_token_id", U32, 2),
        _pair("tokenizer.ggml.unknown_token_id", U32, 0),
        _pair("tokenizer.ggml.add_bos_token", BOOL, value=True),
        _pair("tokenizer.ggml.add_space_prefix", BOOL, value=False),
        _pair("tokenizer.chat_template", STRING, TEMPLATE),
    ]
    infos, data = b"", bytearray()
    for name, shape, weights in tensors:
        infos += _value(STRING, name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, len(data))
        data += weights
        data += bytes(-len(data) % ALIGNMENT)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(pairs)) + b"".join(pairs) + infos
    path.write_bytes(head + bytes(-len(head) % ALIGNMENT) + data)


def _vocabulary() -> tuple[list[str], list[float], list[int]]:
    """Three marks, every byte, and the printable characters once more, so that plain text is a token a character."""
    plain = [chr(code) for code in range(33, 127)] + ["\u2581"]
    tokens = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256)), *plain]
    scores = [0.0] * 3 + [-1000.0] * 256 + [-float(rank) for rank in range(len(plain))]
    return tokens, scores, [UNKNOWN, CONTROL, CONTROL] + [BYTE] * 256 + [NORMAL] * len(plain)


def _tensors(vocabulary: int, luck: random.Random) -> list[tuple[str, tuple[int, ...], bytes]]:
    """Each with its sizes, the innermost first."""

    def drawn(name: str, *shape: int) -> tuple[str, tuple[int, ...], bytes]:
        count = shape[0] * shape[1]
        return name, shape, array.array("f", (luck.gauss(0, 0.08) for _ in range(count))).tobytes()

    def ones(name: str) -> tuple[str, tuple[int, ...], bytes]:
        return name, (WIDTH,), array.array("f", [1.0] * WIDTH).tobytes()

    tensors = [drawn("token_embd.weight", WIDTH, vocabulary), ones("output_norm.weight")]
    tensors.append(drawn("output.weight", WIDTH, vocabulary))
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        tensors += [ones(f"{block}.attn_norm.weight"), ones(f"{block}.ffn_norm.weight")]
        tensors += [drawn(f"{block}.attn_{part}.weight", WIDTH, WIDTH) for part in ("q", "k", "v", "output")]
        tensors += [drawn(f"{block}.ffn_{part}.weight", WIDTH, INNER) for part in ("gate", "up")]
        tensors.append(drawn(f"{block}.ffn_down.weight", INNER, WIDTH))
    return tensors


def _pair(name: str, kind: int, value: object) -> bytes:
    return _value(STRING, name) + struct.pack("<I", kind) + _value(kind, value)


def _list(name: str, kind: int, values: list[str] | list[float] | list[int]) -> bytes:
    head = _value(STRING, name) + struct.pack("<IIQ", ARRAY, kind, len(values))
    return head + b"".join(_value(kind, value) for value in values)


def _value(kind: int, value: object) -> bytes:
    if kind == STRING:
        data = str(value).encode()
        return struct.pack("<Q", len(data)) + data
    return struct.pack({U32: "<I", I32: "<i", F32: "<f", BOOL: "<?"}[kind], value)
