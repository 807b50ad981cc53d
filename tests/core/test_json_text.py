"""Only what every reader of JSON takes is taken."""

from __future__ import annotations

import pytest

from lab.core import json_text


@pytest.mark.parametrize("text", ["NaN", '{"a": [1, -Infinity]}', "Infinity", "{", "", "'a'"])
def test_what_is_no_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"JSON|Expecting"):
        json_text.parse(text)


def test_the_rest_is_read_as_it_stands() -> None:
    assert json_text.parse('{"a": [1, 2.5, null, true], "b": "NaN"}') == {"a": [1, 2.5, None, True], "b": "NaN"}
