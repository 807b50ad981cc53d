"""The commands of a playbook, wherever they stand: what labctl would refuse, and git where nobody looked before."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Protocol

import msgspec

from lab.core.skills import git, python, shell
from lab.core.skills.codes import issue
from lab.core.skills.prose import ROW_CHARS, is_denied, sentences

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.core.skills.blocks import Block, Parts
    from lab.core.skills.codes import Issue

_INLINE = re.compile(r"`labctl ([^`]+)`")
_SPAN = re.compile(r"`[^`]+`")
_VERB = re.compile(r"[a-z][a-z0-9-]*")


class Wrong(msgspec.Struct, frozen=True, kw_only=True):
    """Why a command would be refused."""

    code: str
    message: str
    fix: str = ""


class Try(Protocol):
    """Ask the parsers whether they take these words after `labctl`. `whole` is false for a command named in passing."""

    def __call__(self, words: Sequence[str], *, whole: bool) -> Wrong | None: ...


class Command(msgspec.Struct, frozen=True):
    """One command, with where it stands. `is_whole` is false where only a part of its words is known."""

    line: int
    heading: str
    words: tuple[str, ...]
    is_whole: bool = True


def judge(parts: Parts, attempt: Try) -> Iterator[Issue]:
    """All rules on commands."""
    found: list[Command] = []
    for block in parts.blocks:
        try:
            found += _of_shell(block)
        except ValueError as trouble:
            yield issue("SHELL_SYNTAX", "a quote is opened here and never closed", line=int(str(trouble)))
    found += of_prose(parts)
    blocks = [block for block in parts.blocks if block.kind == "python"]
    started = [Command(line, "", words, whole) for line, words, whole in python.commands(blocks)]
    for each in (*found, *started):
        if each.words[:1] == ("labctl",) and (wrong := attempt(each.words[1:], whole=each.is_whole)):
            yield issue(wrong.code, wrong.message, line=each.line, fix=wrong.fix)
    for line, words in (*_unreviewed(found), *(each for block in blocks for each in _unreviewed_in(block))):
        yield issue("GIT_UNREVIEWED", f"nobody looks before: {' '.join(words)[:80]}", line=line)


def _of_shell(block: Block) -> list[Command]:
    if block.kind not in ("shell", "console"):
        return []
    text = shell.of_session(block) if block.kind == "console" else block.text
    return [Command(line, block.heading, words) for line, words in shell.commands(text, block.line)]


def of_prose(parts: Parts) -> Iterator[Command]:
    """The commands in sentences and tables, but for those of git that a sentence tells not to type."""
    for line, row, heading, before in sentences(parts):
        for named in _INLINE.findall(row):
            words = named.split()
            if words and _VERB.fullmatch(words[0]):
                yield Command(line, heading, ("labctl", *words), is_whole=False)
        spans = [(found.start(), found.end()) for found in _SPAN.finditer(row)]
        for at, given in git.spelt(row):
            is_code = any(start < at < end for start, end in spans)
            if "push" in given and not is_code:  # in a sentence a word like any other
                continue
            if not is_denied(before, row, at, at + len(" ".join(given))):
                yield Command(line, heading, given, is_whole=False)


def _unreviewed(found: Iterable[Command]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """What git would take in or send away, where no look at it comes before under the same heading."""
    looked: set[str] = set()
    for each in sorted(found, key=lambda command: command.line):
        if git.looks(each.words):
            looked.add(each.heading)
        elif git.sweeps(each.words) and each.heading not in looked:
            yield each.line, each.words


def _unreviewed_in(block: Block) -> Iterator[tuple[int, tuple[str, ...]]]:
    """What a Python block would have git take in, once a line; nothing where it looks as well."""
    found = [(line, words) for line, text in python.texts(block) for _, words in git.spelt(text[:ROW_CHARS])]
    if not any(git.looks(words) for _, words in found):
        yield from {line: words for line, words in found if git.sweeps(words)}.items()
