"""How a value is written in a paper, and what may be made of several values. The same value gives the same text."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from lab.core.errors import BadInput
from lab.projections import text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.research.paper.claim import Op

PLAIN, DURATION = "plain", "duration"
CODE, QUOTE = "code", "quote"
VALUE: Op = "value"
KEY: Op = "key"
COUNT: Op = "count"
DIFFERENCE: Op = "difference"
RATIO: Op = "ratio"
CHANGE: Op = "change"
DRAWN: Op = "drawn"
_SPEC = re.compile(r"\+?,?(?:\.\d{1,2})?[defg]")  # no width: it would fill a page, or the memory
_FORM = re.compile(r"(plain|fmt|si|pct|duration)(?:\((.*)\))?")
_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_MOST_DIGITS, _MOST_CHARS = 17, 4_000
_PAIRS = {DIFFERENCE, RATIO, CHANGE}


def number(form: str, raw: float) -> str:
    """The text of a number, or `BadInput` where there is no such form."""
    found = _FORM.fullmatch(form)
    if found is None:
        raise BadInput(f"{form[:40]!r} is no way to write a number", fix='fmt(".4f"), si, pct, duration')
    name, told = found[1], found[2] or ""
    match name:
        case "fmt":
            return _formatted(told, raw)
        case "si":
            return _si(raw, _digits(told, 3))
        case "pct":
            return _percent(raw, _digits(told, 1))
        case "duration":
            return text.duration(raw)
    return str(raw) if isinstance(raw, int) else text.number(raw)


def words(form: str, raw: str) -> str:
    """A text that came from outside, so that Markdown shows it as it is."""
    if form == CODE:
        plain = text.line(raw, _MOST_CHARS).replace("`", "'").replace("|", "\\|")
        return f"`{plain}`" if plain else ""
    shown = text.md(raw, _MOST_CHARS)
    return f"“{shown}”" if form == QUOTE and shown else shown


def made(op: str, raws: Sequence[object], where: Mapping[str, object]) -> int | float | str:
    """What an operation makes of what was read; `BadInput` where that is no value."""
    if op == COUNT:
        rows = raws[0]
        if not isinstance(rows, list):
            raise BadInput("only rows are counted")
        return sum(1 for row in rows if matches(row, where))
    if op in _PAIRS:
        return _paired(op, *(_finite(raw) for raw in raws))
    raw = raws[0]
    return raw if isinstance(raw, str) else _finite(raw)


def matches(row: object, where: Mapping[str, object]) -> bool:
    """Whether a row has these values."""
    return isinstance(row, dict) and all(name in row and row[name] == value for name, value in where.items())


def _finite(raw: object) -> int | float:
    if isinstance(raw, bool) or not isinstance(raw, (int, float)) or not math.isfinite(raw):
        raise BadInput(f"{str(raw)[:40]} is no number")
    return raw


def _paired(op: str, one: float, other: float) -> float:
    if op == DIFFERENCE:
        return _finite(one - other)
    if other == 0:
        raise BadInput("nothing is divided by 0")
    return _finite(one / other if op == RATIO else (one - other) / abs(other))


def _formatted(spec: str, raw: float) -> str:
    if not _SPEC.fullmatch(spec):
        raise BadInput(f"fmt takes no {spec[:40]!r}", fix='such as fmt(".4f"), fmt("+.3g"), fmt(",d")')
    if spec.endswith("d") and not isinstance(raw, int):
        raise BadInput(f"{raw!r} is no whole number", fix='fmt(",.0f") rounds it')
    return format(raw, spec)


def _digits(told: str, usual: int) -> int:
    if not told:
        return usual
    if not told.isdecimal() or int(told) > _MOST_DIGITS:
        raise BadInput(f"{told[:20]!r} is no number of digits", fix=f"a number up to {_MOST_DIGITS}")
    return int(told)


def _si(raw: float, digits: int) -> str:
    """With a letter for the power of 1000; what has none is written with its exponent."""
    size = abs(raw)
    scale, letter = next(((s, le) for s, le in _SI if size >= s), (1.0, ""))
    if size >= 1e15 or (size and size < _SI[-1][0]):  # noqa: PLR2004  # no letter goes so far
        scale, letter = 1.0, ""
    return f"{raw / scale:.{max(digits, 1)}g}{letter}"


def _percent(raw: float, digits: int) -> str:
    return f"{_finite(raw * 100):.{digits}f} %"
