"""The commands that a shell block would start, without starting them.

Enough of a shell's grammar to find each command and its words: quotes, continued lines, here-documents, comments,
`$( )`, redirections and what stands between commands. It does not expand anything.
"""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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

_SHELLS = frozenset({"bash", "dash", "ksh", "sh", "zsh"})
_READS_A_TEXT = re.compile(r"-[a-z]*c")

MOST_ROWS, MOST_CHARS = 60, 10_000  # of one command: what is longer was never meant to be typed
DEEPEST = 3  # a command in the text of a command in the text of a command

Command = tuple[int, tuple[str, ...]]


def commands(text: str, first_line: int, depth: int = 0) -> Iterator[Command]:
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
        for words in _split(_HEREDOC.sub("", whole), depth):
            yield first_line + start, words


def text_for_a_shell(words: Sequence[str]) -> int:
    """Which of these words a shell would read as a text of commands (`bash -c TEXT`); 0 where none is."""
    if not words or words[0].rpartition("/")[2] not in _SHELLS:
        return 0
    at = 1
    while at < len(words) and words[at].startswith(("-", "+")):
        if _READS_A_TEXT.fullmatch(words[at]):
            return at + 1 if at + 1 < len(words) else 0
        at += 1
    return 0


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


def _split(row: str, depth: int) -> Iterator[tuple[str, ...]]:
    if len(row) > MOST_CHARS:
        return
    words: list[str] = []
    skip = False
    for token in [*_tokens(row), ";"]:
        if set(token) <= _OPERATORS:
            if set(token) & {"<", ">"}:
                skip = True
                continue
            if found := _bare(words):
                yield found
                if at := text_for_a_shell(found):
                    yield from _within(found[at], depth)
            words, skip = [], False
        elif skip:
            skip = False
        else:
            words.append(token)
            for inside in _INSIDE.findall(token):
                yield from _within(inside, depth)


def _within(text: str, depth: int) -> Iterator[tuple[str, ...]]:
    """The commands in a word of a command. What cannot be read there is no fault: its own quotes were taken off."""
    if depth >= DEEPEST:
        return
    try:
        yield from [words for _, words in commands(text, 0, depth + 1)]
    except ValueError:
        return


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
