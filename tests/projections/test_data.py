"""Values that JSON has no word for."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from lab.projections import data

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner) | st.dictionaries(st.text(st.characters()) | st.just("\udfff"), inner) | st.tuples(inner)
    ),
    max_leaves=12,
)


@given(anything)
def test_every_value_becomes_json_that_the_standard_library_reads(value: object) -> None:
    json.loads(data.encode(value), parse_constant=lambda name: 1 / 0)


def test_what_json_can_say_comes_back_as_it_was() -> None:
    value: dict[str, object] = {"lr": 0.1, "n": 2**63 - 1, "b": True, "none": None, "list": [1, "ü"], "map": {"k": {}}}
    assert json.loads(data.encode(value)) == value


def test_what_json_cannot_say_is_told_otherwise() -> None:
    value: dict[str, object] = {"nan": float("nan"), "broken": "a\ud800", "object": object(), "huge": 10**5000}
    assert json.loads(data.encode(value)) == {
        "nan": None,
        "broken": "a?",
        "object": "object",
        "huge": "an integer of 16610 bits",
    }


def test_depth_without_end_ends() -> None:
    deep: list[object] = []
    deep.append(deep)
    assert b"\\" not in data.encode(deep)
    assert json.loads(data.encode(deep))
