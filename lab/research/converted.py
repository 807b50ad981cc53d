"""A mapping of YAML as one of our records; or which key is wrong, on which line, and what would be right."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeVar

import msgspec

from lab.core.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.spec_text import Lines, Path

    Mend = Callable[[Path, str], str]  # what would be right, by the key and what is wrong with it

_Kind = TypeVar("_Kind")
_STEP = re.compile(r"\[(\d+)\]|\[\.\.\.\]|([^.\[\]]+)")
_NO_TEXT = "expected `str`, got"


def record(told: dict[str, object], kind: type[_Kind], lines: Lines, where: str, mend: Mend) -> _Kind:
    """The record that `told` says; `lines` are those of the file that it comes from."""
    try:
        return msgspec.convert(told, kind)
    except msgspec.ValidationError as wrong:
        path, what = _read(wrong)
    place, spelt = _spelt(path, lines) if what.startswith(_NO_TEXT) else (path, "")
    if spelt:
        later, otherwise = _tried(_quoted(told, place, spelt), kind)
        if later != path or otherwise.startswith(_NO_TEXT):
            taken = f"YAML takes {spelt} for a {'yes or no' if spelt.isalpha() else 'number'}, and this is text"
            key = f"{place[-1]}: " if isinstance(place[-1], str) else ""
            raise _refusal(place, taken, lines, where, f'put it in quotes: {key}"{spelt}"')
        what = otherwise  # quotes alone would not help
    unknown = what.split("`")[1] if "unknown field" in what else ""
    raise _refusal(path, what, lines, where, mend(path, what), unknown)


def _tried(told: object, kind: type[object]) -> tuple[Path, str]:
    """What is wrong with it; nothing where nothing is."""
    try:
        msgspec.convert(told, kind)
    except msgspec.ValidationError as wrong:
        return _read(wrong)
    return (), ""


def _refusal(path: Path, what: str, lines: Lines, where: str, fix: str, unknown: str = "") -> BadInput:
    dotted = ".".join(map(str, path)) or "the file"
    line = lines.line((*path, unknown) if unknown else path)
    return BadInput(f"{dotted}: {what}", where=f"{where} line {line}", fix=fix)


def _read(wrong: msgspec.ValidationError) -> tuple[Path, str]:
    """Where it is wrong, as far as that is told, and what."""
    what, _, at = str(wrong).partition(" - at ")
    steps = _STEP.finditer(at.strip("`").removeprefix("$"))
    return tuple(int(each[1]) if each[1] else each[2] for each in steps if each[1] or each[2]), what[:1].lower() + what[
        1:
    ]


def _spelt(path: Path, lines: Lines) -> tuple[Path, str]:
    """What stands there unquoted; of a map whose key is not told, the first of it that is no text."""
    found = lines.spelling(path)
    if found is not None:
        return path, found
    below = [each for each in lines.spelt if each[: len(path)] == path and len(each) == len(path) + 1]
    return (below[0], lines.spelt[below[0]]) if below else (path, "")


def _quoted(told: object, path: Path, spelt: str) -> object:
    """The same with a text at this place."""
    if not path:
        return spelt
    if isinstance(told, dict):
        return {key: _quoted(value, path[1:], spelt) if key == path[0] else value for key, value in told.items()}
    if isinstance(told, list):
        return [_quoted(each, path[1:], spelt) if n == path[0] else each for n, each in enumerate(told)]
    return told
