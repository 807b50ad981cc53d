"""Spans of a source's own text that say most about a topic: chosen by counting words, so that all find the same."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.research.literature import phrase
from lab.research.source import Quote

if TYPE_CHECKING:
    from collections.abc import Iterator

MOST = 2
MOST_CHARS = 400
# Where a sentence ends: at its stop, with what closes after it; at an empty line, at a point of a list, at a heading.
_END = re.compile(r"(?<=[.!?])([)\]\"']*)\s+(?=\S)|\n\s*\n|\n(?=\s*[-*>])|^#[^\n]*\n?", re.MULTILINE)


def spans(whole: str, topic: frozenset[str]) -> tuple[Quote, ...]:
    """The sentences that share most words with the topic, in the order of the text; none where none shares any."""
    scored: list[tuple[int, int, int]] = []
    for start, end in _sentences(whole):
        shared = len(phrase.stems((whole[start:end],)) & topic)
        if shared:
            scored.append((-shared, start, end))
    best = sorted(sorted(scored)[:MOST], key=lambda each: each[1])
    return tuple(Quote(text=whole[start:end], start=start, end=end) for _, start, end in best)


def is_true(quote: Quote, whole: str) -> bool:
    """Whether these are words of the text, where they are said to stand."""
    return 0 <= quote.start < quote.end <= len(whole) and whole[quote.start : quote.end] == quote.text


def _sentences(whole: str) -> Iterator[tuple[int, int]]:
    """Where each begins and ends, without the blanks around it. A long one is cut at a word."""
    ends = [(found.end(1) if found[1] is not None else found.start(), found.end()) for found in _END.finditer(whole)]
    start = 0
    for stop, following in (*ends, (len(whole), len(whole))):
        piece = whole[start:stop]
        first = start + len(piece) - len(piece.lstrip())
        last = start + len(piece.rstrip())
        start = following
        if first >= last:
            continue
        if last - first > MOST_CHARS:
            cut = max(whole.rfind(" ", first, first + MOST_CHARS), whole.rfind("\n", first, first + MOST_CHARS))
            last = cut if cut > first else first + MOST_CHARS
        yield first, last
