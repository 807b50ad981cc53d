"""What a host of papers is asked, and what it says: the same three records for every host."""

from __future__ import annotations

from typing import Protocol

import msgspec

from lab.core.errors import Unavailable


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A paper as a host tells it, or as somebody claims it to be."""

    title: str
    authors: tuple[str, ...] = ()
    year: int | None = None
    doi: str = ""  # bare and in lower case: 10.1000/x1
    arxiv: str = ""  # without its version: 2401.00001
    url: str = ""
    abstract: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """A request below a host's address. Never with a key in it: that is added where it is sent."""

    path: str
    params: tuple[tuple[str, str], ...] = ()


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """One answer. `following` is where the next one begins, in the host's own words; empty: there is none."""

    entries: tuple[Entry, ...] = ()
    total: int = 0
    following: str = ""


class Unanswered(Unavailable):
    """A host did not say what it was asked: it cannot be reached, refuses, or answers with something else."""


class Host(Protocol):
    """A module for each: what it is asked and how its answers are read. Nothing in it sends anything."""

    NAME: str
    ADDRESS: str  # where it listens, unless the project names another place
    GAP_S: float  # from one request to the next, as it asks for
    SUFFIX: str  # of its answers, as files
    PAGE: int  # entries of one answer, at most
    MOST: int  # entries of one search, at most
    HEADER: str  # that takes the key; empty: none does
    PARAMETER: str  # the same

    def search(self, terms: tuple[str, ...], at: str, size: int) -> Route:
        """Papers about all of these words; `at` is a page's `following`, or empty."""
        ...

    def look_up(self, claim: Entry) -> tuple[Route, ...]:
        """The ways to find one paper, the surest first; none where this host could not know it."""
        ...

    def covers(self, claim: Entry) -> bool:
        """Whether this host would know the paper if there is one: its silence says something."""
        ...

    def read(self, body: bytes, at: str) -> Page:
        """What an answer says; `Unanswered` where it is none."""
        ...

    def complaint(self, body: bytes) -> str:
        """What it says of a request that it refused, in a few words; empty where it says nothing."""
        ...
