"""Whether a change is one in name only: other seeds are other luck, and luck may not be kept. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

WHITESPACE, COMMENTS = "whitespace", "comments"


def seed_only(lines: Iterable[tuple[str, str, str]]) -> bool:
    """Whether these changed lines (path, `+` or `-`, text) differ in nothing but the numbers of seeds.

    Said only of what is certainly so: a change of anything besides, however small, is a change.
    """
    raise NotImplementedError


def cosmetic(lines: Iterable[tuple[str, str, str]]) -> str:
    """`whitespace` or `comments` where nothing else was changed; else empty. It is said, and refused by nobody."""
    raise NotImplementedError
