"""engines.yaml as people write it: a key is an executor class, its value is what the jobs of that class ask for.

Strict, because what is guessed here runs somewhere else: a key, a word or a size that is not understood refuses the
whole table, with its line. Whether an engine of that name exists is asked of the caller.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import msgspec
from msgspec import inspect as shapes

from lab.core import engines, ids, time_limit
from lab.core.cadence import duration_s
from lab.core.errors import BadInput, nearest
from lab.core.job import Wants
from lab.core.spec_fields import shapes_of
from lab.core.spec_values import boolean, entries, is_blank, not_blank, number, shown, text

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.core.spec_text import Lines, Path

FIELDS = Wants.__struct_fields__

_MAX_REPORTED = 20
_MAX_KEY_CHARS = 100
_MAX_COUNT = 1_000_000
_SIZE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?) ?([KMGT])(?:i?B)?", re.IGNORECASE)
_KIBI = {"K": 0, "M": 1, "G": 2, "T": 3}
_GRES = re.compile(r"[A-Za-z][\w.-]*(:(?=[\w.-]*[A-Za-z_])[\w.-]+)?(:[0-9]{1,9})?")
_WORD = re.compile(r"[^\s\x00-\x1f\x7f-][^\s\x00-\x1f\x7f]*")
Rows = dict[str, Wants]


def parse(data: bytes, where: str, unfit: Callable[[str], str]) -> Rows:
    """The rows of a table by class, or `BadInput` with everything that is wrong, each with its line.

    `unfit` says what is wrong with the name of an engine, and nothing of one that is known.
    """
    if len(data) > engines.MAX_BYTES:
        what = f"the file is larger than {engines.MAX_BYTES:,} bytes, of which a table needs few"
        raise BadInput(
            what, where=where, fix="leave a line for each class, and comments to the page that tells of them"
        )
    if not data.strip():
        fix = "write a class and its engine, or remove the file: then every run happens where it is asked for"
        raise BadInput("the file is empty", where=where, fix=fix)
    if engines.is_blank(data):
        return {}
    from lab.core.spec_text import parse_text  # noqa: PLC0415  # the YAML parser, for a table that says something

    mapping, lines = parse_text(data, where)
    reading = _Reading(lines, unfit)
    rows = reading.rows(mapping)
    if not reading.problems:
        return rows
    told = [f"  {problem}" for _, problem in sorted(reading.problems, key=lambda problem: problem[0])]
    count = len(told)
    if count > _MAX_REPORTED:
        told[_MAX_REPORTED:] = [f"  and {count - _MAX_REPORTED} more"]
    what = "\n".join((f"engines.yaml has {count} problem{'s' if count > 1 else ''}:", *told))
    fix = f"the keys of a class are {', '.join(FIELDS)}" if reading.is_lost else "mend these; until then nothing runs"
    line = min(line for line, _ in reading.problems)
    raise BadInput(what, where=f"{where} line {line}", fix=fix)


class _Reading:
    """One pass over a table, and what was wrong with it."""

    def __init__(self, lines: Lines, unfit: Callable[[str], str]) -> None:
        self.lines = lines
        self.unfit = unfit
        self.problems: list[tuple[int, str]] = []
        self.is_lost = False

    def rows(self, mapping: Mapping[str, object]) -> Rows:
        found: Rows = {}
        for key, value in mapping.items():
            path: Path = (key,)
            try:
                name = ids.name(key, "class")
            except BadInput as refusal:
                self._refused(path, refusal)
                continue
            if key in FIELDS and not isinstance(value, Mapping):
                self._complain(path, f"{key} stands outside of any class; indent it below one such as `default:`")
            elif not isinstance(value, Mapping) or not value:
                given = "nothing" if is_blank(value) else shown(value)
                self._complain(path, f"{name}: must be a map such as `engine: slurm` on a line of its own, not {given}")
            else:
                found[name] = self._row(name, value)
        return found

    def _row(self, name: str, given: Mapping[str, object]) -> Wants:
        known = shapes_of(Wants)
        found: dict[str, object] = {}
        for key, value in given.items():
            path: Path = (name, key)
            if key not in known:
                near = nearest(key[:_MAX_KEY_CHARS], FIELDS)
                self.is_lost = self.is_lost or not near
                self._complain(path, f"{name}: unknown key {shown(key)}" + (f"; did you mean {near}?" if near else ""))
            elif not is_blank(value):
                try:
                    found[key] = self._value(path, known[key], value)
                except BadInput as refusal:
                    self._refused(path, refusal)
        is_engine_written = not is_blank(given.get("engine"))
        if not is_engine_written:
            self._complain((name,), f"{name}: engine is missing; write `engine: slurm`, or `engine: {engines.HERE}`")
        return Wants() if self.problems else msgspec.convert(found, Wants)

    def _value(self, path: Path, shape: shapes.Type, given: object) -> object:
        key = str(path[-1])
        match shape:
            case shapes.IntType():
                count = number(given, shape)
                if not 0 <= count <= _MAX_COUNT:
                    raise BadInput(f"must be between 0 and {_MAX_COUNT:,}, not {shown(given)}")
                return count
            case shapes.BoolType():
                return boolean(given)
            case shapes.VarTupleType():
                return self._lines_of(path, key, given)
        found = text(given, self.lines.spelling(path))
        if key == "engine":
            return self._engine(found)
        return _RULES[key](found)

    def _engine(self, given: str) -> str:
        problem = "" if given in (engines.HERE, engines.WORKER) else self.unfit(given)
        if problem:
            raise BadInput(problem)
        return given

    def _lines_of(self, path: Path, key: str, given: object) -> tuple[str, ...]:
        listed = isinstance(given, (list, tuple))
        found: list[str] = []
        for index, entry in enumerate(entries(given)):
            at: Path = (*path, index) if listed else path
            try:
                told = text(not_blank(entry), self.lines.spelling(at))
                found.extend(told.splitlines() if key == "setup" else [_option(told)])
            except BadInput as refusal:
                self._refused(at, refusal)
        return tuple(found)

    def _refused(self, path: Path, refusal: BadInput) -> None:
        hint = f"; {refusal.fix}" if refusal.fix else ""
        dotted = ".".join(str(part)[:_MAX_KEY_CHARS] for part in path)
        self._complain(path, f"{dotted}: {refusal.what}{hint}")

    def _complain(self, path: Path, what: str) -> None:
        line = self.lines.line(path)
        self.problems.append((line, f"line {line}: {what}"))


def _word(given: str) -> str:
    if not _WORD.fullmatch(given):
        raise BadInput(f"{shown(given)} must be one word that does not begin with '-'")
    return given


def _size(given: str) -> str:
    """An amount of memory as engines take it: a whole number and one letter, in powers of 1024."""
    found = _SIZE.fullmatch(given)
    amount = float(found[1]) if found else 0.0
    if not found or not amount:
        raise BadInput(f"{shown(given)} is no amount of memory", fix="write it with its unit, such as 16G or 500M")
    unit = found[2].upper()
    if amount.is_integer():
        return f"{int(amount)}{unit}"
    if not _KIBI[unit]:
        return f"{math.ceil(amount)}K"
    lower = next(letter for letter, power in _KIBI.items() if power == _KIBI[unit] - 1)
    return f"{math.ceil(amount * 1024)}{lower}"


def _time(given: str) -> str:
    """A limit as an engine writes it. A length such as `2h` becomes whole minutes, as a bare number is."""
    if time_limit.seconds(given) is not None:
        return given
    try:
        seconds = duration_s(given, "time")
    except BadInput:
        seconds = 0.0
    if not seconds:
        raise BadInput(f"{shown(given)} is no time limit", fix="write 90 (minutes), 2:30:00, 1-12:00:00, 90m or 2h")
    return str(math.ceil(seconds / 60))


def _gres(given: str) -> str:
    for each in given.split(","):
        if not _GRES.fullmatch(each):
            raise BadInput(
                f"{shown(each)} is no generic resource", fix="write gpu:1, gpu:a100:2, or several with a ','"
            )
    return given


def _python(given: str) -> str:
    if not given.startswith("/") or "\n" in given:
        raise BadInput(f"{shown(given)} is not absolute", fix="write the whole path of the Python there")
    return given


def _option(given: str) -> str:
    head = given.partition("=")[0]
    if "\n" in given or (head.startswith("-") and any(letter.isspace() for letter in head)):
        # It reaches the engine as one argument, blanks and all.
        raise BadInput(f"{shown(given)} is not one flag", fix="write --flag=value, or the value as an entry of its own")
    return given


_RULES: Mapping[str, Callable[[str], str]] = {
    "partition": _word,
    "account": _word,
    "qos": _word,
    "gres": _gres,
    "memory": _size,
    "time": _time,
    "python": _python,
    "address": _word,
}
