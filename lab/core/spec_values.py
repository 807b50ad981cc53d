"""One value of a SPEC, as people write it, to the type that its field declares. What cannot be is refused in words."""

from __future__ import annotations

import math
from collections.abc import Mapping

from msgspec import inspect as shapes

from lab.core.errors import BadInput, nearest

MAX_TEXT_BYTES = 32 * 1024  # every text becomes a variable of the run, and Linux takes 128 KiB for one
MAX_ENTRIES = 1000

_BOOLS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}
_MAX_DIGITS = 40
_MAX_PLAIN = 10**_MAX_DIGITS
_SHOWN_CHARS = 60


def is_blank(value: object) -> bool:
    """Whether nothing was written: `key:`, `""`, blanks, an empty list or map."""
    return value is None or (isinstance(value, str) and not value.strip()) or value in ([], (), {})


def not_blank(value: object) -> object:
    if is_blank(value):
        raise BadInput("is blank", fix="write the entry, or take the line out")
    return value


def text(value: object, spelling: str | None = None) -> str:
    """The text of a value. A number is the text that was written: `spelling`, where the file is at hand."""
    if isinstance(value, bool):
        raise BadInput(f"must be text, and {spelling or shown(value)} is a yes or no", fix="put it in quotes")
    if isinstance(value, (int, float)):
        value = spelling or shown(value)
    if not isinstance(value, str):
        raise BadInput(f"must be text, not {shown(value)}", fix="if it holds ': ' or starts with '[', put it in quotes")
    value = value.strip()
    # Neither fits into a file or the environment of a process, and both would fail only there.
    if "\0" in value or any("\ud800" <= letter <= "\udfff" for letter in value):
        raise BadInput("holds a character that no file can hold")
    if len(value.encode()) > MAX_TEXT_BYTES:
        raise BadInput(f"is longer than {MAX_TEXT_BYTES // 1024} KiB", fix="keep it in a file and name the file")
    return value


def boolean(value: object) -> bool:
    found = _BOOLS.get(value.strip().lower()) if isinstance(value, str) else value
    if not isinstance(found, bool):
        raise BadInput(f"must be true or false, not {shown(value)}")
    return found


def number(value: object, shape: shapes.Type) -> int | float:
    """A number inside the bounds of its field; a whole one where the field counts something."""
    found = _numeral(value) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, (int, float)):
        raise BadInput(f"must be a number, not {shown(value)}")
    # The comparison is exact for an integer that is larger than every float; for NaN it is false.
    if not -math.inf < found < math.inf:
        raise BadInput(f"must be a finite number, not {shown(value)}")
    if isinstance(shape, shapes.IntType):
        if isinstance(found, float) and not found.is_integer():
            raise BadInput(f"must be a whole number, not {shown(value)}")
        found = int(found)
    else:
        found = _float(found)
    if isinstance(shape, (shapes.IntType, shapes.FloatType)):
        _bounded(found, shape)
    return found


def word(value: object, known: tuple[str, ...], aliases: Mapping[str, str], spelling: str | None = None) -> str:
    """One of the known words, or what an alias of it stands for."""
    given = text(value, spelling).lower()
    given = aliases.get(given, given)
    if given in known:
        return given
    near = nearest(given[:_SHOWN_CHARS], (*known, *aliases))
    raise BadInput(
        f"{shown(value)} is not known",
        fix=f"did you mean {near}?" if near else f"write one of {', '.join(known)}",
    )


def entries(value: object) -> list[object]:
    """The entries of a list; a single value is a list of one."""
    if isinstance(value, Mapping):
        raise BadInput("must be a list, not a map", fix="write one '- entry' to a line")
    listed = list(value) if isinstance(value, (list, tuple)) else [value]
    if len(listed) > MAX_ENTRIES:
        raise BadInput(f"has {len(listed)} entries; at most {MAX_ENTRIES} are read")
    return listed


def shown(value: object) -> str:
    """A value as an error names it: short, whatever it is."""
    if isinstance(value, str):
        return repr(value[:_SHOWN_CHARS])
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if abs(value) < _MAX_PLAIN else "a huge number"  # Python cannot print one of 5,000 digits
    if isinstance(value, float):
        return repr(value)
    if value is None:
        return "nothing"
    return "a map" if isinstance(value, Mapping) else "a list" if isinstance(value, (list, tuple)) else "an object"


def _numeral(value: str) -> object:
    plain = value.strip()
    if len(plain) > _MAX_DIGITS or "_" in plain or not plain.isascii():
        return value
    for read in (int, float):
        try:
            return read(plain)
        except ValueError:
            continue
    return value


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        raise BadInput("is too large for a number") from None


def _bounded(value: float, shape: shapes.IntType | shapes.FloatType) -> None:
    if shape.gt is not None and not value > shape.gt:
        raise BadInput(f"must be above {shape.gt:g}, not {shown(value)}")
    if shape.ge is not None and not value >= shape.ge:
        raise BadInput(f"must be {shape.ge:,} or more, not {shown(value)}")
    if shape.lt is not None and not value < shape.lt:
        raise BadInput(f"must be below {shape.lt:g}, not {shown(value)}")
    if shape.le is not None and not value <= shape.le:
        raise BadInput(f"must be {shape.le:,} or less, not {shown(value)}")
