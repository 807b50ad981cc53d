"""Line by line through a paper: where a statement may be, which is everywhere but below a few headings.

A heading opens its part by its whole title alone, and only what stands below `##` or deeper. What looks like a heading
inside a fence of code is none.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterator

OPEN = frozenset(
    ("method", "methods", "setup", "experimental setup", "background", "related work", "references", "bibliography")
)
BELOW = frozenset(
    ("architecture", "data", "datasets", "hyperparameters", "implementation", "implementation details", "model",
     "models", "procedure", "search space", "settings", "study", "the search", "the study", "training")
)  # fmt: skip
HEADING = re.compile(r"( {0,3})(#{1,6})[ \t]+(.*)")
SCALES = r"%|‰|per[ -]?cent|percentage|points?\b|times\b|fold\b|of\b|out\b|hundred|thousand|million|billion|trillion"
_NUMBER = re.compile(rf"(\d(?:\.\d)*)\.?[ \t]+(?!{SCALES})", re.IGNORECASE | re.ASCII)
_CAPTION = re.compile(r"\s*(?:[*_]{0,2}(?:Table|Figure|Fig)\b|!\[)")
_ITEM = re.compile(r"\s*(\d{1,2})[.)]\s+", re.ASCII)
_FENCE = re.compile(r"( *)(`{3,}(?=[^`]*$)|~{3,})(.*)")
_TITLE = re.compile(r"[*_`\\]")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`free` is how much of its beginning is the number of a heading or of a list, in letters."""

    number: int
    text: str
    before: str
    is_guarded: bool
    is_heading: bool = False
    is_code: bool = False  # inside a fence, or the fence itself
    is_fenced_in: bool = False  # a fence that is not at the start of its line
    free: int = 0


def walk(text: str) -> Iterator[Line]:
    """Every line of it, counted from 1."""
    above: list[tuple[int, bool]] = []
    fence, before, last, item = "", "", "", 0
    for number, line in enumerate(text.split("\n"), 1):
        found = _FENCE.fullmatch(line)
        is_inside = bool(fence)
        if is_inside and found and found[2].startswith(fence) and not found[3].strip():
            fence = ""
        elif not is_inside and found and not found[1]:
            fence = found[2]
        heading = None if is_inside else HEADING.fullmatch(line)
        free = 0
        if heading:
            told = _NUMBER.match(heading[3])
            if told and _follows(last, told[1]):
                last, free = told[1], heading.start(3) + told.end(1)
            above, item = _below(above, heading, told[1] if told and free else ""), 0
        elif (listed := _listed(line, before, item)) is not None:
            item, free = listed
        yield Line(
            number=number, text=line, before=before, is_heading=bool(heading), free=free,
            is_code=is_inside or bool(fence), is_fenced_in=not is_inside and bool(found and found[1]),
            is_guarded=not (above and above[-1][1]) or "|" in line.replace("\\|", "") or bool(_CAPTION.match(line)),
        )  # fmt: skip
        before = line


def _below(above: list[tuple[int, bool]], heading: re.Match[str], number: str) -> list[tuple[int, bool]]:
    """The headings that one stands below, itself the last, with whether numbers may stand there."""
    level = len(heading[2])
    kept = [each for each in above if each[0] < level]
    title = heading[3].removeprefix(number).lstrip(".") if number else heading[3]
    name = " ".join(_TITLE.sub("", title).strip(" \t#").lower().split())
    is_open = level > 1 and (name in OPEN or (name in BELOW and bool(kept) and kept[-1][1]))
    return [*kept, (level, is_open and not heading[1])]


def _follows(last: str, number: str) -> bool:
    """Whether a heading may have that number: the one behind the last, or a first."""
    if number in {"1", "1.1"}:
        return True
    head, _, tail = number.rpartition(".")
    steps = last.split(".") if last else []
    depth = number.count(".")
    if len(steps) <= depth:
        return tail == "1" and head == last
    return ".".join((*steps[:depth], str(int(steps[depth]) + 1))) == number


def _listed(line: str, before: str, last: int) -> tuple[int, int] | None:
    """The number of an item and where it ends, where it is the first of a list or the one behind the last."""
    found = _ITEM.match(line)
    if not found or (before.strip() and not _ITEM.match(before)) or int(found[1]) not in (1, last + 1):
        return None
    return int(found[1]), found.end(1)
