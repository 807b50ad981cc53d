"""A row of `lit/sources.jsonl`: a paper or a note, where it comes from, and how far anybody has seen to it."""

from __future__ import annotations

from typing import Literal

import msgspec

from lab.core.record import Record

FILE = "lit/sources.jsonl"
BIBTEX = "lit/references.bib"
REVIEW = "lit/review.md"
RAW = "lit/raw/"  # what hosts answered, as they answered it
TEXTS = "lit/texts/"  # the text of each source that quotes point into

VERIFIED, MISMATCH, NOT_FOUND, UNVERIFIED = "verified", "mismatch", "not_found", "unverified"
NO_PAPER = "your own file; it names no paper that hosts could be asked about"


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """Words of the source's own text: `text == whole[start:end]`, counted in characters."""

    text: str
    start: int
    end: int


class Source(Record, frozen=True, kw_only=True, omit_defaults=True):
    """One thing that may be cited.

    `status` is verified (a host knows it, and says the same), mismatch (a host knows it, and says something else),
    not_found (hosts were asked and know none), or unverified (nobody was asked). Never guessed.
    """

    key: str  # of BibTeX; unique, a word of [a-z0-9-]
    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    url: str = ""
    doi: str = ""
    arxiv: str = ""
    origin: Literal["arxiv", "openalex", "semantic_scholar", "user"]
    file: str = ""  # of the user's own: its name in the project's folder
    status: Literal["verified", "mismatch", "not_found", "unverified"] = "unverified"
    why: str = ""  # of every status but verified: what was compared, and with what
    fetched_at: str = ""
    raw: str = ""  # the answer that it was read from, below artifacts/
    raw_sha256: str = ""
    text: str = ""  # the file of its text, below artifacts/: an abstract, a note, the text of a PDF
    sha256: str = ""  # of that file
    quotes: tuple[Quote, ...] = ()

    @property
    def is_bare_note(self) -> bool:
        """Whether it is a file of the user's that names no paper: no host can be asked, on whatever network."""
        names_one = bool(self.doi or self.arxiv)
        return self.origin == "user" and bool(self.file) and self.why.startswith(NO_PAPER) and not names_one
