"""The tokenizer: bytes in, the same bytes out, kept as plain text, and learnt alike on every machine."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import prepare
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import pre_tokenizers

from tests.training import texts

TEMPLATE = Path(prepare.__file__).parent
LEARN = """
import json, sys
import prepare
print(prepare.Tokenizer.learn(json.load(sys.stdin), 400).encode().decode())
"""


@pytest.fixture(scope="module")
def learnt() -> prepare.Tokenizer:
    return prepare.Tokenizer.learn(texts.documents(60), 400)


def test_the_letters_are_those_of_the_library() -> None:
    assert set(prepare.letters().values()) == set(pre_tokenizers.ByteLevel.alphabet())
    assert len(set(prepare.letters().values())) == len(prepare.letters()) == 256


def test_the_ids_are_the_bytes_then_the_merges_then_bos(learnt: prepare.Tokenizer) -> None:
    assert learnt.tokens[:256] == [bytes([byte]) for byte in range(256)]
    assert len(set(learnt.tokens)) == len(learnt.tokens) <= 399
    assert learnt.sizes().dtype == np.int32
    assert learnt.sizes().tolist() == [*map(len, learnt.tokens), 0]


@settings(max_examples=200)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=4))
def test_the_tokens_of_any_text_are_its_bytes(learnt: prepare.Tokenizer, some: list[str]) -> None:
    for text, ids in zip(some, learnt.encoder()(some), strict=True):
        assert b"".join(learnt.tokens[token] for token in ids.tolist()) == text.encode()
        assert int(learnt.sizes()[ids].sum()) == len(text.encode())


def test_a_token_that_is_half_a_character_counts_its_own_bytes(learnt: prepare.Tokenizer) -> None:
    """Sizes taken from decoded text would count three for each: what stands in for half a character has three bytes."""
    (ids,) = learnt.encoder()(["\N{CUNEIFORM SIGN A}"])
    assert len(ids) > 1
    assert int(learnt.sizes()[ids].sum()) == 4


def test_it_is_kept_as_json_and_comes_back_as_it_was(learnt: prepare.Tokenizer) -> None:
    kept = json.loads(learnt.encode())
    assert prepare.Tokenizer.parse(kept) == learnt
    assert all(bytes.fromhex(left) and bytes.fromhex(right) for left, right in kept["merges"])


def test_two_merges_that_make_one_token_share_its_id() -> None:
    pairs = ((b"a", b"b"), (b"ab", b"c"), (b"b", b"c"), (b"a", b"bc"))
    both = prepare.Tokenizer(pairs)
    assert both.tokens[256:] == [b"ab", b"abc", b"bc"]
    for text in ("abc", "bc", "aabcbc"):
        (ids,) = both.encoder()([text])
        assert b"".join(both.tokens[token] for token in ids.tolist()) == text.encode()


def test_cuts_of_another_recipe_are_refused(learnt: prepare.Tokenizer) -> None:
    with pytest.raises(ValueError, match="another recipe"):
        prepare.Tokenizer.parse({**json.loads(learnt.encode()), "cuts": ["."]})


@pytest.mark.parametrize("threads", ["1", "4"])
def test_the_same_texts_teach_the_same_merges_in_another_process(learnt: prepare.Tokenizer, threads: str) -> None:
    environ = {**os.environ, "RAYON_NUM_THREADS": threads, "PYTHONHASHSEED": threads, "PYTHONPATH": str(TEMPLATE)}
    told = json.dumps(texts.documents(60))
    done = subprocess.run(
        [sys.executable, "-c", LEARN], input=told, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == learnt.encode().decode()


def test_no_token_reaches_over_a_cut(learnt: prepare.Tokenizer) -> None:
    for token in learnt.tokens[256:]:
        assert not re.search(rb"[a-z]\s|\s\s[a-z]|\d{3}", token), token
