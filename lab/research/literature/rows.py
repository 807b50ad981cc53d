"""`lit/sources.jsonl`, and what lies beside it: written together, so that they say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.errors import Corrupt
from lab.core.record import encode, parse
from lab.research import source
from lab.research.literature import bibliography
from lab.research.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lab.research.work.out import Out

EMPTY = b"\n"  # nothing was found, which is a result; a file of no bytes is none


def page(sources: Iterable[Source]) -> bytes:
    return b"".join(encode(each) for each in sources) or EMPTY


def read(data: bytes, where: str = source.FILE) -> tuple[Source, ...]:
    """Every row, or `Corrupt` with the line that is none."""
    found: list[Source] = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.strip():
            continue
        try:
            found.append(parse(Source, line, where))
        except Corrupt as wrong:
            raise Corrupt(f"line {number}: {wrong.what}", where=where, fix="a row is one JSON object") from None
    return tuple(found)


def leave(out: Out, sources: Sequence[Source]) -> None:
    """Write the rows and their BibTeX. Raw answers and texts are there already: rows name them by digest."""
    out.write(source.BIBTEX, bibliography.page(sources))
    out.write(source.FILE, page(sources))
