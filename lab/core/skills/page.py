"""A SKILL.md taken apart: its frontmatter as values, its playbook byte for byte.

Reading is lenient, as clients are: what is wrong becomes an issue beside whatever could still be read. Nothing here
promises that the skill is any good; that is for `lint`.
"""

from __future__ import annotations

import math
import re

import msgspec

from lab.core import spec_text
from lab.core.errors import BadInput
from lab.core.skills.codes import Issue, issue  # msgspec resolves annotations

MAX_BYTES = 1 << 20
NAME = "SKILL.md"
_BOM = b"\xef\xbb\xbf"
_FENCE = re.compile(r"---[ \t]*\r?\n?")


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """What one SKILL.md says. `head` is the text between the two lines of ---; `playbook` all that follows them."""

    frontmatter: dict[str, object] = {}
    lines: dict[str, int] = {}
    head: str = ""
    playbook: str = ""
    playbook_line: int = 1
    count: int = 0
    issues: tuple[Issue, ...] = ()

    def said(self, field: str) -> str:
        """A field as text; empty where it is none."""
        found = self.frontmatter.get(field)
        return found if isinstance(found, str) else ""

    @property
    def metadata(self) -> dict[str, object]:
        """The map of that name; an empty one where there is none."""
        return _map(self.frontmatter, "metadata")

    @property
    def hermes(self) -> dict[str, object]:
        """What `metadata` says to Hermes; an empty map where it says nothing."""
        return _map(self.metadata, "hermes")

    def line(self, field: str) -> int:
        return self.lines.get(field, 1 if self.head else 0)


def _map(within: dict[str, object], name: str) -> dict[str, object]:
    found = within.get(name)
    return found if isinstance(found, dict) else {}


def parse(data: bytes) -> Page:
    """The page in these bytes. Never raises: a file of a stranger must not stop a list of all."""
    if len(data) > MAX_BYTES:
        return _unreadable(f"SKILL.md has more than {MAX_BYTES:,} bytes")
    if b"\0" in data:
        return _unreadable("SKILL.md is binary, not text")
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as trouble:
        return _unreadable("SKILL.md is not UTF-8", line=data.count(b"\n", 0, trouble.start) + 1)
    rows = _rows(text)
    end = next((at for at, row in enumerate(rows) if at and _FENCE.fullmatch(row)), 0)
    if not rows or not _FENCE.fullmatch(rows[0]) or not end:
        missing = "the frontmatter is never closed" if rows and _FENCE.fullmatch(rows[0]) else "there is no frontmatter"
        return Page(playbook=text, count=len(rows), issues=(issue("NO_FRONTMATTER", missing, line=1),))
    head = "".join(rows[1:end])
    values, lines, issues = _values(head)
    if data.startswith(_BOM):
        issues += (issue("YAML_STRICT", "a byte order mark stands before the first ---", line=1),)
    return Page(
        frontmatter=values,
        lines=lines,
        head=head,
        playbook="".join(rows[end + 1 :]),
        playbook_line=end + 2,
        count=len(rows),
        issues=issues,
    )


def _rows(text: str) -> list[str]:
    r"""Lines with their ends, split at \n alone: form feeds and the like are part of a line, as in every editor."""
    rows = [f"{row}\n" for row in text.split("\n")]
    rows[-1] = rows[-1][:-1]
    return rows if rows[-1] else rows[:-1]


def _unreadable(why: str, *, line: int = 0) -> Page:
    return Page(issues=(issue("UNREADABLE", why, line=line),))


def _values(head: str) -> tuple[dict[str, object], dict[str, int], tuple[Issue, ...]]:
    if not head.strip():
        return {}, {}, (issue("NO_FRONTMATTER", "the frontmatter is empty", line=1),)
    try:
        values, lines = spec_text.parse_text(head.encode(), "SKILL.md")
    except BadInput as trouble:
        _, _, number = trouble.where.rpartition(" line ")
        line = int(number) + 1 if number.isdecimal() else 1
        return {}, {}, (issue("YAML", trouble.what, line=line, fix=trouble.fix),)
    at = {".".join(map(str, path)): line + 1 for path, line in lines.at.items() if path}
    return {name: _plain(value) for name, value in values.items()}, at, ()


def _plain(value: object) -> object:
    """A value that JSON has a word for: `.nan` and `.inf` are text again."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value
