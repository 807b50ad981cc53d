"""Words of a topic, titles that can be compared, and names that can be keys. Pure, and the same every time."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_TERMS = 8
_TERM = re.compile(r'"([^"]{1,120})"|([^\W_][\w-]{1,60})')
_WORD = re.compile(r"[^\W_]+")
_BLANKS = re.compile(r"\s+")
_DOI = re.compile(r"10\.\d{4,9}/\S+")
_ARXIV = re.compile(
    r"(?<![\w./])(?:arxiv:)?(?:(\d{4}\.\d{4,5})|([a-z][a-z-]+)(?:\.[a-z]{2})?/(\d{7}))(?:v\d+)?(?!\d)", re.IGNORECASE
)
_OF_ARXIV = "10.48550/arxiv."
_LEFT_OUT = """
a about above after again all also an and any are as at be because been before being below between both but by can could
did do does doing down during each few for from further had has have having he her here hers him his how i if in into is
it its just less let lower may me might more most must my near no nor not now of off on once only or other our out over
own per same shall she should so some such than that the their them then there these they this those through to too
under until up upon us use used using very was we were what when where whether which while who whom why will with within
without would you your
best better compare compared effect effects higher improve improves improved increase increases reduce reduces study
studies topic
"""
_COMMON = frozenset(_LEFT_OUT.split())


def plain(text: str, most: int = 2000) -> str:
    """One line of it: no control characters, single blanks, nothing that UTF-8 cannot hold."""
    kept = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * most])
    return _BLANKS.sub(" ", kept).strip()[:most].rstrip()


def terms(text: str) -> tuple[str, ...]:
    """The words of a query, and what stands in quotes as one. Whatever else is in it, no host is sent any of it."""
    found = (plain(quoted or word) for quoted, word in _TERM.findall(text))
    return tuple(dict.fromkeys(each for each in found if each))[:MOST_TERMS]


def keywords(text: str, most: int) -> tuple[str, ...]:
    """The words that a text is about: those it says most often, the first one first among equals."""
    said: dict[str, int] = {}
    for each in _TERM.finditer(text):
        word = (each[2] or "").casefold().strip("-")
        if len(word) > 2 and word not in _COMMON and not word.isdecimal():  # noqa: PLR2004  # `a`, `of`, `3`
            said[word] = said.get(word, 0) + 1
    order = list(said)
    return tuple(sorted(order, key=lambda word: (-said[word], order.index(word)))[:most])


def stems(words: Iterable[str]) -> frozenset[str]:
    """Words without the endings of plurals, so that `losses` and `loss` are one."""
    return frozenset(_stem(each) for word in words for each in _WORD.findall(word.casefold()))


def _stem(word: str) -> str:
    for ending in ("sses", "ies", "s"):
        if word.endswith(ending) and len(word) > len(ending) + 2 and not word.endswith("ss"):
            return word[: -len(ending)] + {"sses": "ss", "ies": "y", "s": ""}[ending]
    return word


@lru_cache(maxsize=10_000)
def folded(text: str) -> str:
    """In small letters, without accents and marks, words with one blank between: what titles are compared as."""
    bare = unicodedata.normalize("NFKD", text.casefold())
    return " ".join(_WORD.findall("".join(each for each in bare if not unicodedata.combining(each))))


def likeness(one: str, other: str) -> float:
    """How alike two titles are, from 0 to 1."""
    import difflib  # noqa: PLC0415  # only where titles are compared

    left, right = folded(one)[:500], folded(other)[:500]
    if not left or not right:
        return 0.0
    return 1.0 if left == right else difflib.SequenceMatcher(None, left, right, autojunk=False).ratio()


def surname(author: str) -> str:
    """`lovelace` of `Ada Lovelace` and of `Lovelace, Ada`."""
    name = author.partition(",")[0] if "," in author else author
    words = folded(name).split()
    if "," in author:
        return " ".join(words)
    while len(words) > 1 and words[-1] in ("jr", "sr", "ii", "iii"):
        words.pop()
    return words[-1] if words else ""


def doi(text: str) -> str:
    """The DOI in an address or a field; empty where there is none."""
    found = _DOI.search(text)
    return found[0].lower().rstrip(".,;)}\"'") if found else ""


def arxiv(text: str) -> str:
    """The number of arXiv in an address or a field, without its version."""
    low = text.strip().lower()
    if low.startswith(("http:", "https:", "doi:", "10.")):
        _, mark, low = low.partition(_OF_ARXIV) if _OF_ARXIV in low else low.partition("arxiv.org/")
        low = low.partition("/")[2] if mark == "arxiv.org/" else low
    found = _ARXIV.match(low)
    if found is None:
        return ""
    return (
        found[1] or f"{found[2]}/{found[3]}"
    )  # before 2007 with the name of an archive; of its parts arXiv knows none


def key(authors: tuple[str, ...], year: int | None, title: str) -> str:
    """A key for BibTeX: `lovelace2024test`; from the title's digest where nothing in it is a plain letter."""
    words = [word for word in folded(title).split() if word not in _COMMON and len(word) > 2]  # noqa: PLR2004
    first = surname(authors[0]) if authors else ""
    found = slug(f"{first.replace(' ', '')}{year or ''}{words[0] if words else ''}")
    return found or f"source-{hashlib.sha256(title.encode(errors='replace')).hexdigest()[:8]}"


def slug(text: str) -> str:
    """What of it can be a key: small letters, digits and single hyphens."""
    bare = unicodedata.normalize("NFKD", text.casefold()).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", bare).strip("-")[:60].rstrip("-")


def unique(wanted: str, taken: Iterable[str]) -> str:
    """The key, or the first of `key-2`, `key-3` that nobody has."""
    known = set(taken)
    if wanted not in known:
        return wanted
    number = 2
    while f"{wanted}-{number}" in known:
        number += 1
    return f"{wanted}-{number}"
