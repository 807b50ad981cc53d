"""Data sets: what is read, and that everything wrong is told at once with its line."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, NotFound
from lab.tinker import dataset
from lab.tinker.dataset import Comparison, Demonstration, Message, Pair, Task

if TYPE_CHECKING:
    from pathlib import Path

GOOD = b'{"prompt": "why", "completion": "so"}'


def refusal(data: bytes, kind: type[dataset.Example] = Demonstration) -> str:
    with pytest.raises(BadInput) as caught:
        dataset.parse(data, kind, "train.jsonl")
    assert "train.jsonl" in str(caught.value)
    return str(caught.value)


def test_each_kind_is_read_with_the_numbers_of_its_lines() -> None:
    talk = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yes"}]}
    rows = dataset.parse(GOOD + b"\n\n" + json.dumps(talk).encode() + b"\n", Demonstration, "x")
    assert rows == (
        Demonstration(line=1, prompt="why", completion="so"),
        Demonstration(line=3, messages=(Message("user", "hi"), Message("assistant", "yes"))),
    )
    assert dataset.parse(b'{"prompt": "1+1", "answer": "2"}', Task, "x") == (Task(line=1, prompt="1+1", answer="2"),)
    pair = b'{"prompt": "p", "chosen": "c", "rejected": "r", "meta": {"from": "ann"}}'
    assert dataset.parse(pair, Pair, "x") == (Pair(line=1, prompt="p", chosen="c", rejected="r"),)
    compared = b'{"prompt": "p", "a": "c", "b": "r", "better": "b"}'
    assert dataset.parse(compared, Comparison, "x") == (Comparison(line=1, prompt="p", a="c", b="r", better="b"),)


@pytest.mark.parametrize(
    "data", [b"\xef\xbb\xbf" + GOOD, GOOD + b"\r\n", b"\r\n\r\n" + GOOD + b"\r\n  \n"], ids=["bom", "crlf", "blanks"]
)
def test_what_editors_of_other_systems_write_means_nothing(data: bytes) -> None:
    assert [row.prompt for row in dataset.parse(data, Demonstration, "x")] == ["why"]


def test_a_separator_of_lines_within_a_text_ends_no_line() -> None:
    data = '{"prompt": "a\u2028b\u0085c", "completion": "so"}'.encode()
    assert dataset.parse(data, Demonstration, "x")[0].prompt == "a\u2028b\u0085c"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        (b'{"prompt": "why"}', "completion is missing"),
        (b'{"prompt": "why", "complation": "so"}', "unknown field 'complation'; did you mean completion?"),
        (b'{"prompt": "why", "completion": "so", "score": 3}', "unknown field 'score'; known are prompt, completion"),
        (b'{"prompt": "why", "completion": 5}', 'completion must be text, not a number; write "5"'),
        (b'{"prompt": null, "completion": "so"}', "prompt must be text, not null"),
        (b'{"prompt": ["why"], "completion": "so"}', "prompt must be text, not a list"),
        (b'{"prompt": "why", "completion": " \\n"}', "completion is blank"),
        (b'{"prompt": "", "completion": "so"}', "prompt is blank"),
        (b'{"prompt": "why", "prompt": "not", "completion": "so"}', "'prompt' stands twice"),
        (b'{"prompt": "\\ud83d", "completion": "so"}', "half a character"),
        (b'{"prompt": NaN, "completion": "so"}', "NaN is no number of JSON"),
        (b'{"prompt": "why", "completion": "so"', "not JSON: "),
        (b"prompt,completion", "not JSON: "),
        (b'"why"', "not an object but text"),
        (b"5", "not an object but a number"),
        (b'{"prompt": "caf\xe9", "completion": "so"}', "not UTF-8: byte 16 is 0xe9"),
        (b"[" * 100_000, "one JSON list"),
        (b'{"prompt": ' + b"[" * 100_000, "not JSON: "),
        (b'{"messages": []}', "messages must be a list of turns"),
        (b'{"messages": "hi"}', "messages must be a list of turns, not text"),
        (b'{"messages": ["hi"]}', "message 1 must be an object"),
        (b'{"messages": [{"role": "bot", "content": "hi"}]}', "message 1: role is 'bot'; known are system, user"),
        (b'{"messages": [{"role": "asistant", "content": "hi"}]}', "did you mean assistant?"),
        (b'{"messages": [{"role": "assistant"}]}', "message 1: content is missing"),
        (b'{"messages": [{"role": "assistant", "content": "a", "name": "x"}]}', "message 1: unknown field 'name'"),
        (b'{"messages": [{"role": "user", "content": "a"}]}', "the last message is the user's"),
        (b'{"messages": [{"role": "assistant", "content": "a"}], "prompt": "p"}', "prompt beside messages"),
    ],
)
def test_what_is_wrong_with_a_line_is_told_in_words(line: bytes, told: str) -> None:
    text = refusal(line)
    assert told in text
    assert "line 1: " in text or line.startswith(b"[")


def test_a_misspelt_field_is_one_problem_and_not_two() -> None:
    assert "has 1 problem:" in refusal(b'{"prompt": "why", "complation": "so"}')


@pytest.mark.parametrize(
    ("kind", "line", "told"),
    [
        (Pair, b'{"prompt": "p", "chosen": "c", "rejected": "c"}', "chosen and rejected are the same"),
        (Comparison, b'{"prompt": "p", "a": "c", "b": "c", "better": "a"}', "a and b are the same"),
        (Comparison, b'{"prompt": "p", "a": "c", "b": "d", "better": "A"}', 'better must be "a" or "b"'),
        (Task, b'{"prompt": "p", "answer": 4}', 'answer must be text, not a number; write "4"'),
    ],
)
def test_each_kind_has_rules_of_its_own(kind: type[dataset.Example], line: bytes, told: str) -> None:
    assert told in refusal(line, kind)


def test_all_that_is_wrong_is_told_at_once_and_no_more_than_can_be_read() -> None:
    text = refusal(b"\n".join([b"{}"] * 5 + [GOOD] + [b"nothing"] * 100))
    assert "has 110 problems:" in text
    assert "line 5: completion is missing" in text
    assert "line 7: not JSON" in text
    assert "and 90 more" in text
    assert len(text.splitlines()) < 30


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "is empty"),
        (b"\n \n", "has no rows"),
        (b"\xef\xbb\xbf", "has no rows"),
        (b"[\n" + GOOD + b"\n]", "one JSON list"),
        ("\ufeff{}".encode("utf-16-le"), "is UTF-16"),
    ],
)
def test_a_file_that_is_no_file_of_lines_is_told_once(data: bytes, told: str) -> None:
    assert told in refusal(data)


def test_a_file_that_is_not_there_is_told_with_what_a_line_is_like(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r'"completion": "..."'):
        dataset.read(f"{tmp_path}/train.jsonl", Demonstration)
    with pytest.raises(BadInput, match="this is a folder"):
        dataset.read(str(tmp_path), Demonstration)
    (tmp_path / "train.jsonl").write_bytes(GOOD)
    assert len(dataset.read(f"{tmp_path}/train.jsonl", Demonstration)) == 1


def test_what_is_too_long_is_told_by_its_line_with_the_length_that_would_do() -> None:
    with pytest.raises(BadInput) as caught:
        dataset.refuse_too_long({3: 900, 1: 10, 8: 1200}, 512, "train.jsonl")
    assert "line 3: 900 tokens; max_tokens is 512" in str(caught.value)
    assert "line 1:" not in str(caught.value)
    assert "raise max_tokens to 1200" in str(caught.value)
    dataset.refuse_too_long({3: 512}, 512, "train.jsonl")


def test_a_row_that_is_trained_on_cannot_be_held_out() -> None:
    rows = dataset.parse(GOOD + b"\n" + b'{"prompt": "b", "completion": "c"}', Demonstration, "train.jsonl")
    held = dataset.parse(b"\n" + b'{"completion": "c", "prompt": "b"}', Demonstration, "heldout.jsonl")
    with pytest.raises(BadInput, match="line 2: it is trained on as well, there in line 2"):
        dataset.refuse_overlap(rows, held, "heldout.jsonl")
    dataset.refuse_overlap(rows[:1], held, "heldout.jsonl")
