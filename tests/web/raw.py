"""A client that says exactly what a test tells it to, byte for byte; and a visitor who behaves like a browser."""

from __future__ import annotations

import re
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from lab.web.door import Reply, Route
from lab.web.server import Server
from lab.web.site import Site

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lab.store.root import Root
    from lab.web.door import Request

PATIENCE_S = 20.0


class Heard(NamedTuple):
    """What a server answered."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes

    @property
    def text(self) -> str:
        return self.body.decode()


def spoken(port: int, data: bytes, *, host: str = "127.0.0.1") -> bytes:
    """All that is answered to these bytes until the server hangs up."""
    with socket.create_connection((host, port), timeout=PATIENCE_S) as connection:
        with suppress(BrokenPipeError, ConnectionResetError):
            connection.sendall(data)
        return rest(connection)


def rest(connection: socket.socket) -> bytes:
    """What comes until the server hangs up."""
    found = b""
    with suppress(ConnectionResetError):
        while piece := connection.recv(65_536):
            found += piece
    return found


def heard(raw: bytes) -> Heard:
    """An answer taken apart. There is exactly one, and each header is a line of its own."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    found = re.fullmatch(r"HTTP/1\.1 (\d{3}) [A-Z][A-Za-z -]+", first)
    assert found, raw[:200]
    pairs = [line.split(": ", 1) for line in lines]
    headers = {name.lower(): value for name, value in pairs}
    assert len(headers) == len(pairs), lines
    return Heard(int(found[1]), headers, body, raw)


def asked(server: Server, line: str, *headers: str, body: bytes = b"", host: str = "") -> Heard:
    """`asked(server, "GET /")`: a well-formed request, with one header a word."""
    lines = [f"{line} HTTP/1.1", f"Host: {host or f'127.0.0.1:{server.port}'}", *headers]
    return heard(spoken(server.port, "\r\n".join([*lines, "", ""]).encode() + body))


class Visitor:
    """Somebody with a browser: keeps a cookie, says where a form comes from."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.cookie = ""

    def get(self, path: str, *headers: str) -> Heard:
        return asked(self.server, f"GET {path}", "Accept: text/html", *self._kept(), *headers)

    def post(self, path: str, form: Mapping[str, str], *headers: str) -> Heard:
        body = "&".join(f"{quote(name)}={quote(value, safe='')}" for name, value in form.items()).encode()
        ours = (
            f"Origin: http://127.0.0.1:{self.server.port}", "Content-Type: application/x-www-form-urlencoded",
            f"Content-Length: {len(body)}", "Accept: text/html", *self._kept(),
        )  # fmt: skip
        given = {header.partition(":")[0] for header in headers}
        kept = [header for header in ours if header.partition(":")[0] not in given]
        return asked(
            self.server, f"POST {path}", *kept, *(each for each in headers if each.partition(": ")[2]), body=body
        )

    def log_in(self, token: str, then: str = "/") -> Heard:
        said = self.post("/login", {"token": token, "next": then})
        if "set-cookie" in said.headers:
            self.cookie = said.headers["set-cookie"].partition(";")[0]
        return said

    def _kept(self) -> tuple[str, ...]:
        return (f"Cookie: {self.cookie}",) if self.cookie else ()


def whoami(site: Site, request: Request, names: Mapping[str, str]) -> Reply:
    """A page for tests: what the server made of the request."""
    del site
    said = "\n".join([request.path, repr(dict(request.query)), repr(dict(names)), str(request.may_write), request.csrf])
    return Reply(body=said.encode())


PAGES: tuple[Route, ...] = (
    Route(method="GET", path="/", answer=whoami),
    Route(method="GET", path="/any/{one}", answer=whoami),
    Route(method="GET", path="/rest/{all...}", answer=whoami),
)


@contextmanager
def serving(
    root: Root,
    routes: Sequence[Route] = (),
    *,
    told: list[str] | None = None,
    private: bool = False,
    debug: bool = False,
) -> Iterator[tuple[Server, Site]]:
    """A server on a port that is free, beside the test."""
    site = Site(root, actor="ann", tell=(told if told is not None else []).append)
    with Server(site, (*routes, *PAGES), private=private, debug=debug) as server:
        yield server, site


def csrf_of(visitor: Visitor) -> str:
    """What a page of this session would put into its forms."""
    return visitor.get("/").text.split("\n")[4]
