"""OpenAlex: JSON. Pages by a cursor; an abstract is a list of words with the places where each stands."""

from __future__ import annotations

import msgspec

from lab.research.literature import phrase
from lab.research.literature.answers import decoded, said
from lab.research.literature.entry import Entry, Page, Route

NAME = "openalex"
ADDRESS = "https://api.openalex.org"
GAP_S = 0.1
SUFFIX = "json"
PAGE = 100
MOST = 10_000
HEADER = ""
PARAMETER = "api_key"
_MOST_WORDS = 5000


class _Name(msgspec.Struct):
    display_name: str | None = None


class _Authorship(msgspec.Struct):
    author: _Name | None = None


class _Work(msgspec.Struct):
    id: str | None = None
    doi: str | None = None
    display_name: str | None = None
    publication_year: int | None = None
    abstract_inverted_index: dict[str, list[int]] | None = None
    authorships: list[_Authorship] | None = None


class _Meta(msgspec.Struct):
    count: int
    next_cursor: str | None = None


class _Works(msgspec.Struct):
    meta: _Meta
    results: list[_Work]


def search(terms: tuple[str, ...], at: str, size: int) -> Route:
    words = " ".join(f'"{each}"' if " " in each else each for each in terms)
    return Route(path="/works", params=(("search", words), ("per_page", str(size)), ("cursor", at or "*")))


def look_up(claim: Entry) -> tuple[Route, ...]:
    routes: list[Route] = []
    doi = claim.doi or (f"10.48550/arxiv.{claim.arxiv}" if claim.arxiv else "")
    if doi and not {",", "|"} & set(doi):  # which part a filter
        routes.append(Route(path="/works", params=(("filter", f"doi:{doi}"), ("per_page", "1"))))
    words = phrase.folded(claim.title).split()[:16]
    if words:
        routes.append(Route(path="/works", params=(("search", " ".join(words)), ("per_page", "5"))))
    return tuple(routes)


def covers(claim: Entry) -> bool:
    return bool(claim.doi or claim.title)


def read(body: bytes, at: str) -> Page:
    del at
    works = decoded(body, _Works)
    return Page(
        entries=tuple(found for each in works.results if (found := _entry(each)).title),
        total=works.meta.count,
        following=(works.meta.next_cursor or "") if works.results else "",
    )


def complaint(body: bytes) -> str:
    return said(body)


def _entry(work: _Work) -> Entry:
    doi = phrase.doi(work.doi or "")
    names = (each.author.display_name for each in work.authorships or () if each.author)
    return Entry(
        title=phrase.plain(work.display_name or ""),
        authors=tuple(phrase.plain(name, 200) for name in names if name),
        year=work.publication_year,
        doi=doi,
        arxiv=phrase.arxiv(doi),
        url=f"https://doi.org/{doi}" if doi else phrase.plain(work.id or ""),
        abstract=_text(work.abstract_inverted_index or {}),
    )


def _text(index: dict[str, list[int]]) -> str:
    placed = sorted((place, word) for word, places in index.items() for place in places[:_MOST_WORDS])
    return phrase.plain(" ".join(word for _, word in placed[:_MOST_WORDS]), 20_000)
