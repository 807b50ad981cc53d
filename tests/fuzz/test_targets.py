"""Every target with inputs that are made the same way each time: what once broke it, then documents, then mutations.

`scripts/trial/fuzz.py` does the same for as long as one likes, led by what the inputs reach.
"""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scripts.trial.fuzzing import mutate
from scripts.trial.fuzzing.table import TARGETS
from scripts.trial.fuzzing.target import Target, judged, promise
from tests.fuzz.corpus import ONCE

LIMIT_S = 30.0  # no test asserts times: this is a hang
EXAMPLES = 12


def inputs(target: Target) -> st.SearchStrategy[bytes]:
    """Good inputs that were changed, and documents of the words that mean something there."""
    words = tuple(word.encode() for word in target.words)
    names = st.sampled_from(target.words) | st.text(max_size=4) if target.words else st.text(max_size=4)
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=True) | st.text(max_size=8) | names
    document = st.recursive(
        scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4), max_leaves=8
    )
    rests = tuple(seed[target.head :] for seed in target.seeds)

    def changed(seed: bytes, luck: int) -> bytes:
        return seed[: target.head] + mutate.changed(seed[target.head :], random.Random(luck), words, rests)

    mutated = st.builds(changed, st.sampled_from(target.seeds), st.integers(0, 2**32))
    written = st.builds(
        lambda seed, value: seed[: target.head] + json.dumps(value).encode(), st.sampled_from(target.seeds), document
    )
    return st.one_of(mutated, mutated, written).map(lambda data: data[: target.most])


@pytest.mark.parametrize("name", TARGETS)
def test_whatever_it_is_given_it_gives_a_value_or_an_error_of_ours(name: str) -> None:
    target = TARGETS[name]

    @settings(
        max_examples=EXAMPLES, derandomize=True, database=None, deadline=None, suppress_health_check=list(HealthCheck)
    )
    @given(inputs(target))
    def check(data: bytes) -> None:
        assert judged(target, data, limit_s=LIMIT_S) == ""

    check()


@pytest.mark.parametrize(("name", "data"), [(name, data) for name, found in ONCE.items() for data in found])
def test_what_once_broke_it_does_not_any_more(name: str, data: bytes) -> None:
    assert judged(TARGETS[name], data, limit_s=LIMIT_S) == ""


def _raises(data: bytes) -> None:
    raise KeyError(data)


def _lies(data: bytes) -> None:
    promise(not data, "it is not empty")


@pytest.mark.parametrize(("read", "words"), [(_raises, "KeyError"), (_lies, "it is not empty")])
def test_a_target_that_breaks_its_promise_is_told(read: object, words: str) -> None:
    target = Target(name="x", what="x", read=read, seeds=(b"a",), reads=())  # type: ignore[arg-type]  # one of the two above
    assert words in judged(target, b"a")
