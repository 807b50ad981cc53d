"""`lit/review.md`: what was asked, who answered, what was found, and how far anybody has seen to each of it."""

from __future__ import annotations

from collections.abc import Sequence  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.projections.text import count, md, table
from lab.research import source
from lab.research.source import Source  # msgspec resolves annotations

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST_CHARS = 1000
_UNREAD = "## What could not be read"
_WORDS = {
    source.VERIFIED: "a host knows it, and says the same",
    source.MISMATCH: "a host knows it, and says something else",
    source.NOT_FOUND: "hosts were asked, and none knows it",
    source.UNVERIFIED: "nobody was asked, or nobody could say",
}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """One host: how many requests went out, how many answers were there already, what it gave, what went wrong."""

    host: str
    requests: int = 0
    cached: int = 0
    found: int = 0
    problem: str = ""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the page says."""

    topic: str
    offline: bool
    minimal: bool
    queries: Sequence[str] = ()
    asked: Sequence[Asked] = ()
    problems: Sequence[str] = ()  # of the user's own files
    rows: Sequence[Source] = ()


def page(told: Told) -> bytes:
    lines = ["# Literature", "", *_asked(told), "", *_found(told.rows), *_sources(told.rows)]
    if told.problems:
        lines += [_UNREAD, "", *(f"- {_md(each)}" for each in told.problems), ""]
    return "\n".join(lines).encode()


def unread(page: bytes) -> tuple[str, ...]:
    """What a page says of the user's own files that could not be read, or not as they are."""
    _, found, rest = page.decode(errors="replace").partition(f"\n{_UNREAD}\n")
    return tuple(line.removeprefix("- ") for line in rest.splitlines() if line.startswith("- ")) if found else ()


def counts(rows: Sequence[Source]) -> Mapping[str, int]:
    return {status: sum(each.status == status for each in rows) for status in _WORDS}


def _asked(told: Told) -> Iterator[str]:
    yield "## What was asked"
    yield ""
    yield f"Topic: {_md(told.topic) or 'none was given'}"
    yield ""
    if told.minimal:
        yield "A check of novelty and no survey: few papers of each host."
        yield ""
    if told.offline:
        yield "The project is offline: nothing was asked, and every source is the user's own and unverified."
        return
    if not told.queries:
        yield "No host was searched: there is neither a query nor a topic. The user's own sources were looked up."
        yield ""
    else:
        yield from (f"- {_md(each)}" for each in told.queries)
        yield ""
    rows = ([
        each.host, str(each.requests), str(each.cached), str(each.found), _md(each.problem) or "none",
    ] for each in told.asked)  # fmt: skip
    yield from table(("host", "requests", "answers kept from before", "papers", "trouble"), rows)


def _found(rows: Sequence[Source]) -> Iterator[str]:
    yield "## What was found"
    yield ""
    if not rows:
        yield "Nothing. There is no source that anything could be cited from."
        yield ""
        return
    yield f"{count(len(rows), 'source')}."
    yield ""
    yield from (f"- {name.replace('_', ' ')}: {n} ({_WORDS[name]})" for name, n in counts(rows).items() if n)
    yield ""


def _sources(rows: Sequence[Source]) -> Iterator[str]:
    if not rows:
        return
    yield "## Sources"
    yield ""
    for each in rows:
        year = f", {each.year}" if each.year is not None else ""
        whose = (
            f"; {', '.join(map(_md, each.authors[:6]))}{' and others' if each.authors[6:] else ''}"
            if each.authors
            else ""
        )
        yield f"### {each.key}"
        yield ""
        yield f"{_md(each.title)}{whose}{year}"
        yield ""
        about = each.why or _WORDS[each.status]
        where = f"file {each.file}" if each.file else each.url
        whence = f"From {each.origin.replace('_', ' ')}: {_md(where) or 'no address'}."
        yield f"{each.status.replace('_', ' ')}: {_md(about)}. {whence}"
        yield ""
        for quote in each.quotes:
            yield f"> {_md(quote.text)}"
            yield ""


def _md(text: str) -> str:
    return md(text, _MOST_CHARS).replace("@", "\\@")  # what others wrote cites nothing
