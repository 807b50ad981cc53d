"""The lines of text between the blocks of a playbook, as one reads them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Parts

ROW_CHARS = 2_000  # of a longer line only the beginning is looked at: a line of 1 MB must not take a day
_DENIED = re.compile(r"\b(?:not|no|never|n't|instead of|without|avoid|refuses?)\b[^.]{0,40}$", re.IGNORECASE)
_DENIED_AFTER = re.compile(r"`?\s+(?:is|are)\s+(?:not|never|refused|forbidden)\b", re.IGNORECASE)


def sentences(parts: Parts) -> Iterator[tuple[int, str, str, str]]:
    """Each line of text with its number and heading, and the line that it may go on from."""
    before = ""
    for line, row, heading in parts.prose:
        yield line, row[:ROW_CHARS], heading, before
        before = row[-ROW_CHARS:].strip()


def is_denied(before: str, row: str, start: int, end: int) -> bool:
    """Whether a sentence tells not to: by what stands before, on this line or the one above, or right after."""
    return bool(_DENIED.search(f"{before[-ROW_CHARS:]} {row[:start]}") or _DENIED_AFTER.match(row, end))
