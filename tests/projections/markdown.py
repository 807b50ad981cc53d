"""Just enough of a Markdown reader to see whether a text got out of its place."""

from __future__ import annotations

import re

_FENCE = re.compile(r"(`{3,})[a-z]*$")
# What no page may hold: what a terminal obeys, what turns the direction of writing, what is not seen.
UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff]")


def headings(page: bytes) -> list[str]:
    """The headings outside of fences."""
    return [line for line in outside(page) if line.startswith("#")]


def outside(page: bytes) -> list[str]:
    """The lines that are not in a fence. Fails when a fence is left open."""
    lines, fence = [], ""
    for line in page.decode().split("\n"):
        found = _FENCE.match(line)
        if not fence and found:
            fence = found[1]
        elif fence and line == fence:
            fence = ""
        elif not fence:
            lines.append(line)
    assert not fence, "a fence is left open"
    return lines


def tables(page: bytes) -> list[list[str]]:
    """The tables, each as its lines."""
    found: list[list[str]] = [[]]
    for line in outside(page):
        if line.startswith("|"):
            found[-1].append(line)
        elif found[-1]:
            found.append([])
    return [table for table in found if table]


def cells(line: str) -> int:
    """How many cells a line of a table has; an escaped bar opens none."""
    return len(re.sub(r"\\.", "", line).strip("|").split("|"))


def assert_whole(page: bytes) -> None:
    """No text from outside got out of its line, its cell or its fence."""
    assert not UNSEEN.search(page.decode())
    for line in outside(page):
        assert not re.search(r"(?<!\\)<[a-z!/]", line), line
        assert not re.search(r"(?<!\\)\]\(http", line), line
        assert not line.startswith(("# heading", "- item", "> ")), line
    for table in tables(page):
        assert len({cells(line) for line in table}) == 1, table
