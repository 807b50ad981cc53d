"""What is in the user's data, column by column, before anybody has an idea of it. What is guessed is called a guess."""

from __future__ import annotations

import csv
import math
from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.core.errors import BadInput
from lab.core.record import Record, parse
from lab.core.record import page as page_of
from lab.research import idea
from lab.research.studies import study

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MOST_COLUMNS, MOST_FILES = 2_000, 100
_LINES = (".jsonl", ".ndjson")
_TABLES = {".csv": ",", ".tsv": "\t"}
_TARGETS = ("target", "label", "y", "class", "outcome")
_NOTHING = frozenset({"", "na", "n/a", "nan", "null", "none", "?"})
_NAME_CHARS, _SHOWN = 100, 5


class Column(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`kind` is number, whole, text, mixed or empty; the three numbers are of those cells that are numbers."""

    name: str
    kind: str
    missing: int = 0
    distinct: int = 0
    least: float | None = None
    most: float | None = None
    mean: float | None = None


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """Which column is to be predicted, most likely. Nobody said so."""

    target: str
    why: str
    is_a_guess: bool = True


class Table(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    name: str
    sha256: str
    bytes: int
    rows: int
    duplicates: int = 0  # rows that are the same as an earlier one
    columns: tuple[Column, ...] = ()
    guess: Guess | None = None


class Summary(Record, frozen=True, kw_only=True):
    files: tuple[Table, ...]


def of_files(files: Mapping[str, bytes]) -> Summary:
    """What is in these files. `BadInput` for one that nobody could look into: binary, too large, of another form."""
    if len(files) > MOST_FILES:
        raise BadInput(f"{len(files):,} files of data were given", fix=f"at most {MOST_FILES} are looked at; join them")
    return Summary(files=tuple(_table(name, data) for name, data in sorted(files.items())))


def page(found: Summary) -> bytes:
    return page_of(found)


def read(data: bytes) -> Summary:
    """A summary that was written. `Corrupt` for what is none."""
    return parse(Summary, data, idea.SUMMARY)


def _table(name: str, data: bytes) -> Table:
    ending = f".{name.rpartition('.')[2].lower()}"
    if ending not in (*_TABLES, *_LINES):
        fix = "give a table with names in its first line (.csv, .tsv), or one JSON object a line (.jsonl)"
        raise BadInput(f"data of the form {ending} are not looked into", where=name, fix=fix)
    study.require_size([len(data)], name, "the data have")
    if b"\0" in data:
        raise BadInput("it is binary, whatever its name says", where=name, fix="save it as text in UTF-8")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = data.count(b"\n", 0, wrong.start) + 1
        raise BadInput("it is not UTF-8", where=f"{name} line {line}", fix="save it as UTF-8") from None
    rows = list(_objects(text, name) if ending in _LINES else _cells(text, name, _TABLES[ending]))
    if not rows:
        raise BadInput("there is no row in it", where=name, fix="give data with one row at least")
    names = list(dict.fromkeys(key for row in rows for key in row))
    if len(names) > MOST_COLUMNS:
        raise BadInput(f"it has {len(names):,} columns", where=name, fix=f"at most {MOST_COLUMNS:,} are looked at")
    columns = tuple(_column(each, [row.get(each) for row in rows]) for each in names)
    seen = {tuple(str(row.get(each)) for each in names) for row in rows}
    return Table(
        name=name, sha256=canonical.digest(data), bytes=len(data), rows=len(rows), duplicates=len(rows) - len(seen),
        columns=columns, guess=_guess(columns),
    )  # fmt: skip


def _cells(text: str, name: str, mark: str) -> Iterator[dict[str, object]]:
    reader = csv.reader(text.splitlines(), delimiter=mark, strict=True)
    try:
        heads = [each.strip()[:_NAME_CHARS] for each in next(reader, [])]
        if not heads or len(set(heads)) < len(heads) or "" in heads:
            fix = "the first line names each column, once"
            raise BadInput("its first line is no line of names", where=f"{name} line 1", fix=fix)
        for cells in reader:
            if not cells:
                continue
            if len(cells) != len(heads):
                what = f"there are {len(cells)} cells in this row, and {len(heads)} names above"
                raise BadInput(what, where=f"{name} line {reader.line_num}", fix="mend the row, or quote a cell")
            yield dict(zip(heads, cells, strict=True))
    except csv.Error as wrong:
        raise BadInput(f"this is no row: {wrong}", where=f"{name} line {reader.line_num}", fix="mend it") from None


def _objects(text: str, name: str) -> Iterator[dict[str, object]]:
    for number, row in enumerate(text.splitlines(), 1):
        if not row.strip():
            continue
        try:
            yield msgspec.json.decode(row.encode(), type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            fix = "each line is one JSON object"
            raise BadInput("this line is no JSON object", where=f"{name} line {number}", fix=fix) from None


def _column(name: str, cells: list[object]) -> Column:
    there = [each for each in cells if not _is_missing(each)]
    numbers = [number for each in there if (number := _number(each)) is not None]
    kind = "empty" if not there else "text" if not numbers else "mixed" if len(numbers) < len(there) else "number"
    if kind == "number" and all(each.is_integer() for each in numbers):
        kind = "whole"
    try:
        mean = math.fsum(numbers) / len(numbers) if numbers else None
    except OverflowError:  # their sum is no number, though each of them is
        mean = math.fsum(each / len(numbers) for each in numbers)
    return Column(
        name=name, kind=kind, missing=len(cells) - len(there), distinct=len({str(each) for each in there}),
        least=min(numbers, default=None), most=max(numbers, default=None),
        mean=mean if mean is not None and math.isfinite(mean) else None,
    )  # fmt: skip


def _is_missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip().lower() in _NOTHING)


def _number(cell: object) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, (int, float, str)):
        return None
    try:
        found = float(cell)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) else None


def _guess(columns: tuple[Column, ...]) -> Guess | None:
    by_name = next((each for each in columns if each.name.lower() in _TARGETS), None)
    if by_name is not None:
        return Guess(target=by_name.name, why="by its name")
    return Guess(target=columns[-1].name, why="it is the last column") if len(columns) > 1 else None
