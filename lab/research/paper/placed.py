"""Where the claims of a paper stand in its text now, and what stands there that is none."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import msgspec

from lab.core.errors import LabError
from lab.research import citing
from lab.research.paper import claim, forms, linting
from lab.research.paper.claim import NUMBER, PAPER, Claim
from lab.research.paper.linting import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_TOKEN = re.compile(r"[+-]?[\w.,%]+|\S+")
_SHOWN = 60


class Drift(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Something that is not as it was proved: where, what is there, and what should be."""

    where: str
    what: str
    there: str = ""
    should: str = ""
    claim: int = 0  # its number; 0 where it is about no claim


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """`here` are the claims that stand in the text, with the columns that they have now."""

    here: tuple[Claim, ...]
    drifts: tuple[Drift, ...]
    lint: tuple[Finding, ...]


def find(text: str, claims: Sequence[Claim], before: str = "") -> Placed:
    """Hold each row against the text. A number that was made longer moves the rest of its line, and only that.

    Where it is known what the text was `before`, a line more or less moves no other either.
    """
    lines = text.split("\n")
    now = _moved(before, text) if before else {}
    here: list[Claim] = []
    drifts: list[Drift] = []
    line, moved, least = 0, 0, 0
    for n, each in enumerate(claims, 1):
        if each.line != line:
            line, moved, least = each.line, 0, 0
        at_line = now.get(each.line, 0) if before else each.line
        if each.n != n or not each.text:
            drifts.append(
                Drift(where=f"{claim.FILE} line {n}", what="this row is not the one that was written", claim=n)
            )
            continue
        if not 1 <= at_line <= len(lines):
            drifts.append(_missing(each, "", each.at))
            continue
        row, wanted = lines[at_line - 1], each.column - 1 + moved
        at = _nearest(row, each.text, wanted, least)
        if at < 0:
            there = _token(row, max(wanted, least))
            drifts.append(_missing(each, there, f"{PAPER} line {at_line} column {each.column}"))
            moved += len(there) - len(each.text)
            continue
        moved, least = at - (each.column - 1), at + len(each.text)
        here.append(msgspec.structs.replace(each, line=at_line, column=at + 1))
    drifts += (drift for each in claims for drift in _written(each))
    return Placed(here=tuple(here), drifts=tuple(drifts), lint=_lint(text, here, drifts))


def changed(before: str, text: str) -> Iterator[tuple[int, str, str]]:
    """Lines that differ: where it is now, what is there, and what should be; empty for a line more or less."""
    old, new = before.split("\n"), text.split("\n")
    for kind, a, b, c, d in _compared(old, new):
        for number in range(max(b - a, d - c) if kind != "equal" else 0):
            there = new[c + number] if c + number < d else ""
            should = old[a + number] if a + number < b else ""
            yield min(c + number, max(d - 1, c)) + 1, there, should


def _moved(before: str, text: str) -> dict[int, int]:
    """Where each line is now, both counted from 1. A line that is gone has none."""
    found: dict[int, int] = {}
    for _, a, b, c, d in _compared(before.split("\n"), text.split("\n")):
        found.update({a + number + 1: c + number + 1 for number in range(min(b - a, d - c))})
    return found


def _compared(old: list[str], new: list[str]) -> list[tuple[str, int, int, int, int]]:
    if old == new:
        return [("equal", 0, len(old), 0, len(new))]
    import difflib  # noqa: PLC0415  # only of a paper that was edited

    return list(difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes())


def cited(text: str, here: Sequence[Claim]) -> tuple[str, ...]:
    """The keys that the text cites, given the claims that stand in it. What comes from files cites nothing."""
    shown = linting.without(text, linting.spans(text, here))
    return tuple(sorted(citing.keys(shown)))


def _nearest(row: str, text: str, wanted: int, least: int) -> int:
    """Where it stands at or behind `least`, where it should or as near to that as can be; -1 where it does not."""
    if wanted >= least and row.startswith(text, wanted) and _whole(row, text, wanted):
        return wanted
    places = [at for at in _places(row, text, least) if _whole(row, text, at)]
    return min(places, key=lambda at: abs(at - wanted), default=-1)


def _places(row: str, text: str, least: int) -> Iterator[int]:
    at = row.find(text, least)
    while at >= 0:
        yield at
        at = row.find(text, at + 1)


def _whole(row: str, text: str, at: int) -> bool:
    """Whether it is not a piece of a longer number."""
    if not text[-1:].isdigit() and not text[:1].isdigit():
        return True
    before, after = row[at - 1 : at] if at else "", row[at + len(text) : at + len(text) + 2]
    return not (before.isdigit() or after[:1].isdigit() or (after[:1] in {".", ","} and after[1:].isdigit()))


def _missing(each: Claim, there: str, where: str) -> Drift:
    what = f"{each.expression} is {_short(each.text)}, and the paper says {_short(there) or 'nothing'}"
    return Drift(where=where, what=what, there=_short(there), should=_short(each.text), claim=each.n)


def _written(each: Claim) -> Iterator[Drift]:
    """Whether the text of a row is what its form makes of its value."""
    try:
        is_number = isinstance(each.raw, (int, float)) and not isinstance(each.raw, bool)
        if each.kind == NUMBER and is_number:
            wanted = forms.number(each.form, float(each.raw) if isinstance(each.raw, float) else int(each.raw))
        elif each.kind != NUMBER and isinstance(each.raw, str):
            wanted = each.text if each.kind == claim.FIGURE else forms.words(each.form, each.raw)
        else:
            wanted = ""
    except LabError as wrong:
        yield Drift(where=f"{claim.FILE} line {each.n}", what=wrong.what, claim=each.n)
        return
    if wanted != each.text:
        what = f"{_short(str(each.raw))} is written {_short(wanted)}, and this row says {_short(each.text)}"
        yield Drift(
            where=f"{claim.FILE} line {each.n}", what=what, there=_short(each.text), should=_short(wanted), claim=each.n
        )


def _lint(text: str, here: Sequence[Claim], drifts: Sequence[Drift]) -> tuple[Finding, ...]:
    """What else the text says. Of a line whose claim was overwritten it is told already."""
    told = {each.where.partition(" column")[0] for each in drifts}
    found = linting.of_paper(text, here)
    return tuple(each for each in found if f"{PAPER} line {each.line}" not in told)


def _token(row: str, at: int) -> str:
    """The word that stands there now."""
    found = _TOKEN.match(row, at) or _TOKEN.search(row, at)
    return found[0].rstrip(".,") if found else ""


def _short(words: str) -> str:
    return words if len(words) <= _SHOWN else f"{words[: _SHOWN - 1]}…"
