"""Text from outside, on one line, in a cell, in a fence."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.projections import text
from tests.projections import markdown
from tests.projections.subjects import HOSTILE

anything = st.text() | st.text(
    st.sampled_from("\x1b\x9b\x9d[]31m;\\`~#>-+*=|<!a1. \t\r\n\x07\u202e\u2028\u200b\ud800\ufeff"), max_size=60
)


@given(anything)
def test_a_line_is_one_line_and_hides_nothing(given_text: str) -> None:
    made = text.line(given_text)
    assert len(made.splitlines()) <= 1
    assert not markdown.UNSEEN.search(made)
    made.encode()


@given(anything)
def test_cleaning_twice_changes_nothing_more(given_text: str) -> None:
    assert text.line(text.line(given_text)) == text.line(given_text)


@given(anything)
def test_a_cell_stays_a_cell(given_text: str) -> None:
    rows = text.table(("a", "b"), [(text.md(given_text), "x")])
    assert [markdown.cells(row) for row in rows] == [2, 2, 2]


@given(anything)
def test_nothing_in_a_fence_closes_it(given_text: str) -> None:
    page = text.page(["before", *text.fenced(text.block(given_text)), "after"])
    assert markdown.outside(page) == ["before", "after", ""]
    assert not markdown.UNSEEN.search(page.decode())


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("lr=0.1, warm_up doubled", "lr=0.1, warm_up doubled"),
        ("a | b", r"a \| b"),
        (r"C:\new | x", r"C:\\new \| x"),
        ("<b>", r"\<b>"),
        ("`rm`", r"\`rm\`"),
        ("[x](http://y)", r"\[x\](http://y)"),
        ("# title", r"\# title"),
        ("- item", r"\- item"),
        ("-0.5 is lower", "-0.5 is lower"),
        ("---", r"\---"),
        ("1. first", r"1\. first"),
        ("1.5 first", "1.5 first"),
        ("> said", r"\> said"),
        ("~~~", r"\~~~"),
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("a\u2028b\u202ec\u200bd", "a bcd"),
        ("\ud800", "\ufffd"),
        ("größer 大 👩‍🔬", "größer 大 👩‍🔬"),
        ("", ""),
    ],
)
def test_markdown_shows_the_text_as_it_is(given_text: str, shown: str) -> None:
    assert text.md(given_text) == shown


def test_ten_megabytes_are_not_read_to_their_end() -> None:
    for clean in (text.line, text.md, text.block):
        for note in (HOSTILE + "x" * 10_000_000, "\x1b]" * 5_000_000, "\n" * 10_000_000):
            begun = time.process_time()
            made = clean(note)
            assert time.process_time() - begun < 1
            assert len(made) <= 2 * text.BLOCK_CHARS
            assert made.endswith(text.CUT) or not made


def test_a_cut_is_seen() -> None:
    assert text.line("x" * 201) == "x" * 199 + "…"
    assert text.line("x" * 200) == "x" * 200
    assert text.block("a\nb\nc", lines=2) == "a\nb\n…"


def test_a_block_keeps_its_lines_and_its_tabs() -> None:
    assert text.block("\r\na\r\n\tb  \n\nc\n\n") == "a\n\tb\n\nc"


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "0 s"),
        (0.25, "0.25 s"),
        (12.54, "12.5 s"),
        (60, "1 min"),
        (200, "3 min 20 s"),
        (7500, "2 h 05 min"),
        (276_000, "3 d 4 h"),
    ],
)
def test_a_duration_is_said_for_people(seconds: float, said: str) -> None:
    assert text.duration(seconds) == said


@pytest.mark.parametrize("value", [0.1 + 0.2, 1e-300, -0.0, 1e22, 3.0])
def test_a_value_keeps_every_digit(value: float) -> None:
    assert float(text.number(value)) == value


def test_no_value_is_a_dash() -> None:
    assert text.number(None) == "-"


def test_a_foreign_time_is_shown_as_it_is() -> None:
    assert text.moment("2026-01-02T03:04:05.678901Z") == "2026-01-02 03:04:05 UTC"
    assert text.moment("yesterday | noon") == r"yesterday \| noon"
    assert text.moment("") == "-"


def test_of_a_line_that_was_written_anew_the_last_state_is_left() -> None:
    told = [b"10%\r50%\r100%", b"10%\r50%\r", b"\r 3%|#", b"done\r", b"a\r\r", b"plain", b"", b"\r\r", b"a\r   \r"]
    assert [text.rewritten(line) for line in told] == [
        b"100%", b"50%", b" 3%|#", b"done", b"a", b"plain", b"", b"", b"   ",
    ]  # fmt: skip


@pytest.mark.parametrize("line", [b"x" * 4_000_000, b"\r" * 4_000_000, b"x\r" * 2_000_000])
def test_a_line_of_megabytes_is_rewritten_in_a_moment(line: bytes) -> None:
    began_s = time.process_time()
    text.rewritten(line)
    assert time.process_time() - began_s < 0.2
