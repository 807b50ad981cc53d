"""A row of `claims.jsonl`: something that stands in the paper, and the sealed bytes that say it.

Whoever has the row and the file can tell whether the paper still says what was measured, without asking who wrote it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from lab.core.errors import Corrupt
from lab.core.record import Record, encode, parse

if TYPE_CHECKING:
    from collections.abc import Iterable

FILE = "claims.jsonl"
PAPER = "paper.md"
SOURCE = "paper.md.j2"
LATEX = "paper.tex"
BIBTEX = "references.bib"
FIGURES = "figures/"
Raw = int | float | str
Kind = Literal["number", "words", "figure"]
Op = Literal["value", "key", "count", "difference", "ratio", "change", "drawn"]
NUMBER: Kind = "number"
WORDS: Kind = "words"
FIGURE: Kind = "figure"
MOST = 20_000


class Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One place that a claim rests on: `pointer` (RFC 6901) into a file of a run, whose digest its seal holds.

    Without a run the file is one of the paper's own, such as the words of the project that it was given.
    """

    run: str = ""
    file: str
    pointer: str = ""
    sha256: str
    seal: str = ""  # digest of the run's SEAL.json


class Claim(Record, frozen=True, kw_only=True, omit_defaults=True):
    """`text` stands in paper.md at this line and column, both counted from 1, in characters.

    It is what `form` writes of `raw`; and `raw` is what `op` makes of the places in `of`.
    """

    n: int
    line: int
    column: int
    text: str
    kind: Kind
    expression: str
    raw: Raw
    of: tuple[Part, ...]
    op: Op = "value"
    where: dict[str, object] = msgspec.field(default_factory=dict)  # of a count: what the counted have in common
    form: str = ""

    @property
    def at(self) -> str:
        return f"{PAPER} line {self.line} column {self.column}"


def written(claims: Iterable[Claim]) -> bytes:
    return b"".join(map(encode, claims))


def read(data: bytes, where: str = FILE) -> tuple[Claim, ...]:
    """Every row, or `Corrupt` with the line of the first that is none."""
    rows = data.splitlines()
    if len(rows) > MOST:
        raise Corrupt(f"more than {MOST:,} claims are no paper's", where=where)
    return tuple(parse(Claim, row, f"{where} line {number}") for number, row in enumerate(rows, 1))
