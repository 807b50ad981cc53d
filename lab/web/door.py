"""What a request is, what an answer is, and which function answers what: between the server and the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from lab.web.site import Site

HTML, JSON, SVG, STREAM, BYTES = (
    "text/html; charset=utf-8",
    "application/json",
    "image/svg+xml",
    "text/event-stream",
    "application/octet-stream",
)


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request that the guard let through. `form` is that of a POST."""

    path: str
    query: Mapping[str, str] = {}  # of a name that comes twice, the last
    form: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}  # names in small letters
    may_write: bool = False  # it came with the session of somebody who knew the token
    csrf: str = ""  # what a form of this session must send back; empty without a session


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. A `stream` is sent as it comes, until it ends or the reader is gone."""

    body: bytes = b""
    status: int = 200
    kind: str = HTML
    stream: Iterator[bytes] | None = None
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[["Site", Request, Mapping[str, str]], Reply]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`/experiments/{experiment}`: a segment in braces takes any one segment, `{name...}` at the end takes the rest."""

    method: str
    path: str
    answer: Answering
    writes: bool = False
