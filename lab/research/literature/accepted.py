"""Whether the literature may be believed: every row from somewhere, every quote from its text, every key in the .bib.

Of the disk alone it is seen that a verified row stands in the answer that it names; not who wrote the answer there.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

from lab.core import canonical
from lab.research import citing, source
from lab.research.literature import bibtex, checking, own, quoting, rows, sourcing
from lab.research.literature.entry import Unanswered
from lab.research.literature.hosts import of_raw

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.research.literature.entry import Entry
    from lab.research.order import Order
    from lab.research.source import Source
    from lab.research.work.out import Out
    from lab.research.worker import Task

_KEY = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_SEEN_BY_A_HOST = (source.VERIFIED, source.MISMATCH)


def problems(order: Order, out: Out, task: Task | None) -> Iterator[str]:
    """Everything that is wrong. With the task at hand the user's files are known too."""
    del order
    found = rows.read(out.read(source.FILE) or b"")
    keys = [each.key for each in found]
    yield from (
        f"{source.FILE}: the key {each} stands twice" for each in sorted({k for k in keys if keys.count(k) > 1})
    )
    answers = _Answers(out)
    own_files = None if task is None else {each.removeprefix(own.GIVEN) for each in task.given.names(own.GIVEN)}
    for row in found:
        yield from (f"{source.FILE}: {row.key[:80]}: {each}" for each in _wrong(row, out, answers, own_files))
        if task is not None and task.project.literature.offline and row.status != source.UNVERIFIED:
            yield f"{source.FILE}: {row.key[:80]} says {row.status}, and the project is offline: nobody was asked"
    yield from _bibtex(out.read(source.BIBTEX) or b"", set(keys))
    cited = citing.keys((out.read(source.REVIEW) or b"").decode(errors="replace"))
    strange = sorted(cited - set(keys))
    yield from (f"{source.REVIEW}: it cites {each[:80]}, which is no source; {citing.PLAIN}" for each in strange)


def _wrong(row: Source, out: Out, answers: _Answers, own_files: set[str] | None) -> Iterator[str]:
    if not _KEY.fullmatch(row.key):
        yield "its key is no word of a-z, 0-9 and hyphens"
    if not row.title.strip():
        yield "it has no title"
    if row.origin == "user":
        if not row.file:
            yield "it is said to be the user's, and names no file"
        elif own_files is not None and row.file not in own_files:
            yield f"{row.file[:120]} is no source that the user gave"
    elif not row.raw:
        yield "it came from nowhere: no answer of a host, and none of the user's files"
    if row.status in _SEEN_BY_A_HOST:
        yield from _unseen(row, answers)
    elif row.raw:
        yield f"it says {row.status}, and names an answer of a host"
    if row.status != source.VERIFIED and not row.why:
        yield f"it does not say why it is {row.status}"
    yield from _text(row, out)


def _unseen(row: Source, answers: _Answers) -> Iterator[str]:
    """What is wrong with the answer that a row rests on."""
    if not row.raw or not row.fetched_at:
        yield f"it says {row.status}, and not which answer of a host says so, or when it came"
        return
    try:
        datetime.fromisoformat(row.fetched_at)
    except ValueError:
        yield f"fetched_at is no moment: {row.fetched_at[:40]!r}"
    entries = answers.read(row.raw, row.raw_sha256)
    if isinstance(entries, str):
        yield entries
        return
    host = of_raw(row.raw)
    if host is not None and row.origin not in ("user", host.NAME):
        yield f"it is said to come from {row.origin}, and {row.raw} is an answer of {host.NAME}"
    seen = checking.check(sourcing.claimed(row), entries)
    if row.status == source.VERIFIED and seen.status != source.VERIFIED:
        yield f"it says verified, and {row.raw} does not say so: {seen.why}"
    elif row.status == source.MISMATCH and seen.status != source.MISMATCH:
        yield f"it says mismatch, and {row.raw} says {seen.status}"


def _text(row: Source, out: Out) -> Iterator[str]:
    if not row.text:
        if row.quotes:
            yield "it quotes a text that it does not have"
        return
    data = out.read(row.text) if row.text.startswith(source.TEXTS) else None
    if data is None:
        yield f"its text is not there: {row.text[:120]}"
    elif canonical.digest(data) != row.sha256:
        yield f"{row.text} is not the text that was read: its digest differs"
    else:
        whole = data.decode(errors="replace")
        yield from (
            f"it quotes {each.text[:60]!r}, which does not stand there in {row.text}"
            for each in row.quotes
            if not quoting.is_true(each, whole)
        )


def _bibtex(data: bytes, keys: set[str]) -> Iterator[str]:
    library = bibtex.parse(data.decode(errors="replace"))
    yield from (f"{source.BIBTEX} {each}" for each in library.problems)
    there = {each.key for each in library.items}
    yield from (f"{source.BIBTEX}: {each} is not in the sources" for each in sorted(there - keys))
    yield from (f"{source.BIBTEX}: {each} is missing, which is a source" for each in sorted(keys - there))


class _Answers:
    """The kept answers of hosts, each read once."""

    def __init__(self, out: Out) -> None:
        self._out = out
        self._read: dict[tuple[str, str], tuple[Entry, ...] | str] = {}

    def read(self, name: str, sha256: str) -> tuple[Entry, ...] | str:
        """What an answer says, or what is wrong with it."""
        known = self._read.get((name, sha256))
        if known is None:
            known = self._read[name, sha256] = self._fresh(name, sha256)
        return known

    def _fresh(self, name: str, sha256: str) -> tuple[Entry, ...] | str:
        host = of_raw(name) if name.startswith(source.RAW) else None
        if host is None:
            return f"{name[:120]} is no answer of a host that is known"
        data = self._out.read(name)
        if data is None:
            return f"the answer is not there: {name[:120]}"
        if canonical.digest(data) != sha256:
            return f"{name} is not what was answered: its digest differs"
        try:
            return host.read(data, "").entries
        except Unanswered as wrong:
            return f"{name} is no answer: {wrong.what}"
