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

    path: str  # as it was asked for, escapes and all; without the query
    query: Mapping[str, str] = {}  # of a name that comes twice, the last
    form: Mapping[str, str] = {}
    headers: Mapping[str, str] = {}  # names in small letters
    may_write: bool = False  # it came with the session of somebody who knew the token
    csrf: str = ""  # what a form of this session must send back; empty without a session
    session: str = ""  # which session it is, for who ends it


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer. A `stream` is sent as it comes, until it ends or the reader is gone; then its `close` is called.

    An empty piece of a stream sends nothing, and asks whether the reader is still there: who waits for news yields one
    a second. One that `ends` by itself, as soon as it is made, is a page like others, and takes no place of those that
    last. A header of a name that every answer has takes its place.
    """

    body: bytes = b""
    status: int = 200
    kind: str = HTML
    stream: Iterator[bytes] | None = None
    ends: bool = False
    headers: tuple[tuple[str, str], ...] = ()


Answering = Callable[["Site", Request, Mapping[str, str]], Reply]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """`/experiments/{experiment}`: a segment in braces takes any one segment, `{name...}` at the end takes the rest.

    What a name takes is decoded once, is never empty, `.` or `..`, and has no slash, backslash or control in it; the
    rest is such segments with slashes between. The first that fits answers; a GET also answers HEAD. `writes`: only
    with a session and its CSRF token. `open`: also where reading asks for a session.
    """

    method: str
    path: str
    answer: Answering
    writes: bool = False
    open: bool = False
