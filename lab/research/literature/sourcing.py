"""From what was found and what the user has to rows that may be cited, with their texts, quotes and statuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from lab.core import canonical
from lab.research import source
from lab.research.literature import checking, phrase, quoting
from lab.research.literature.entry import Entry
from lab.research.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from lab.research.literature.own import Own
    from lab.research.literature.searching import Desk, Found
    from lab.research.work.out import Out


class Shelf:
    """Collects rows. Writes the text of each as it comes; the keys are unique."""

    def __init__(self, out: Out, topic: frozenset[str]) -> None:
        self.rows: list[Source] = []
        self._out = out
        self._topic = topic
        self._keys: set[str] = set()

    def place(self, row: Source, text: str) -> Source:
        """A row with a key of its own, and its text where there is one."""
        key = phrase.unique(phrase.slug(row.key) or phrase.key(row.authors, row.year, row.title), self._keys)
        self._keys.add(key)
        whole = canonical.plain(text)
        if whole.strip():
            data, name = whole.encode(), f"{source.TEXTS}{key}.txt"
            self._out.write(name, data)
            quotes = quoting.spans(whole, self._topic)
            row = msgspec.structs.replace(row, text=name, sha256=canonical.digest(data), quotes=quotes)
        self.rows.append(msgspec.structs.replace(row, key=key))
        return self.rows[-1]


def of_found(found: Found) -> Source:
    """A paper that a host told us: what is said of it is what the host says, so it is verified."""
    entry = found.entry
    return Source(
        key=phrase.key(entry.authors, entry.year, entry.title),
        title=entry.title, authors=entry.authors, year=entry.year, url=entry.url, doi=entry.doi, arxiv=entry.arxiv,
        origin=found.host,  # type: ignore[arg-type]  # a name of HOSTS
        status="verified", fetched_at=found.fetched_at, raw=found.raw, raw_sha256=found.raw_sha256,
    )  # fmt: skip


def of_own(own: Own, desk: Desk | None) -> tuple[Source, str]:
    """A source of the user's, with what hosts say of it, and its text: the user's, else the abstract that was found."""
    claim = own.claim
    row = Source(
        key=own.key, title=claim.title, authors=claim.authors, year=claim.year, url=claim.url, doi=claim.doi,
        arxiv=claim.arxiv, origin="user", file=own.file,
    )  # fmt: skip
    if not own.is_claim:
        why = f"{source.NO_PAPER}; {own.why}" if own.why else source.NO_PAPER
        return msgspec.structs.replace(row, why=why), own.text
    if desk is None:
        return msgspec.structs.replace(row, why="nobody was asked: offline"), own.text
    row, found = judged(row, desk)
    return row, own.text or (found.entry.abstract if found else "")


def judged(row: Source, desk: Desk) -> tuple[Source, Found | None]:
    """A row with the status that hosts give it, and what they told."""
    checked, found, why = desk.check(claimed(row))
    if checked is None:
        return msgspec.structs.replace(row, status="unverified", why=why), None
    told = msgspec.structs.replace(row, status=checked.status, why=checked.why)
    if found is None:
        return told, None
    why = f"{found.host}: {checked.why}" if checked.why else ""
    return msgspec.structs.replace(
        told, why=why, fetched_at=found.fetched_at, raw=found.raw, raw_sha256=found.raw_sha256
    ), found


def claimed(row: Source) -> Entry:
    return Entry(
        title=row.title, authors=row.authors, year=row.year, doi=row.doi.lower(), arxiv=phrase.arxiv(row.arxiv)
    )


def merged(lists: Sequence[Sequence[Found]], known: Iterable[Entry], most: int) -> Iterator[Found]:
    """The best of every list first, each paper once, none that is known already."""
    seen = _Seen(known)
    kept = 0
    for rank in range(max((len(each) for each in lists), default=0)):
        for each in lists:
            if rank < len(each) and kept < most and seen.is_new(each[rank].entry):
                kept += 1
                yield each[rank]


class _Seen:
    """Papers by what tells them apart, so that thousands are compared with few."""

    def __init__(self, known: Iterable[Entry]) -> None:
        self._by_number: set[str] = set()
        self._by_title: dict[str, list[Entry]] = {}
        for each in known:
            self.is_new(each)

    def is_new(self, entry: Entry) -> bool:
        numbers = {each for each in (entry.doi, entry.arxiv) if each}
        title = phrase.folded(entry.title)
        alike = self._by_title.setdefault(title, [])
        if numbers & self._by_number or any(checking.is_same(entry, each) for each in alike):
            return False
        self._by_number |= numbers
        alike.append(entry)
        return True
