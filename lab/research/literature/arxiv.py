"""arXiv: Atom. Pages by their first entry; an error is a feed of one entry, with the status 200 or 400."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from lab.research.literature import phrase
from lab.research.literature.entry import Entry, Page, Route, Unanswered

NAME = "arxiv"
ADDRESS = "https://export.arxiv.org"
GAP_S = 3.0
SUFFIX = "xml"
PAGE = 200
MOST = 2000
HEADER = ""
PARAMETER = ""
_ATOM = "{http://www.w3.org/2005/Atom}"
_SEARCH = "{http://a9.com/-/spec/opensearch/1.1/}"
_ARXIV = "{http://arxiv.org/schemas/atom}"
_PATH = "/api/query"


def search(terms: tuple[str, ...], at: str, size: int) -> Route:
    return _asked(" AND ".join(f'all:"{each}"' if " " in each else f"all:{each}" for each in terms), at or "0", size)


def look_up(claim: Entry) -> tuple[Route, ...]:
    routes: list[Route] = []
    if claim.arxiv:
        routes.append(Route(path=_PATH, params=(("id_list", claim.arxiv), ("start", "0"), ("max_results", "1"))))
    words = phrase.folded(claim.title).split()[:16]
    if words and not claim.arxiv:
        routes.append(_asked(f'ti:"{" ".join(words)}"', "0", 5))
    return tuple(routes)


def covers(claim: Entry) -> bool:
    """It holds preprints: what is not there may well be somewhere else, unless it says that it is there."""
    return bool(claim.arxiv)


def read(body: bytes, at: str) -> Page:
    feed = _feed(body)
    entries = feed.findall(f"{_ATOM}entry")
    wrong = _error(entries)
    if wrong:
        raise Unanswered(f"it answered with an error: {wrong}")
    total, begun = _number(feed, "totalResults"), int(at or "0")
    seen = begun + len(entries)
    if not entries and begun < total:
        raise Unanswered(f"it ends at entry {begun:,} of the {total:,} that it has")
    return Page(
        entries=tuple(found for each in entries if (found := _entry(each)).title),
        total=total,
        following=str(seen) if seen < total else "",
    )


def complaint(body: bytes) -> str:
    try:
        return _error(_feed(body).findall(f"{_ATOM}entry"))
    except Unanswered:
        return ""


def _asked(query: str, at: str, size: int) -> Route:
    params = {
        "search_query": query,
        "start": at,
        "max_results": str(size),
        "sortBy": "relevance",
        "sortOrder": "descending",
    }
    return Route(path=_PATH, params=tuple(params.items()))


def _feed(body: bytes) -> ET.Element:
    """The feed in an answer. A document that declares entities is refused unread: they can make gigabytes of a line."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unanswered("its answer is no text") from None
    if re.match(r"\s*<(?:!doctype\s+html|html)\b", text[:2000], re.IGNORECASE):
        raise Unanswered("it answered with a page of HTML, and not with a feed")
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise Unanswered("its answer declares entities of its own, which no feed of papers does")
    try:
        # Told the encoding, it does not look for another one, in which a declaration could hide.
        feed = ET.fromstring(text.encode(), parser=ET.XMLParser(encoding="utf-8"))  # noqa: S314  # looked at above
    except ET.ParseError as wrong:
        line = wrong.position[0]
        raise Unanswered(f"its answer is no whole XML: line {line} of {text.count(chr(10)) + 1}") from None
    if feed.tag != f"{_ATOM}feed":
        raise Unanswered(f"its answer is no feed of Atom: it begins with {feed.tag.rpartition('}')[2][:40]!r}")
    return feed


def _error(entries: list[ET.Element]) -> str:
    for each in entries:
        if "/api/errors" in _text(each, f"{_ATOM}id") or _text(each, f"{_ATOM}title") == "Error":
            return _text(each, f"{_ATOM}summary")[:200] or "it does not say which"
    return ""


def _entry(each: ET.Element) -> Entry:
    place = _text(each, f"{_ATOM}id")
    number = phrase.arxiv(place)
    names = (_text(author, f"{_ATOM}name") for author in each.findall(f"{_ATOM}author"))
    year = _text(each, f"{_ATOM}published")[:4]
    return Entry(
        title=_text(each, f"{_ATOM}title"),
        authors=tuple(name for name in names if name),
        year=int(year) if year.isdecimal() and year.isascii() else None,
        doi=phrase.doi(_text(each, f"{_ARXIV}doi")),
        arxiv=number,
        url=f"https://arxiv.org/abs/{number}" if number else place,
        abstract=_text(each, f"{_ATOM}summary", 20_000),
    )


def _text(element: ET.Element, tag: str, most: int = 2000) -> str:
    found = element.find(tag)
    return phrase.plain("".join(found.itertext()), most) if found is not None else ""


def _number(feed: ET.Element, tag: str) -> int:
    text = _text(feed, f"{_SEARCH}{tag}")
    if not text.isdecimal() or not text.isascii() or len(text) > 12:  # noqa: PLR2004  # more papers than were written
        raise Unanswered(f"its feed does not say how many entries there are: {tag} is {text[:20]!r}")
    return int(text)
