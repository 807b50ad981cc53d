"""From what a model says to a JSON value, and never to anything else than a value or a refusal."""

from __future__ import annotations

import contextlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.llm import extract

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), JSON, min_size=1, max_size=4)
PROSE = st.text(st.characters(exclude_characters='{}[]`"', exclude_categories=["Cs"]), max_size=40)


@given(value=JSON)
def test_whatever_json_says_is_read(value: object) -> None:
    assert extract.value(json.dumps(value)) == value


@given(before=PROSE, value=OBJECTS, after=PROSE, fence=st.sampled_from(["{}", "```json\n{}\n```", "```\n{}\n```"]))
def test_an_object_is_found_in_prose_and_in_fences(before: str, value: object, after: str, fence: str) -> None:
    text = before + "\n" + fence.replace("{}", json.dumps(value)) + "\n" + after
    assert extract.value(text) == value


@given(text=st.text() | st.text(st.sampled_from('{}[]",:\\`01eE-+.N \n\ud800')))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(BadInput):
        value = extract.value(text)
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('\ufeff{"a": 1}', {"a": 1}),
        ('<think>maybe {"a": 1}? no</think>\n{"a": 2}', {"a": 2}),
        ('First {"a": 1}, then better: {"a": 2}. Done [1].', {"a": 2}),
        ('Draft:\n```json\n{"a": 1}\n```\nAnswer:\n```json\n{"a": 2}\n```\nI hope it helps {not json}.', {"a": 2}),
        ("```json\n[1, 2]\n```", [1, 2]),
        ("see [1] and [2]; so: {}", {}),
        ('the set {x} gives {"a": {"b": 3}}', {"a": {"b": 3}}),
    ],
)
def test_the_last_whole_answer_counts(text: str, value: object) -> None:
    assert extract.value(text) == value


def test_of_several_objects_the_one_with_the_wanted_keys_counts() -> None:
    text = 'Here: {"proposals": [1]}. A note on it: {"confidence": 3}'
    assert extract.value(text, ["proposals"]) == {"proposals": [1]}
    broken = 'Maybe {"proposals": [{"a": 1}, no. Rather: {"proposals": [2]}'
    assert extract.value(broken, ["proposals"]) == {"proposals": [2]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n\ufeff ", "empty"),
        ("I cannot do that.", "no JSON"),
        ("see [1]", "no JSON"),
        ('{"a": NaN}', "NaN is no number"),
        ('{"a": -Infinity}', "-Infinity is no number"),
        ('{"a": 1e999}', "1e999 is too large"),
        ('{"a": -1e782026}', "-1e782026 is too large"),
        ('{"a": ' + "9" * 5000 + "}", "5,000 digits"),
        ('{"a": 1, "a": 2}', "'a' is there twice"),
        ('{"a": "\\ud800"}', "half a character"),
        ("[" * 100 + "]" * 100, "nested too deeply"),
        ("[" * 200_000, "broken or cut off|nested too deeply|no JSON"),
        ('{"a":' * 200_000, "broken or cut off|nested too deeply"),
        ('{"proposals": [{"params": {"lr": 0.1}}, {"par', "broken or cut off"),
        ('So: {"proposals": [{"params": {"lr": 0.1}}, {"par', "broken or cut off"),
        ("[" + "1," * 120_000 + "1]", "more than 100,000 values"),
        ("x" * (extract.MAX_CHARS + 1), "at most"),
    ],
)
def test_a_refusal_says_what_is_wrong(text: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        extract.value(text)


def test_a_text_full_of_beginnings_costs_little() -> None:
    """Each of them could be read to the end, which would be quadratic: they are counted, not timed."""
    starts: list[int] = []
    decode = extract._DECODER

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[object, int]:
            starts.append(idx)
            return decode.raw_decode(s, idx)

    extract._DECODER = Counting()
    try:
        with pytest.raises(BadInput):
            extract.value("so " + '{"a": [1, 2, ' * 100_000)
    finally:
        extract._DECODER = decode
    assert 0 < len(starts) <= 201


def test_long_values_after_many_beginnings_are_not_read_over_and_over() -> None:
    """The first beginnings alone: what each of them reads counts, and here each reads to the end."""
    starts: list[int] = []
    decode = extract._DECODER

    class Counting(json.JSONDecoder):
        def raw_decode(self, s: str, idx: int = 0) -> tuple[object, int]:
            starts.append(idx)
            return decode.raw_decode(s, idx)

    extract._DECODER = Counting()
    try:
        with pytest.raises(BadInput, match="broken or cut off"):
            extract.value("so " + '{"a":' * 190 + "[" + "1," * 120_000)
    finally:
        extract._DECODER = decode
    assert 0 < len(starts) <= 10


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x```" + " " * 250_000 + "x", "no JSON"),
        (("x```json" + " \t" * 40_000) * 3 + "x", "no JSON"),
        ("{" + ",".join(f'"k{k}": 1' for k in range(90_000)) + ', "k89999": 2}', "'k89999' is there twice"),
        ("```\n" * 500_000, "no JSON"),
        ("{ " * 1_000_000, "no JSON"),
    ],
    ids=["a fence and spaces", "fences and tabs", "the last key twice", "fences", "braces"],
)
def test_long_answers_cost_what_they_are_long(text: str, words: str) -> None:
    """Where the cost grows with the square these take minutes, and the test runs into its limit."""
    with pytest.raises(BadInput, match=words):
        extract.value(text)


def test_zero_and_small_numbers_stay_what_they_are() -> None:
    value = extract.value('{"a": -0.0, "b": 5e-324, "c": 3.0}')
    assert value == {"a": 0.0, "b": 5e-324, "c": 3}
    assert isinstance(value, dict)
    assert math.copysign(1, value["a"]) == -1
