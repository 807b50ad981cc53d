"""A request as it comes over the wire, taken strictly: what two readers could read in two ways is refused.

One request a connection, so that nothing that follows a body can ever be taken for another request. Sizes and times are
bounded before anything is understood.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping  # msgspec resolves annotations
from typing import TYPE_CHECKING

import msgspec

from lab.web.trouble import Trouble

if TYPE_CHECKING:
    import socket

MOST_LINE_BYTES = 8192  # the request line: method, target, version
MOST_HEAD_BYTES = 32_768
MOST_HEADERS = 100
MOST_BODY_BYTES = 65_536
ARRIVES_WITHIN_S = 10.0  # the whole of it, however slowly it comes
_PIECE = 65_536
# None of them takes a CR or LF that stands alone: some readers take one for the end of a line.
_LINE = re.compile(rb"([A-Z]{1,20}) ([!-~]+) HTTP/([0-9])\.([0-9])")
_HEADER = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)")
_LENGTH = re.compile(r"[0-9]{1,18}")
AUTHORITY = re.compile(r"[A-Za-z0-9.\-_]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")
_ONCE = frozenset({
    "host", "content-length", "transfer-encoding", "content-type", "origin", "cookie", "sec-fetch-site",
    "sec-fetch-mode", "sec-fetch-dest", "last-event-id",
})  # fmt: skip


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the body. `target` is the path with its query, never a whole address."""

    method: str
    target: str
    headers: Mapping[str, str]
    body_bytes: int = 0

    @property
    def host(self) -> str:
        return self.headers["host"].lower()


class Incoming:
    """What comes from one client, read no further than the request goes."""

    def __init__(self, connection: socket.socket, within_s: float = ARRIVES_WITHIN_S) -> None:
        self._connection = connection
        self._until_s = time.monotonic() + within_s
        self._had = bytearray()

    def head(self) -> Head | None:
        """The head; None for who connects and says nothing, as browsers do to be quicker later."""
        while (end := self._had.find(b"\r\n\r\n")) < 0:
            if len(self._had) > MOST_LINE_BYTES and b"\r\n" not in self._had[: MOST_LINE_BYTES + 2]:
                raise _too_long()
            if len(self._had) > MOST_HEAD_BYTES:
                raise _too_much()
            try:
                piece = self._more()
            except TimeoutError:
                if not self._had:
                    return None
                raise
            if not piece:
                if not self._had:
                    return None
                raise _malformed("the request ends in the middle")
        head = bytes(self._had[:end])
        del self._had[: end + 4]
        return parse(head)

    def body(self, count: int) -> bytes:
        """The body, whose length the head told."""
        if count > MOST_BODY_BYTES:
            raise Trouble(413, f"a form has at most {MOST_BODY_BYTES:,} bytes, not {count:,}", fix="say it shorter")
        while len(self._had) < count:
            if not self._more():
                raise _malformed("the request ends in the middle of its body")
        return bytes(self._had[:count])

    def _more(self) -> bytes:
        left_s = self._until_s - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        piece = self._connection.recv(_PIECE)
        self._had += piece
        return piece


def parse(data: bytes) -> Head:
    """The head of a request, without the empty line that ends it. `Trouble` says why it is none."""
    lines = data.split(b"\r\n")
    if len(lines[0]) > MOST_LINE_BYTES:
        raise _too_long()
    if len(data) > MOST_HEAD_BYTES or len(lines) > MOST_HEADERS + 1:
        raise _too_much()
    first = _LINE.fullmatch(lines[0])
    if first is None:
        raise _malformed("the first line is no request line of HTTP/1")
    if first[3] != b"1":
        raise Trouble(505, "this server speaks HTTP/1.1", fix="ask with HTTP/1.1")
    headers = _headers(lines[1:])
    if "host" not in headers or not AUTHORITY.fullmatch(headers["host"]):
        raise _malformed("the request does not say which host it is for, or says it in no way that is one")
    method = first[1].decode()
    length = _length(method, headers)
    return Head(method=method, target=_target(first[2].decode(), headers["host"]), headers=headers, body_bytes=length)


def _headers(lines: list[bytes]) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in lines:
        match = _HEADER.fullmatch(line)
        if match is None:  # also one that begins with a space: the old way to go on with the line before
            raise _malformed("a header is not of the form `Name: value`")
        name, value = match[1].decode().lower(), match[2].decode("latin-1").strip(" \t")
        if name in found and name in _ONCE:
            raise _malformed(f"the header {name} comes twice")
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def _length(method: str, headers: Mapping[str, str]) -> int:
    """How long the body is. There is one way to say it, and whoever says it in two is refused."""
    length = headers.get("content-length")
    if "transfer-encoding" in headers:
        if length is not None:
            raise _malformed("Content-Length and Transfer-Encoding cannot both be")
        raise Trouble(411, "this server takes no body in chunks", fix="say its Content-Length")
    if "expect" in headers:
        raise Trouble(417, "this server expects nothing of itself", fix="send no Expect header")
    if length is None:
        if method == "POST":
            raise Trouble(411, "a POST says how long its body is", fix="say its Content-Length")
        return 0
    if not _LENGTH.fullmatch(length):
        raise _malformed("the Content-Length is no number")
    if int(length) and method != "POST":
        raise _malformed(f"a {method} has no body")
    return int(length)


def _target(given: str, host: str) -> str:
    """The path and the query. A whole address is taken where it is that of the host it was sent to."""
    if given[:7].lower() == "http://":
        authority, slash, rest = given[7:].partition("/")
        if authority.lower() != host.lower():
            raise _malformed("the address and the Host header name two hosts")
        given = slash + rest or "/"
    if not given.startswith("/") or "#" in given:
        raise _malformed("what is asked for is no path")
    return given


def _malformed(why: str) -> Trouble:
    return Trouble(400, f"this is no request that can be read: {why}", fix="ask with a browser, or with curl")


def _too_long() -> Trouble:
    return Trouble(414, f"the address is longer than {MOST_LINE_BYTES:,} bytes", fix="ask for less at once")


def _too_much() -> Trouble:
    what = f"the headers are more than {MOST_HEADERS}, or longer than {MOST_HEAD_BYTES:,} bytes"
    return Trouble(431, what, fix="remove cookies of this host, or headers")
