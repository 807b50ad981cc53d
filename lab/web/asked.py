"""What is typed into the filter of a table of runs: words, comparisons, and what a run is.

    warm up  -crash  value<0.3  lr>=1e-4  took>10m  kind:crash  outcome:failed,timeout  optimizer:adam  "two words"

All of it has to be true of a run. What is not understood is left out of the filter, and said.
"""

from __future__ import annotations

import re

import msgspec

FIELD_NUMBERS = ("n", "value", "took", "cost")
FIELD_WORDS = ("outcome", "verdict", "tier", "role", "by", "worker", "kind")
MOST_CHARS = 500
MOST_TERMS = 20
_PIECE = re.compile(r'-?(?:[^\s"]*"[^"]*"|[^\s"]+)[^\s"]*')
_TERM = re.compile(r"([A-Za-z_][\w./-]*)(<=|>=|!=|<|>|=|:)(.*)", re.DOTALL)
_LENGTH = re.compile(r"([0-9.]+(?:e[+-]?[0-9]+)?)(s|m|min|h|d)", re.IGNORECASE)
_UNIT_S = {"s": 1.0, "m": 60.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}


class Term(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that must be true, or with `negated` must not. Without a field, its words are looked for anywhere."""

    text: str
    field: str = ""
    sign: str = ""
    number: float | None = None
    negated: bool = False

    @property
    def any_of(self) -> tuple[str, ...]:
        """The words that a field may be, in small letters."""
        return tuple(each.strip().lower() for each in self.text.split(",") if each.strip())


class Filter(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked, as far as it was understood."""

    terms: tuple[Term, ...] = ()
    problems: tuple[str, ...] = ()


def parse(typed: str) -> Filter:
    """Never refuses: what it cannot read is among the problems. Whether there is such a field is not known here."""
    problems = []
    if len(typed) > MOST_CHARS:
        problems.append(f"only the first {MOST_CHARS} characters are read")
        typed = typed[:MOST_CHARS]
    if typed.count('"') % 2:
        problems.append('a quotation mark (") is not closed')
        typed = typed.replace('"', " ")
    terms = []
    for piece in _PIECE.findall(typed):
        told = _term(piece)
        if isinstance(told, Term):
            terms.append(told)
        elif told:
            problems.append(told)
    if len(terms) > MOST_TERMS:
        problems.append(f"only the first {MOST_TERMS} parts are looked for")
    return Filter(terms=tuple(terms[:MOST_TERMS]), problems=tuple(problems))


def _term(piece: str) -> Term | str:
    negated = piece.startswith("-") and len(piece) > 1
    piece = piece[negated:]
    found = None if piece.startswith('"') else _TERM.fullmatch(piece)
    if found is None:
        words = " ".join(piece.replace('"', "").split()).lower()
        return Term(text=words, negated=negated) if words else ""
    field, sign, text = found[1], found[2], found[3].replace('"', "").strip()
    if not text:
        return f"{field}{sign} is not complete: what should it be compared with?"
    number = _number(text)
    if sign in ("<", "<=", ">", ">=") and number is None:
        return f"{field}{sign}{text} needs a number on its right"
    return Term(text=text, field=field, sign=sign, number=number, negated=negated)


def _number(text: str) -> float | None:
    """A number, or a length of time in seconds; NaN is none, for nothing is like it."""
    length = _LENGTH.fullmatch(text)
    try:
        value = float(length[1]) * _UNIT_S[length[2].lower()] if length else float(text)
    except ValueError:
        return None
    return value if value == value else None  # noqa: PLR0124  # NaN alone differs from itself


def holds(sign: str, value: float, than: float) -> bool:
    """Whether the comparison is true."""
    match sign:
        case "<":
            return value < than
        case "<=":
            return value <= than
        case ">":
            return value > than
        case ">=":
            return value >= than
        case "!=":
            return value != than
        case _:
            return value == than
