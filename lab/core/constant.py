"""Where a constant expression ends: a number, a text, sums of them, and calls of what always answers the same. Pure.

Read in a line of any language, so it knows no names but those of a few functions. Whatever it does not know ends it.
"""

from __future__ import annotations

import re

_DEEPEST = 20  # brackets in brackets: more is nobody's seed
_SPACE = re.compile(r"[ \t]*")
_SIGNS = re.compile(r"(?:[-+~][ \t]*)*")
_NUMBER = re.compile(
    r"(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
    r"(?:[uUiI](?:8|16|32|64)|[uUlL]{0,3})"
)
_QUOTED = r"(?:[bBrRuU]{1,2}(?=[\"']))?(?:\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*')"
_TEXT = re.compile(rf"{_QUOTED}(?:[ \t]*{_QUOTED})*")
_WORD = re.compile(r"[bBrRuU]{0,2}[\"'][\w.+-]{0,40}[\"']")  # a text that could be a number, or a name of one
_OPERATOR = re.compile(r"[ \t]*(?:\*\*|//|<<|>>|[-+*/%&|^])[ \t]*")
_FUNCTION = re.compile(r"(?:int|float|str|hash|abs|round|ord|len|sum|min|max|pow|bytes)(?=\()")
_GOES_ON = re.compile(r"[\w.(\[]")  # the first half of a longer word is none


def end(line: str, start: int) -> int | None:
    """The place after the longest constant expression that begins here; None where none does."""
    found = _sum(line, start, 0)
    return None if found is None or _GOES_ON.match(line, found) else found


def end_of_one(line: str, start: int) -> int | None:
    """The same of what is one number or one word. A sentence may be a prompt, and how many a list has may matter."""
    found = end(line, start)
    if found is None:
        return None
    is_text = line[found - 1] in "\"'" and not _WORD.fullmatch(line, start, found)
    is_list = line[start] == "[" or (line[start] == "(" and "," in line[start:found])
    return None if is_text or is_list else found


def _sum(line: str, start: int, depth: int) -> int | None:
    """What is added up, as far as it is constant."""
    found = _part(line, start, depth)
    while found is not None:
        sign = _OPERATOR.match(line, found)
        after = _part(line, sign.end(), depth) if sign else None
        if after is None or _GOES_ON.match(line, after):
            return found
        found = after
    return None


def _part(line: str, start: int, depth: int) -> int | None:
    signs = _SIGNS.match(line, start)
    start = signs.end() if signs else start
    for kind in (_NUMBER, _TEXT):
        if found := kind.match(line, start):
            return found.end()
    called = _FUNCTION.match(line, start)
    start = called.end() if called else start
    return _bracket(line, start, depth) if line[start : start + 1] in ("(", "[") else None


def _bracket(line: str, start: int, depth: int) -> int | None:
    """A bracket and what is in it, separated by commas."""
    closing = ")" if line[start] == "(" else "]"
    place: int | None = _after(line, start + 1)
    while place is not None and line[place : place + 1] != closing:
        place = _sum(line, place, depth + 1) if depth < _DEEPEST else None
        if place is not None:
            place = _after(line, place)
            if line[place : place + 1] == ",":
                place = _after(line, place + 1)
            elif line[place : place + 1] != closing:
                return None
    return None if place is None else place + 1


def _after(line: str, start: int) -> int:
    space = _SPACE.match(line, start)
    return space.end() if space else start
