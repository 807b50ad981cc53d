"""Semantic Scholar: JSON. Pages by their first entry; without a key its pool is shared by everybody, and often full."""

from __future__ import annotations

import msgspec

from lab.research.literature import phrase
from lab.research.literature.answers import decoded, said
from lab.research.literature.entry import Entry, Page, Route

NAME = "semantic_scholar"
ADDRESS = "https://api.semanticscholar.org"
GAP_S = 1.0
SUFFIX = "json"
PAGE = 100
MOST = 1000
HEADER = "x-api-key"
PARAMETER = ""
_FIELDS = ("fields", "title,abstract,year,authors,externalIds,url")
_PATH = "/graph/v1/paper/search"


class _Author(msgspec.Struct):
    name: str | None = None


class _Paper(msgspec.Struct, rename="camel"):
    title: str | None = None
    abstract: str | None = None
    year: int | None = None
    authors: list[_Author] | None = None
    external_ids: dict[str, object] | None = None
    url: str | None = None


class _Papers(msgspec.Struct):
    total: int
    data: list[_Paper] = []
    next: int | None = None


def search(terms: tuple[str, ...], at: str, size: int) -> Route:
    words = phrase.plain(" ".join(terms))
    return Route(path=_PATH, params=(("query", words), _FIELDS, ("offset", at or "0"), ("limit", str(size))))


def look_up(claim: Entry) -> tuple[Route, ...]:
    """By its title: an id that is not known is a 404 there, which an address that is wrong is too."""
    words = phrase.folded(claim.title).split()[:16]
    return (search(tuple(words), "", 5),) if words else ()


def covers(claim: Entry) -> bool:
    return bool(claim.title)


def read(body: bytes, at: str) -> Page:
    papers = decoded(body, _Papers)
    begun = int(at or "0")
    following = papers.next if papers.next is not None else begun + len(papers.data)
    goes_on = bool(papers.data) and begun < following < min(papers.total, MOST)
    return Page(
        entries=tuple(found for each in papers.data if (found := _entry(each)).title),
        total=papers.total,
        following=str(following) if goes_on else "",
    )


def complaint(body: bytes) -> str:
    return said(body)


def _entry(paper: _Paper) -> Entry:
    ids = paper.external_ids or {}
    doi, number = phrase.doi(str(ids.get("DOI") or "")), phrase.arxiv(str(ids.get("ArXiv") or ""))
    return Entry(
        title=phrase.plain(paper.title or ""),
        authors=tuple(phrase.plain(each.name, 200) for each in paper.authors or () if each.name),
        year=paper.year,
        doi=doi,
        arxiv=number or phrase.arxiv(doi),
        url=phrase.plain(paper.url or "") or (f"https://doi.org/{doi}" if doi else ""),
        abstract=phrase.plain(paper.abstract or "", 20_000),
    )
