"""What a proposer may leave for whoever comes next, and what it may not claim."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import asi, canonical
from lab.core.asi import Asi
from lab.core.errors import BadInput

NOTES = {"hypothesis": "wider is better", "change": "dim 64 -> 96", "next_action_hint": "try 128", "files": ["a.py"]}


def test_notes_are_read_with_keys_that_nobody_knows() -> None:
    found = asi.parse(json.dumps(NOTES))
    assert (found.hypothesis, found.note, found.more) == ("wider is better", "dim 64 -> 96", {"files": ["a.py"]})
    assert asi.told(found) == NOTES


def test_what_came_of_it_is_the_word_of_the_lab() -> None:
    found = asi.parse(json.dumps(NOTES | {"result": "a triumph", "rollback_reason": ""}))
    assert (found.result, found.more["claimed_result"]) == ("", "a triumph")
    judged = asi.completed(found, verdict="discard", why="within the noise", gain=-0.25, metric="loss")
    assert judged.result == "discard, loss worse by 0.25: within the noise"
    assert judged.rollback_reason == "within the noise"
    kept = asi.completed(found, verdict="keep", why="", gain=0.5, metric="loss")
    assert (kept.result, kept.rollback_reason) == ("keep, loss better by 0.5", "")
    assert asi.completed(found, verdict="crash", why="").rollback_reason == "crash"


def test_what_the_lab_wrote_is_read_as_the_lab_wrote_it() -> None:
    judged = asi.completed(asi.parse(json.dumps(NOTES | {"result": "mine"})), verdict="keep", why="", gain=1.0)
    assert asi.parse(canonical.page(asi.told(judged)).decode(), own=True) == judged


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "the notes are not JSON"),
        ("[1]", "the notes are not a JSON object"),
        ('{"a": NaN}', "the notes are not JSON: NaN is no JSON"),
        ('{"change": 3}', "change of the notes must be text"),
        ('{"": 3}', "'' is no key for notes"),
        (json.dumps({f"k{n}": 1 for n in range(33)}), "the notes have 33 keys; 32 are kept"),
        (json.dumps({"change": "x" * 4_097}), "change of the notes has 4,097 bytes; 4,096 are kept"),
        (json.dumps({"log": ["x" * 5_000]}), "log of the notes has 5,004 bytes"),
        ("[" * 100_000, "the notes have more than 16,384 bytes"),
        ("[" * 10_000, "the notes are not JSON"),
    ],
)
def test_notes_that_cannot_be_kept_are_refused_with_the_reason(text: str, what: str) -> None:
    with pytest.raises(BadInput) as refused:
        asi.parse(text, "asi.json")
    assert refused.value.what.startswith(what)
    assert refused.value.fix


def test_secrets_are_blotted_out_wherever_they_stand() -> None:
    notes = asi.parse(json.dumps({"change": "used s3cr3t-key", "more": [{"s3cr3t-key": "a s3cr3t-key b"}]}))
    assert "s3cr3t" not in str(asi.told(asi.redacted(notes, ["s3cr3t-key"])))
    assert asi.redacted(notes, []) is notes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=9) | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["change", "result", "x", "y z", "\ud800"]), JSON, max_size=5))
def test_whatever_is_kept_comes_back_as_it_was(found: dict[str, object]) -> None:
    try:
        notes = asi.completed(asi.parse(json.dumps(found)), verdict="keep", why="")
    except BadInput:
        return
    assert asi.parse(json.dumps(asi.told(notes)), own=True) == notes
    assert isinstance(notes, Asi)


def test_a_gain_of_nothing_is_called_no_gain() -> None:
    told = asi.completed(Asi(), verdict="discard", why="it is no better", gain=0.0, metric="loss")
    assert told.result == "discard, loss the same: it is no better"
