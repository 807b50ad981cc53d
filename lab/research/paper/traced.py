"""Values that know where they come from, as a template sees them. To print one is to make a claim.

A printed value is marked in the text, so that whatever is done with the text afterwards its place is known, and so
that a number which was changed on the way is found. What is not marked comes from no run.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from lab.core import layout
from lab.core.errors import BadInput, LabError
from lab.research.paper import claim, evidence, forms
from lab.research.paper.claim import Kind, Op, Part  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

OPEN, MIDDLE, CLOSE, LATER = "\ue000", "\ue001", "\ue002", "\ue003"
MARKS = str.maketrans(dict.fromkeys((OPEN, MIDDLE, CLOSE, LATER), ""))
MOST_ROWS = 5_000
MOST_PRINTED = 20_000

_OF_RUN = frozenset(("run_id", "experiment", "outcome", "value", "metric", "tier", "verdict", "wall_s", "cost",
                     "reason", "note", "worker", "started_at"))  # fmt: skip


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was printed."""

    text: str
    kind: Kind
    expression: str
    raw: int | float | str
    of: tuple[Part, ...]
    op: Op
    where: dict[str, object]
    form: str


class Book:
    """What has been printed so far. `until` is when a template has had its time."""

    def __init__(self, sources: evidence.Evidence, until: float) -> None:
        self.sources = sources
        self.entries: list[Entry] = []
        self._until = until

    def mark(self, entry: Entry) -> str:
        self.go_on()
        if len(self.entries) >= MOST_PRINTED:
            raise BadInput(f"more than {MOST_PRINTED:,} values are printed in one paper")
        self.entries.append(entry)
        return f"{OPEN}{len(self.entries) - 1}{MIDDLE}{entry.text}{CLOSE}"

    def go_on(self) -> None:
        if time.monotonic() > self._until:
            raise BadInput("the template takes too long", fix="loop over less")

    def open(self, run_id: str, file: str, path: str, pointer: str = "") -> object:
        """The value at a place of a file, traced."""
        document, part = self.sources.document(run_id, file)
        place = msgspec.structs.replace(part, pointer=pointer)
        return trace(self, evidence.at(document, pointer), place, path)


class _One:
    """A single value: it equals whatever is the same behind it, a value of another place too."""

    __slots__ = ("_book", "_form", "_of", "_op", "_path", "_raw")
    _raw: float | str

    def __eq__(self, other: object) -> bool:
        return self._raw == raw_of(other)

    def __hash__(self) -> int:
        return hash(self._raw)


class Number(_One):
    """A number. It is compared, counted with by our own functions, and printed; nothing else is done to it."""

    __slots__ = ("_where",)
    _raw: float

    def __init__(  # what a claim is made of
        self,
        book: Book,
        raw: float,
        of: tuple[Part, ...],
        path: str,
        *,
        op: Op = forms.VALUE,
        where: Mapping[str, object] | None = None,
        form: str = forms.PLAIN,
    ) -> None:
        self._book, self._raw, self._of, self._path = book, raw, of, path
        self._op, self._where, self._form = op, dict(where or {}), form

    def _written(self, form: str) -> Number:
        """The same, to be printed so."""
        return Number(self._book, self._raw, self._of, self._path, op=self._op, where=self._where, form=form)

    def __str__(self) -> str:
        form = self._form
        path = self._path if form == forms.PLAIN else f"{self._path} | {form}"
        told = Entry(
            text=forms.number(form, self._raw), kind=claim.NUMBER, expression=path, raw=self._raw, of=self._of,
            op=self._op, where=self._where, form=form,
        )  # fmt: skip
        return self._book.mark(told)

    def __lt__(self, other: object) -> bool:
        return self._raw < _comparable(other)

    def __le__(self, other: object) -> bool:
        return self._raw <= _comparable(other)

    def __gt__(self, other: object) -> bool:
        return self._raw > _comparable(other)

    def __ge__(self, other: object) -> bool:
        return self._raw >= _comparable(other)


class Said(_One):
    """Words. `op` is `key` for a name that stands in a file as such."""

    __slots__ = ()
    _raw: str

    def __init__(self, book: Book, raw: str, of: Part, path: str, *, op: Op = forms.VALUE, form: str = "") -> None:
        self._book, self._of, self._path, self._op, self._form = book, of, path, op, form
        self._raw = raw

    def _written(self, form: str) -> Said:
        return Said(self._book, self._raw, self._of, self._path, op=self._op, form=form)

    def __str__(self) -> str:
        told = Entry(
            text=forms.words(self._form, self._raw.translate(MARKS)), kind=claim.WORDS, expression=self._path,
            raw=self._raw, of=(self._of,), op=self._op, where={}, form=self._form,
        )  # fmt: skip
        return self._book.mark(told) if told.text else ""

    def __bool__(self) -> bool:
        return bool(self._raw)

    def __contains__(self, other: object) -> bool:
        return str(raw_of(other)) in self._raw


class _Several:
    """What is no value itself, and has some in it."""

    __slots__ = ("_book", "_of", "_path", "_raw")

    def __init__(self, book: Book, raw: Mapping[str, object] | list[object], of: Part, path: str) -> None:
        self._book, self._raw, self._of, self._path = book, raw, of, path

    def _at(self, name: str | int) -> Part:
        return msgspec.structs.replace(self._of, pointer=evidence.step(self._of.pointer, name))

    def __bool__(self) -> bool:
        return bool(self._raw)


