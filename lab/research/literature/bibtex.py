"""BibTeX as people write it: what can be read of it, and the line of every entry that cannot.

Braces, quotes, `#`, @string and comments, in entries with braces or with parentheses. An entry that is broken is told
and passed over: the next one begins at the next line that begins with `@`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.research.literature import phrase, tex

if TYPE_CHECKING:
    from collections.abc import Mapping

MOST_CHARS = 8 << 20
MOST_ENTRIES = 20_000
MOST_PROBLEMS = 200
MOST_OF_A_VALUE = 200_000  # characters: a brace that is never closed is not looked for to the end of the file
_HEAD = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
_NEXT = re.compile(r"^[ \t]*@", re.MULTILINE)
_KEY = re.compile(r"\s*([^\s,{}()\"'#%=\\]+)\s*(?:,|(?=[})]))")
_NAME = re.compile(r"\s*([A-Za-z][\w:.+/-]*)\s*=\s*")
_BARE = re.compile(r"[^\s,#{}()\"=]+")
_BLANK = re.compile(r"\s*")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An entry: its values without TeX, as plain text."""

    kind: str
    key: str
    line: int
    fields: dict[str, str] = {}


class Library(msgspec.Struct, frozen=True, kw_only=True):
    """What was read, and what was not: each problem with the line it begins at."""

    items: tuple[Item, ...] = ()
    problems: tuple[str, ...] = ()


class _Broken(Exception):
    """This entry cannot be read; the words say why."""


def parse(text: str) -> Library:
    items: list[Item] = []
    problems: list[str] = []
    macros: dict[str, str] = {each: each for each in _MONTHS}
    seen: dict[str, int] = {}
    at, line, counted = 0, 1, 0
    while (head := _HEAD.search(text, at)) is not None:
        line += text.count("\n", counted, head.start())
        counted = head.start()
        kind = head[1].lower()
        try:
            if kind in ("comment", "preamble"):
                _, at = _balanced(text, head.end() - 1)
                continue
            fields, key, at = _body(text, head, kind, macros)
        except _Broken as wrong:
            problems.append(f"line {line}: {wrong}")
            if len(problems) >= MOST_PROBLEMS:
                problems.append("and so on: the rest of it was not read")
                break
            following = _NEXT.search(text, head.end())
            at = following.start() if following else len(text)
            continue
        if kind == "string":
            macros |= fields
            continue
        if key in seen and len(problems) < MOST_PROBLEMS:
            problems.append(f"line {line}: {key} is the key of line {seen[key]} already")
        seen.setdefault(key, line)
        items.append(
            Item(kind=kind, key=key, line=line, fields={name: tex.plain(each) for name, each in fields.items()})
        )
        if len(items) >= MOST_ENTRIES:
            problems.append(f"line {line}: only the first {MOST_ENTRIES:,} entries were read")
            break
    return Library(items=tuple(items), problems=tuple(problems))


def _body(text: str, head: re.Match[str], kind: str, macros: Mapping[str, str]) -> tuple[dict[str, str], str, int]:
    """The fields of an entry, its key, and where it ends."""
    close = "}" if head[2] == "{" else ")"
    at, key = head.end(), ""
    if kind != "string":
        found = _KEY.match(text, at)
        if found is None:
            raise _Broken("it has no key")
        key, at = found[1], found.end()
    fields: dict[str, str] = {}
    while True:
        at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # it matches nothing too
        if at >= len(text):
            raise _Broken(f"{key or kind} is not closed")
        if text[at] == close:
            return fields, key, at + 1
        if text[at] == ",":
            at += 1
            continue
        name = _NAME.match(text, at)
        if name is None:
            raise _Broken(f"{key or kind}: {phrase.plain(text[at : at + 20])!r} is no field = value")
        value, at = _value(text, name.end(), macros, key or kind)
        fields.setdefault(name[1].lower(), value)
        at = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # as above
        if at < len(text) and text[at] not in (",", close):
            raise _Broken(f"{key or kind}: a comma is missing after {name[1].lower()}")


def _value(text: str, at: int, macros: Mapping[str, str], owner: str) -> tuple[str, int]:
    """Pieces with `#` between: in braces, in quotes, a number, or a name that @string gave."""
    pieces: list[str] = []
    while True:
        first = text[at : at + 1]
        if first == "{":
            piece, at = _balanced(text, at)
        elif first == '"':
            piece, at = _quoted(text, at)
        else:
            bare = _BARE.match(text, at)
            if bare is None:
                raise _Broken(f"{owner}: a value is missing")
            piece, at = macros.get(bare[0].lower(), bare[0]), bare.end()
        pieces.append(piece)
        after = _BLANK.match(text, at).end()  # type: ignore[union-attr]  # as above
        if text[after : after + 1] != "#":
            return "".join(pieces), at
        at = _BLANK.match(text, after + 1).end()  # type: ignore[union-attr]  # as above


def _balanced(text: str, at: int) -> tuple[str, int]:
    """What stands between the bracket at a place and the one that closes it."""
    opening = text[at]
    closing = "}" if opening == "{" else ")"
    depth = 0
    for found in re.compile(r"\\.|[{}()]" if opening == "(" else r"\\.|[{}]", re.DOTALL).finditer(
        text, at, at + MOST_OF_A_VALUE
    ):
        if found[0] == opening:
            depth += 1
        elif found[0] == closing:
            depth -= 1
            if depth == 0:
                return text[at + 1 : found.start()], found.end()
    raise _Broken("a brace is not closed")


def _quoted(text: str, at: int) -> tuple[str, int]:
    depth = 0
    for found in re.compile(r'\\.|[{}"]', re.DOTALL).finditer(text, at + 1, at + MOST_OF_A_VALUE):
        if found[0] == "{":
            depth += 1
        elif found[0] == "}":
            depth -= 1
        elif found[0] == '"' and depth <= 0:
            return text[at + 1 : found.start()], found.end()
    raise _Broken("a quote is not closed")
