"""What touches a number of a run and makes another of it: a sign, digits, a unit; with or without markup between."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from lab.research.paper import evidence
from lab.research.paper.claim import NUMBER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from lab.research.paper.claim import Claim
    from lab.research.paper.sections import Line

WRITE = 'write {{ run("RUN-...").value | fmt(".4f") }} or {{ evaluation.gain | fmt("+.4g") }}'
_AROUND = 240  # letters that are looked at on either side
_MARKUP = re.compile(r"\]\([^()\s]*\)|~~|[*_`\\\[\]\x1f]")
_BULLET = re.compile(r"(?:^|\n)[ \t>]*[-+*][ \t]+[*_`\[]*")
_SIGNED = re.compile(r"(?:[-+−]|(?<!\d)\s*–|\bminus|\bplus|\bnegative)\s*", re.IGNORECASE)  # noqa: RUF001  # what people type
_TOUCHING = frozenset("-+−.,~≈<>^×·")  # noqa: RUF001  # the same
_UNIT = re.compile(
    r"\s*(?:[%‰‱\N{FULLWIDTH PERCENT SIGN}]|pct\b|[×x·]\s*10\b|"  # noqa: RUF001  # the same
    r"-?\s?(?:per[ -]?cent|per mille|percentage|basis points?|hundred|thousand|million|billion|trillion|dozen))",
    re.IGNORECASE,
)
_ON = re.compile(r"[.,'’](?=\d)|\s?\^|\s+\d")  # noqa: RUF001  # what people type
_PREDICTED = re.compile(r"\b(?:a predicted(?: gain of)?|predicted was)\s*", re.IGNORECASE)
_MARKED = re.compile(r"\s*\((?:of what was )?predicted\)")


def counts(letter: str) -> bool:
    """Whether it is a digit of any script, a fraction, a number in a circle, or a sign that is a number by itself."""
    return letter.isdecimal() if letter.isascii() else unicodedata.numeric(letter, None) is not None


def of(text: str, claims: Sequence[Claim], covered: Sequence[tuple[int, int]]) -> Iterator[tuple[Claim, str, str]]:
    """Each claim that something touches: what, and what to write instead."""
    for each, (start, end) in zip(claims, covered, strict=True):
        if each.kind == NUMBER and (wrong := _touched(text, each, start, end)):
            yield each, *wrong


def _touched(text: str, each: Claim, start: int, end: int) -> tuple[str, str] | None:
    raw = text[max(0, start - _AROUND) : start].rpartition("\n\n")[2]
    before, after = _MARKUP.sub("", raw), _MARKUP.sub("", text[end : end + _AROUND].partition("\n\n")[0])
    last, first = before[-1:], after[:1]
    if last.isalnum() or counts_any(last) or last in _TOUCHING or (_ends(_SIGNED, before) and not _ends(_BULLET, raw)):
        what = f"{before[-9:].split()[-1]!r} before {each.text} makes another number of it"
        return what, 'leave it out; fmt("+.4f") writes the sign'
    if first.isalnum() or counts_any(first) or _UNIT.match(after):
        what = f"{' '.join(after[:12].split())!r} behind {each.text} makes another number of it"
        return what, "leave a space before a unit; pct writes a share in per cent"
    if _ON.match(after):
        return f"{each.text} goes on with digits that are not its own", WRITE
    return None


def counts_any(letters: str) -> bool:
    """Whether there is a number in it."""
    return any(map(counts, letters))


def _ends(pattern: re.Pattern[str], words: str) -> bool:
    """Whether it stands at the very end."""
    return any(found.end() == len(words) for found in pattern.finditer(words))


def predicted(
    text: str, claims: Sequence[Claim], covered: Sequence[tuple[int, int]], lines: Sequence[Line]
) -> Iterator[tuple[Claim, str, str]]:
    """Numbers of an idea that stand like a result: nobody measured them."""
    for each, (start, end) in zip(claims, covered, strict=True):
        is_guess = each.kind == NUMBER and any(part.file.startswith(evidence.IDEAS) for part in each.of)
        if not is_guess or not lines[each.line - 1].is_guarded:
            continue
        before = _MARKUP.sub("", text[max(0, start - _AROUND) : start])
        if not _MARKED.match(_MARKUP.sub("", text[end : end + _AROUND])) and not _ends(_PREDICTED, before):
            what = f"{each.text} was predicted, not measured, and stands like a result"
            yield each, what, "write (predicted) behind it, or {{ evaluation.gain }}"