class Table(_Several):
    """A mapping of a file: its values by their names."""

    __slots__ = ()
    _raw: Mapping[str, object]

    def __getitem__(self, name: str) -> object:
        key = raw_of(name)
        if not isinstance(key, str) or key not in self._raw:
            raise KeyError(str(key)[:80])
        return self._child(key)

    def __getattr__(self, name: str) -> object:
        if name.startswith("_") or name not in self._raw:
            raise AttributeError(name)
        return self._child(name)

    def _child(self, name: str) -> object:
        path = f"{self._path}.{name}" if name.isidentifier() else f"{self._path}[{name!r}]"
        return trace(self._book, self._raw[name], self._at(name), path)

    def _pairs(self) -> Iterator[tuple[Said, object]]:
        for name in list(self._raw)[:MOST_ROWS]:
            self._book.go_on()
            yield Said(self._book, name, self._at(name), f"{self._path}.keys", op=forms.KEY), self._child(name)

    def __contains__(self, name: object) -> bool:
        return raw_of(name) in self._raw

    def __str__(self) -> str:
        raise BadInput(f"{self._path} is several values", fix=f"print one of them, such as {self._path}.NAME")


class Rows(_Several):
    """A list of a file. It is walked, and counted by `count`."""

    __slots__ = ()
    _raw: list[object]

    def __iter__(self) -> Iterator[object]:
        if len(self._raw) > MOST_ROWS:
            raise BadInput(f"{self._path} has {len(self._raw):,} rows; a paper shows at most {MOST_ROWS:,}")
        for number in range(len(self._raw)):
            self._book.go_on()
            yield self[number]

    def __getitem__(self, number: int) -> object:
        place = range(len(self._raw))[number]
        return trace(self._book, self._raw[place], self._at(place), f"{self._path}[{place}]")

    def __str__(self) -> str:
        raise BadInput(f"{self._path} is several values", fix="walk it with {% for %}, or count(...)")


class OfRun:
    """A sealed run, as `run("RUN-...")` gives it: `.metrics.NAME`, `.params.NAME`, and what its seal says of it."""

    __slots__ = ("_book", "_run")

    def __init__(self, book: Book, run_id: str) -> None:
        self._book, self._run = book, run_id

    def __getattr__(self, name: str) -> object:
        path = f'run("{self._run}").{name}'
        files = {"metrics": layout.METRICS, "params": layout.PARAMS}
        if name in files:
            return self._book.open(self._run, files[name], path)
        if name in _OF_RUN:
            return self._book.open(self._run, layout.SEAL, path, f"/run/{name}")
        raise AttributeError(name)

    def __str__(self) -> str:
        raise BadInput(
            "a run is several values", fix=f"print one of them: .value, .metrics.NAME, {', '.join(sorted(_OF_RUN))}"
        )


def trace(book: Book, raw: object, of: Part, path: str) -> object:
    """A value of a file as a template sees it. True, false and none are asked about, and stay what they are."""
    match raw:
        case bool() | None:
            return raw
        case int() | float():
            return Number(book, raw, (of,), path)
        case str():
            return Said(book, raw, of, path, form=forms.QUOTE if _is_a_word_of_mouth(raw, of) else "")
        case dict():
            return Table(book, raw, of, path)
        case list():
            return Rows(book, raw, of, path)
    raise LabError(f"{path} is nothing that can be shown")


def _is_a_word_of_mouth(raw: str, of: Part) -> bool:
    """Whether words that somebody only wrote down have a number in them: it may look like one that was measured."""
    return (of.file.startswith(evidence.IDEAS) or of.file == evidence.SOURCES) and any(map(str.isnumeric, raw))


def unquoted(value: object) -> object:
    """Words without the marks of a quotation, for a list of references."""
    return value._written("") if isinstance(value, Said) else value  # noqa: SLF001  # hidden from templates


def raw_of(value: object) -> object:
    """What is behind a value."""
    return value._raw if isinstance(value, (Number, Said, Table, Rows)) else value  # noqa: SLF001  # our own


def paired(book: Book, op: Op, raw: float, one: object, other: object) -> Number:
    """A number that is made of two."""
    parts, paths = [], []
    for each in (one, other):
        if not isinstance(each, Number) or each._op != forms.VALUE:  # noqa: SLF001  # our own
            raise BadInput(f"{op}(...) wants two numbers as runs have them")
        parts.append(each._of[0])  # noqa: SLF001  # our own
        paths.append(each._path)  # noqa: SLF001  # the same
    return Number(book, raw, tuple(parts), f"{op}({', '.join(paths)})", op=op)


def counted(rows: object, where: Mapping[str, object]) -> Number:
    """How many of them have these values."""
    if not isinstance(rows, Rows):
        raise BadInput("count(...) wants rows, such as training.made")
    wanted = {name: raw_of(value) for name, value in where.items()}
    said = "".join(f", {name}={value!r}" for name, value in wanted.items())
    raw = sum(1 for row in rows._raw if forms.matches(row, wanted))  # noqa: SLF001  # our own
    path = f"count({rows._path}{said})"  # noqa: SLF001  # the same
    return Number(rows._book, raw, (rows._of,), path, op=forms.COUNT, where=wanted)  # noqa: SLF001  # the same


def _comparable(value: object) -> float:
    raw = raw_of(value)
    if isinstance(raw, bool) or not isinstance(raw, (int, float)):
        raise BadInput(f"a number is not compared with {str(raw)[:40]}", fix="test it first: {% if X is not none %}")
    return raw


KINDS = (Number, Said, Table, Rows, OfRun)
