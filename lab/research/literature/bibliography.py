"""BibTeX of sources: what is in the sources and nothing else, written so that no title can be a command."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.research.literature import tex

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from lab.research.source import Source

HEAD = "% Written by labctl from sources.jsonl; status is how far the lab has seen to it that the entry is true.\n"
_ADDRESS = re.compile(r"https?://[^\s\"<>]+", re.IGNORECASE)
_NO_ADDRESS = re.compile(r"[^\w:/?#@!&'()*+,;=.~%-]", re.ASCII)


def page(sources: Iterable[Source]) -> bytes:
    """All of them, in their order."""
    return "\n".join((HEAD, *(entry(each, dict(_seen_to(each))) for each in sources))).encode()


def _seen_to(source: Source) -> Iterator[tuple[str, str]]:
    if source.file:
        yield "howpublished", f"file {source.file}"
    yield "note", f"status: {source.status.replace('_', ' ')}"


def entry(source: Source, more: Mapping[str, str]) -> str:
    """One of them. `more` are fields besides what tells which paper it is, in plain words."""
    kind = "article" if source.doi or source.arxiv else "misc"
    told = [*_fields(source), *((name, tex.escaped(words)) for name, words in more.items() if words)]
    return f"@{kind}{{{source.key},\n" + "".join(f"  {name} = {{{value}}},\n" for name, value in told) + "}\n"


def _fields(source: Source) -> Iterator[tuple[str, str]]:
    yield "title", f"{{{tex.escaped(source.title)}}}"  # a second pair: capitals stay as they are
    if source.authors:
        yield "author", " and ".join(_author(each) for each in source.authors)
    if source.year is not None:
        yield "year", str(source.year)
    if source.doi:
        yield "doi", tex.escaped(source.doi)
    if source.arxiv:
        yield "eprint", tex.escaped(source.arxiv)
        yield "archiveprefix", "arXiv"
    if address(source.url):
        yield "url", address(source.url)


def address(url: str) -> str:
    """An address of the web whose every character a field of BibTeX can hold; nothing for what is none."""
    if not _ADDRESS.fullmatch(url.strip()):
        return ""
    return _NO_ADDRESS.sub(lambda found: "".join(f"%{each:02X}" for each in found[0].encode()), url.strip())


def _author(name: str) -> str:
    """In braces where it holds the word that parts authors."""
    plain = tex.escaped(name)
    return f"{{{plain}}}" if re.search(r"\band\b", plain, re.IGNORECASE) else plain
