"""The fenced blocks of a playbook, each with where it stands and what leads up to it."""

from __future__ import annotations

import re
from typing import Literal

import msgspec

SHELL = frozenset({"bash", "sh", "shell", "zsh"})
CONSOLE = frozenset({"console", "shell-session", "sh-session", "shellsession", "terminal"})
PYTHON = frozenset({"python", "python3", "py"})
_OPEN = re.compile(r"(?P<indent>\s*)(?:[-*+]\s+|\d+[.)]\s+)?(?P<mark>`{3,}|~{3,})(?P<info>[^`]*)$")
_FENCE_CHARS = 1_000
_TYPED = re.compile(r"(?P<prompt>[$%>]\s+)?(?:labctl|git)\s")
_HEADING = re.compile(r"#{1,6}[ \t]+(.*)")


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """One fence. `line` is that of its first line of content; `lead` the last line of text before it."""

    language: str
    text: str
    line: int
    heading: str = ""
    lead: str = ""
    is_closed: bool = True

    @property
    def kind(self) -> Literal["shell", "console", "python", ""]:
        """What would read it. A block that names no language is a shell's where it begins with labctl or git."""
        if self.language in PYTHON:
            return "python"
        if self.language in SHELL | CONSOLE:
            return "shell" if self.language in SHELL else "console"
        rows = (row.strip() for row in self.text.split("\n"))
        first = next((row for row in rows if row and not row.startswith("#")), "")
        typed = None if self.language else _TYPED.match(first)
        return "" if typed is None else "console" if typed["prompt"] else "shell"


class Parts(msgspec.Struct, frozen=True, kw_only=True):
    """A playbook in its two kinds of text. Of the prose each line has its number and the heading above it."""

    blocks: tuple[Block, ...]
    prose: tuple[tuple[int, str, str], ...]

    @property
    def headings(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(heading for _, _, heading in self.prose if heading))


def parts(playbook: str, first_line: int) -> Parts:
    """Take a playbook apart. A fence that is never closed reaches to the end, as it does in every renderer."""
    blocks: list[Block] = []
    prose: list[tuple[int, str, str]] = []
    heading = lead = ""
    rows = iter(enumerate(playbook.replace("\r\n", "\n").split("\n"), first_line))
    for number, row in rows:
        opened = _OPEN.fullmatch(row) if len(row) < _FENCE_CHARS else None
        if opened is None:
            found = _HEADING.fullmatch(row)
            heading = found[1].strip().rstrip("#").rstrip() if found else heading
            lead = row.strip() or lead
            prose.append((number, row, heading))
            continue
        closing = re.compile(rf"\s*{re.escape(opened['mark'][0])}{{{len(opened['mark'])},}}\s*")
        content: list[str] = []
        is_closed = False
        for _, inside in rows:
            if closing.fullmatch(inside):
                is_closed = True
                break
            content.append(_dedented(inside, len(opened["indent"])))
        info = opened["info"].split()
        blocks.append(
            Block(
                language=info[0].lower().strip("{}.") if info else "",
                text="".join(f"{each}\n" for each in content),
                line=number + 1,
                heading=heading,
                lead=lead,
                is_closed=is_closed,
            )
        )
        lead = ""
    return Parts(blocks=tuple(blocks), prose=tuple(prose))


def _dedented(row: str, indent: int) -> str:
    return row[indent:] if not row[:indent].strip() else row
