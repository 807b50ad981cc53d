"""A page as its fenced blocks, each with the line on which it begins: docs/decisions/0055-docs-are-run.md."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path
from typing import NamedTuple

CHECKOUT = Path(__file__).resolve().parents[2]
FENCE = re.compile(r"^( *)(`{3,})(.*)$")
WRITTEN = ("yaml", "json", "jsonl", "python", "toml")
KINDS = ("sh", "text", *WRITTEN)
UNRUN = (
    "a paid service",
    "another machine",
    "an hour of waiting",
    "a program that only an administrator installs",
    "ten trainings: tests/pages/training types two",
    "the network: tests/e2e/test_quickstart.py types it",
    "the tests themselves",
)


class BadPage(AssertionError):
    """A page that does not keep to the conventions."""


class Block(NamedTuple):
    """What stands between two fences. `line` is that of the opening fence, counted from 1."""

    page: str
    line: int
    words: tuple[str, ...]
    lines: tuple[str, ...]

    @property
    def kind(self) -> str:
        return self.words[0] if self.words else ""

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def name(self) -> str:
        """The file that the block is written to, or that it is put into."""
        return self.words[-1] if self.kind in WRITTEN and len(self.words) > 1 else ""

    @property
    def is_merged(self) -> bool:
        """Whether it is put into a file that is there, as a reader does with an editor."""
        return self.words[:2] == ("yaml", "into")

    @property
    def is_shown(self) -> bool:
        """Whether it is a part of a file that the page has not: it is judged as such, and written nowhere."""
        return self.words[:2] == ("yaml", "of")

    @property
    def exit_code(self) -> int:
        """What the last line is to end with."""
        return int(self.words[2]) if self.kind == "sh" and self.words[1:2] == ("exit",) else 0

    @property
    def is_terminal(self) -> bool:
        """Whether it is typed into a terminal of its own, and goes on while the page does."""
        return self.words[:2] == ("sh", "terminal")

    @property
    def is_quiet(self) -> bool:
        """Whether what runs in that terminal says nothing at first: others are waited for until they do."""
        return self.words[2:] == ("quiet",)

    @property
    def unrun(self) -> str:
        """Why it is not typed, or nothing."""
        return " ".join(self.words[2:]) if self.words[:2] == ("sh", "unrun:") else ""

    @property
    def last_command(self) -> int:
        """The line of the page on which the last command begins."""
        found = [number for number, _ in commands(self)]
        return found[-1] if found else self.line

    def problem(self) -> str:
        """What is wrong with the opening fence, or nothing."""
        match self.words:
            case ("sh",) | ("sh", "terminal") | ("sh", "terminal", "quiet") | ("text",):
                return ""
            case ("sh", "exit", code) if code.isdecimal():
                return ""
            case ("sh", "unrun:", *_) if self.unrun in UNRUN:
                return ""
            case ("sh", "unrun:", *_):
                return f"{self.unrun!r} is no reason not to type it; tests/pages/page.py lists them"
            case (kind,) | (kind, _) if kind in WRITTEN:
                return ""
            case ("yaml", "into" | "of", _):
                return ""
        return f"```{' '.join(self.words)} says nothing that docs/decisions/0055-docs-are-run.md knows"


def pages() -> dict[str, Path]:
    """Every page that has a block, by the name of its test."""
    found = [
        CHECKOUT / "README.md",
        *(CHECKOUT / "docs").rglob("*.md"),
        *(CHECKOUT / "examples").rglob("README.md"),
        *(CHECKOUT / "templates").rglob("README.md"),
    ]
    return {name_of(path): path for path in sorted(found) if blocks(path)}


def fate(block: Block) -> str:
    """What becomes of a block, in a word that can be counted."""
    if block.kind == "sh":
        return "not typed" if block.unrun else "typed"
    if block.kind == "text":
        return "pictures and outputs"
    if block.name and not block.is_shown:
        return "written"
    return "run by python" if block.kind == "python" else "parsed"


def name_of(path: Path) -> str:
    """`how-to/search`, `examples/knapsack`, `README`."""
    inside = path.relative_to(CHECKOUT)
    if inside.name == "README.md" and len(inside.parts) > 1:
        return os.fspath(inside.parent)
    return os.fspath(inside.with_suffix("")).removeprefix("docs/")


def blocks(path: Path) -> list[Block]:
    """The blocks of a page, in order."""
    page = os.fspath(path.relative_to(CHECKOUT))
    found: list[Block] = []
    fence, indent, begun, words = "", "", 0, ("",)
    inside: list[str] = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        match = FENCE.match(line)
        if not fence:
            if match:
                indent, fence, words, begun, inside = match[1], match[2], tuple(match[3].split()), number, []
        elif match and match[2] == fence and not match[3]:
            found.append(Block(page, begun, words, tuple(inside)))
            fence = ""
        else:
            inside.append(line.removeprefix(indent))
    if fence:
        raise BadPage(f"{page}:{begun}: the block never ends")
    return found


def commands(block: Block) -> list[tuple[int, str]]:
    """Each command of a block with its line. What a backslash, a quote or a here-document holds together is one."""
    found: list[tuple[int, str]] = []
    open_since, held, until = 0, "", ""
    for number, line in enumerate(block.lines, block.line + 1):
        if until:
            until = "" if line.strip() == until else until
            continue
        held = f"{held}\n{line}" if held else line
        open_since = open_since or number
        if line.endswith("\\") or not _is_whole(held):
            continue
        if held.strip() and not held.lstrip().startswith("#"):
            found.append((open_since, held))
            here = re.search(r"<<-?\s*['\"]?(\w+)", held)
            until = here[1] if here else ""
        held, open_since = "", 0
    if held:
        raise BadPage(f"{block.page}:{open_since}: a quote is never closed: {held}")
    return found


def _is_whole(command: str) -> bool:
    try:
        shlex.split(command, comments=True)
    except ValueError:
        return False
    return True
