"""The commands that a shell block would start, without starting them.

Enough of a shell's grammar to find each command and its words: quotes, continued lines, here-documents, comments,
`$( )`, redirections and what stands between commands. It does not expand anything.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.skills.blocks import Block

STANDIN = "PLACEHOLDER"
_PLACEHOLDER = re.compile(r"<[A-Za-z][\w .|-]*>")
_HEREDOC = re.compile(r"(?<!<)<<-?(?!<)\s*(['\"]?)([A-Za-z_]\w*)\1")
_DESCRIPTOR = re.compile(r"(?<!\S)\d+(?=[<>])")
_INSIDE = re.compile(r"\$\(([^()]*)\)")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
_OPERATORS = frozenset("();<>|&")
_BEFORE = frozenset(
    {"if", "then", "else", "elif", "do", "while", "until", "!", "{", "time", "exec", "nohup", "env", "sudo"}
)
_PROMPT = re.compile(r"\s*[$%>]\s+")

MOST_ROWS, MOST_CHARS = 60, 10_000  # of one command: what is longer was never meant to be typed

Command = tuple[int, tuple[str, ...]]


def commands(text: str, first_line: int) -> Iterator[Command]:
    """Each command with its line. `ValueError` names the line of a quote that is never closed."""
    rows = text.split("\n")
    at = 0
    while at < len(rows):
        start, whole = at, rows[at]
        at += 1
        while at < min(len(rows), start + MOST_ROWS) and _goes_on(whole):
            whole = f"{whole[:-1]} {rows[at]}" if whole.endswith("\\") else f"{whole}\n{rows[at]}"
            at += 1
        if _goes_on(whole):
            raise ValueError(first_line + start)
        for _, end in _HEREDOC.findall(whole):
            while at < len(rows) and rows[at].strip() != end:
                at += 1
            at += 1
        for words in _split(_HEREDOC.sub("", whole)):
            yield first_line + start, words


def of_session(block: Block) -> str:
    """What was typed in a block that shows a session: the lines after a prompt; what was printed becomes blank."""
    rows = (_PROMPT.sub("", row, count=1) if _PROMPT.match(row) else "" for row in block.text.split("\n"))
    return "\n".join(rows)


def _goes_on(row: str) -> bool:
    if len(row) > MOST_CHARS:
        return False
    if row.endswith("\\") and not row.endswith("\\\\"):
        return True
    try:
        _tokens(row)
    except ValueError:
        return True
    return False


def _tokens(row: str) -> list[str]:
    reader = shlex.shlex(_DESCRIPTOR.sub("", _PLACEHOLDER.sub(STANDIN, row)), posix=True, punctuation_chars=True)
    reader.whitespace_split = True
    return list(reader)


def _split(row: str) -> Iterator[tuple[str, ...]]:
    if len(row) > MOST_CHARS:
        return
    words: list[str] = []
    skip = False
    for token in [*_tokens(row.replace("\n", " ")), ";"]:
        if set(token) <= _OPERATORS:
            if set(token) & {"<", ">"}:
                skip = True
                continue
            if found := _bare(words):
                yield found
            words, skip = [], False
        elif skip:
            skip = False
        else:
            words.append(token)
            for inside in _INSIDE.findall(token):
                yield from _split(inside)


def _bare(words: list[str]) -> tuple[str, ...]:
    """The words of a command, without what may stand before it."""
    at = 0
    while at < len(words) and (words[at] in _BEFORE or _ASSIGNMENT.match(words[at])):
        at += 1
    if words[at : at + 1] == ["timeout"]:
        at += 2
        while at < len(words) and words[at].startswith("-"):
            at += 1
    return tuple(words[at:])
