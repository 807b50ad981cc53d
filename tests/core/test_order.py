"""An order is read whole or refused with words that tell what could have been written."""

from __future__ import annotations

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core import ids, order
from lab.core.errors import BadInput

# As hermes-lab wrote it.
THEIRS = {
    "schema_version": 1, "command_id": "CMD-20260102-030405-pause", "ts": "2026-01-02T03:04:05Z", "actor": "labctl",
    "target": "lr-sweep", "intent": "pause", "parameters": {"reason": "x"}, "approval_class": "low",
    "idempotency_key": "CMD-20260102-030405-pause",
}  # fmt: skip


def parsed(**found: object) -> order.Order:
    return order.parse(found, "key")


def test_a_record_of_hermes_lab_is_an_order() -> None:
    found = order.fields(json.dumps(THEIRS).encode())
    made = order.parse(found, order.key(found, "0" * 64))
    assert (made.intent, made.target, made.text("reason"), made.actor) == ("pause", "lr-sweep", "x", "labctl")
    assert made.idempotency_key == THEIRS["command_id"]


def test_a_null_is_as_good_as_nothing() -> None:
    assert parsed(intent="refresh", target=None, parameters=None, actor=None).actor == "inbox"


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ({}, "needs an intent"),
        ({"intent": "puase", "target": "a"}, "did you mean pause"),
        ({"intent": "rm -rf", "target": "a"}, "intents: pause, resume"),
        ({"intent": 7}, "intent must be a text"),
        ({"intent": "pause"}, "experiment id"),
        ({"intent": "pause", "target": "../x"}, "experiment id"),
        ({"intent": "pause", "target": ["a"]}, "target must be a text"),
        ({"intent": "pause", "target": "a", "parameters": []}, "parameters must be an object"),
        ({"intent": "pause", "target": "a", "parameters": {"raeson": "x"}}, "did you mean reason"),
        ({"intent": "pause", "target": "a", "parameters": {"reason": 7}}, "must be text"),
        ({"intent": "pause", "target": "a", "parameters": {"reason": "x" * 3000}}, "more than 2000"),
        ({"intent": "set-fidelity", "target": "a"}, "needs the parameter tier"),
        ({"intent": "reject", "target": "a-1"}, "needs the parameter why"),
        ({"intent": "reject", "target": "a-1", "parameters": {"why": " "}}, "needs the parameter why"),
        ({"intent": "approve"}, "needs a target"),
        ({"intent": "approve", "target": "a-1", "parameters": {"params": "x"}}, "must be an object"),
        ({"intent": "create"}, "needs the parameter spec"),
        ({"intent": "pause", "target": "a", "idempotency_key": "x" * 300}, "idempotency_key"),
    ],
)
def test_what_is_no_order_is_refused_with_what_could_be_one(found: dict[str, object], words: str) -> None:
    with pytest.raises(BadInput) as refused:
        order.parse(found, "key")
    assert words in f"{refused.value.what} {refused.value.fix}"


@pytest.mark.parametrize("data", [b"", b"[1]", b"7", b'"x"', b"{", b"\xff", b"[" * 100_000, b"null"])
def test_what_is_no_object_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput):
        order.fields(data)


@given(st.dictionaries(st.text(max_size=5), st.integers(), min_size=1), st.data())
def test_the_beginning_of_an_object_is_seen_to_be_one(found: dict[str, int], data: st.DataObject) -> None:
    whole = json.dumps(found).encode()
    assert not order.half(whole)
    assert order.half(whole[: data.draw(st.integers(0, len(whole) - 1))])


@given(st.text())
def test_every_key_has_a_place_that_is_one_safe_file(key: str) -> None:
    assert ids.name(order.place(key), "key")


@given(st.dictionaries(st.sampled_from(["intent", "target", "parameters", "actor", "x"]), st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.sampled_from(list(order.INTENTS)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)))  # fmt: skip
def test_nothing_but_a_refusal_comes_of_nonsense(found: dict[str, object]) -> None:
    with contextlib.suppress(BadInput):
        assert order.parse(found, order.key(found, "0")).intent in order.INTENTS
