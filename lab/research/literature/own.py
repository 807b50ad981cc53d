"""The user's own sources: entries of a .bib, notes, and PDFs. What cannot be read is told by file and line."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING

import msgspec

from lab.research.literature import bibtex, pdf, phrase
from lab.research.literature.entry import Entry
from lab.store import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from lab.research.work.given import Piece
    from lab.research.worker import Task

GIVEN = "folder:literature.own/"
MOST_BYTES = 64 << 20
PDF = b"%PDF-"  # how one begins
_NOTES = (".md", ".markdown", ".txt", ".rst")
_FRONT = re.compile(r"\s*---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|2[01]\d\d)(?!\d)")


class Own(msgspec.Struct, frozen=True, kw_only=True):
    """One source of the user's. `is_claim`: it names a paper, so that hosts can be asked whether there is one."""

    claim: Entry
    key: str
    file: str
    text: str = ""
    is_claim: bool = False
    why: str = ""  # there is no text


class Read(msgspec.Struct, frozen=True, kw_only=True):
    sources: tuple[Own, ...] = ()
    problems: tuple[str, ...] = ()


def read(task: Task) -> Read:
    """All that `literature.own` names, in the order of their names."""
    found: list[Own] = []
    problems: list[str] = []
    pieces = {each.name: each for each in task.given.pieces()}
    for name in task.given.names(GIVEN):
        file = name.removeprefix(GIVEN)
        piece = pieces[name]
        if reading.size_of(piece.path) > MOST_BYTES:
            problems.append(f"{file}: larger than {MOST_BYTES >> 20} MiB, and not read")
            continue
        data = task.given.read(name)
        if file.lower().endswith(".pdf") and not data.startswith(PDF):
            problems.append(f"{file}: it is no PDF, and is left out")
            continue
        if file.lower().endswith(".pdf"):
            found.append(_of_pdf(task, file, piece, problems))
            continue
        text = _text(file, data, problems)
        if text and file.lower().endswith(".bib"):
            found += _of_bibtex(file, text, problems)
        elif text and file.lower().endswith(_NOTES):
            found.append(_of_note(file, text))
        elif text:
            kinds = ", ".join((".bib", ".pdf", *_NOTES))
            problems.append(f"{file}: not read; sources are {kinds}")
    return Read(sources=tuple(found), problems=tuple(problems))


def _text(file: str, data: bytes, problems: list[str]) -> str:
    bare = data.removeprefix(b"\xef\xbb\xbf")
    if b"\0" in data:
        problems.append(f"{file}: not read; it is no text")
        return ""
    try:
        text = bare.decode()
    except UnicodeDecodeError:
        problems.append(f"{file}: not UTF-8; read as Latin-1, so names with accents may be wrong")
        text = bare.decode("latin-1")
    if not text.strip():
        problems.append(f"{file}: empty")
        return ""
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _of_bibtex(file: str, text: str, problems: list[str]) -> Iterator[Own]:
    if len(text) > bibtex.MOST_CHARS:
        problems.append(f"{file}: only its first {bibtex.MOST_CHARS:,} characters were read")
    library = bibtex.parse(text[: bibtex.MOST_CHARS])
    problems += [f"{file} {each}" for each in library.problems]
    if not library.items:
        problems.append(f"{file}: there is no entry in it")
    for item in library.items:
        if not item.fields.get("title"):
            problems.append(f"{file} line {item.line}: {item.key} has no title, and is left out")
            continue
        yield Own(claim=_claim(item.fields, _and), key=item.key, file=file, text=_abstract(item.fields), is_claim=True)


def _abstract(fields: Mapping[str, str]) -> str:
    return fields.get("abstract", "")


def _of_note(file: str, text: str) -> Own:
    """A note; what it says of itself between two lines of `---` is what it is about."""
    front = _FRONT.match(text)
    fields = dict(_pairs(front[1])) if front else {}
    body = text[front.end() :] if front else text
    heading = _HEADING.search(body)
    title = fields.get("title") or (heading[1] if heading else "") or os.path.basename(file)
    claim = _claim({**fields, "title": title}, _listed)
    is_claim = bool(claim.doi or claim.arxiv or (fields.get("title") and claim.authors))
    return Own(claim=claim, key=fields.get("key") or _stem(file), file=file, text=body, is_claim=is_claim)


def _of_pdf(task: Task, file: str, piece: Piece, problems: list[str]) -> Own:
    text, why = pdf.read(task.root.world, piece.path, task.until_s - time.monotonic())
    if why:
        problems.append(f"{file}: {why}")
    title = phrase.plain(_stem(file).replace("_", " ").replace("-", " ")) or file
    return Own(
        claim=Entry(title=title, arxiv=phrase.arxiv(_stem(file))), key=_stem(file), file=file, text=text, why=why
    )


def _claim(fields: Mapping[str, str], names: Callable[[str], tuple[str, ...]]) -> Entry:
    year = _YEAR.search(fields.get("year") or fields.get("date") or "")
    url = fields.get("url", "")
    is_arxiv = fields.get("archiveprefix", "arxiv").lower() == "arxiv"
    number = fields.get("arxiv") or (fields.get("eprint", "") if is_arxiv else "")
    doi = phrase.doi(fields.get("doi", "")) or phrase.doi(url)
    return Entry(
        title=phrase.plain(fields["title"], 500),
        authors=names(fields.get("author") or fields.get("authors") or ""),
        year=int(year[1]) if year else None,
        doi=doi,
        arxiv=phrase.arxiv(number) or phrase.arxiv(doi) or (phrase.arxiv(url) if "arxiv.org/" in url else ""),
        url=phrase.plain(url, 500),
    )


def _and(text: str) -> tuple[str, ...]:
    return tuple(name for each in re.split(r"\s+and\s+", text) if (name := phrase.plain(each, 200)))


def _listed(text: str) -> tuple[str, ...]:
    """`A. Lovelace; C. Babbage`, `[A, B]`, `A and B`."""
    inner = text.strip().removeprefix("[").removesuffix("]")
    parts = re.split(r"\s*;\s*|\s+and\s+" if ";" in inner or " and " in inner else r"\s*,\s*", inner)
    return tuple(name for each in parts if (name := phrase.plain(each.strip("'\""), 200)))


def _pairs(front: str) -> Iterator[tuple[str, str]]:
    for line in front.splitlines()[:100]:
        name, colon, value = line.partition(":")
        if colon and name.strip() and not line[:1].isspace():
            yield name.strip().lower(), phrase.plain(value.strip().strip("'\""), 1000)


def _stem(file: str) -> str:
    return os.path.splitext(os.path.basename(file))[0]
