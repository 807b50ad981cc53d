# ruff: noqa: E501, ISC004  # an input or a row of a table stands on one line
"""What comes over a wire or a pipe: requests to `labctl serve`, to the local training server, and to the MCP server."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING

from lab.cli.watching import keys
from lab.core.errors import LabError
from lab.mcp import answers, call, messages, tools
from lab.scheduler import create
from lab.testing.files import a_root
from lab.tinker.local import calls
from lab.tinker.local.server import Door
from lab.tinker.local.server import _Connection as _TrainingConnection
from lab.web import asked, lists, pages, routing, wire
from lab.web.places import Place
from lab.web.server import Server
from lab.web.site import Site
from lab.web.trouble import Trouble
from scripts.trial.fuzzing import place
from scripts.trial.fuzzing.target import Target, chosen, promise

if TYPE_CHECKING:
    from lab.store.root import Root

SPEC = b"id: lr-sweep\nmetric: loss\nmetric_direction: minimize\ncadence: 30m\nexecutor: stub\n"
_PORT = 8765
_COOKIE = "%COOKIE%"
_GETS = tuple(
    f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:%PORT%\r\n{more}\r\n".encode()
    for target, more in (
        ("/", "Accept: text/html\r\n"), ("/experiments/lr-sweep?q=lr%3E1&sort=value&page=2", "Cookie: a=b; %COOKIE%\r\n"),
        ("/experiments/lr-sweep/runs", "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\n"), ("/login?next=//x", ""),
        ("http://127.0.0.1:%PORT%/index.json", "Last-Event-ID: 12-3-4\r\n"), ("/..%2f..%2fetc/passwd", "Accept-Encoding: gzip\r\n"),
    )
)  # fmt: skip
_POSTS = (
    b"POST /login HTTP/1.1\r\nHost: localhost:%PORT%\r\nOrigin: http://localhost:%PORT%\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 13\r\n\r\ntoken=a&next=/",
    b"POST /experiments/lr-sweep/pause HTTP/1.1\r\nHost: localhost:%PORT%\r\nOrigin: http://localhost:%PORT%\r\nCookie: %COOKIE%\r\n"
    b"Content-Type: application/x-www-form-urlencoded; charset=UTF-8\r\nContent-Length: 17\r\n\r\ncsrf=x&reason=a+b",
    b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
)
_WORDS = (
    "Host: evil.example\r\n", "Host: ", "Content-Length: 5\r\n", "Transfer-Encoding: chunked\r\n", "\r\n\r\n", "GET ", "POST ", "HEAD ",
    "OPTIONS ", " HTTP/1.1\r\n", " HTTP/1.0\r\n", " HTTP/2.0\r\n", "http://evil.example/", "%2e%2e/", "%00", "%", "?", "#", "&", ";", "+",
    "Expect: 100-continue\r\n", "Cookie: %COOKIE%\r\n", "Sec-Fetch-Site: same-site\r\n", "Range: bytes=0-1\r\n", "%PORT%", "[::1]:%PORT%",
)  # fmt: skip


@cache
def lab() -> Root:
    """A lab with an experiment, whose pages are asked for."""
    root = a_root(place.fresh("served"))
    create.make_lab(root)
    create.experiment(root, place.file("spec/SPEC.yaml", SPEC), actor="ann")
    return root


@cache
def _server() -> Server:
    """Never run: what it does with a connection is called, without a thread."""
    site = Site(lab(), actor="ann")
    return Server(site, pages.ROUTES)


class _Connection:
    """As much of a socket as a request needs: what came, and then the end; what is sent is kept."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.sent = b""

    def getsockname(self) -> tuple[str, int]:
        return ("127.0.0.1", _server().port)

    def settimeout(self, seconds: float | None) -> None:
        del seconds

    def recv(self, count: int, flags: int = 0) -> bytes:
        piece = self._data[:count]
        if not flags & socket.MSG_PEEK:
            self._data = self._data[count:]
        return piece

    def sendall(self, data: bytes | memoryview) -> None:
        self.sent += bytes(data)
        if len(self.sent) > 1 << 20:  # a stream that does not end
            raise BrokenPipeError

    def shutdown(self, how: int) -> None:
        del how

    def close(self) -> None:
        """Nothing is held."""


def _http(data: bytes) -> None:
    """One request, one answer of HTTP: never a fault of ours, and no page for a name that is not this server's."""
    server = _server()
    given = data.replace(b"%PORT%", str(server.port).encode()).replace(
        _COOKIE.encode(), f"labctl_{server.port}=x".encode()
    )
    connection = _Connection(given)
    told: list[str] = []
    server._site.tell = told.append  # noqa: SLF001  # what it says where it was started
    server._attend(Place(connection))  # type: ignore[arg-type]  # noqa: SLF001  # as much of a socket as it uses
    promise(not any("itself failed" in line for line in told), f"the server failed: {told[:1]}")
    said = connection.sent
    if not said:
        return
    head, _, body = said.partition(b"\r\n\r\n")
    first = head.partition(b"\r\n")[0]
    promise(first.startswith(b"HTTP/1.1 ") and first[9:12].isdigit(), f"an answer that is no HTTP: {said[:60]!r}")
    promise(b"\nHTTP/1.1 " not in said[9:] or b"stream" in head, "two answers to one connection")
    status = int(first[9:12])
    promise(status != 500, "an answer of 500")  # noqa: PLR2004  # a fault of ours
    try:
        heard = wire.parse(given.partition(b"\r\n\r\n")[0])
    except Trouble:
        promise(status >= 400, "what is no request was answered as one")  # noqa: PLR2004  # refusals
        return
    known = heard.host in {f"{host}:{server.port}" for host in ("127.0.0.1", "localhost", "[::1]")}
    promise(known or status >= 400, f"{status} to the host {heard.host}")  # noqa: PLR2004  # as above
    promise(heard.method in ("GET", "HEAD", "POST") or status >= 400, f"{status} to {heard.method}")  # noqa: PLR2004  # as above
    promise(heard.method != "HEAD" or not body, "a body to a HEAD")


def _query(data: bytes) -> None:
    """What is typed into an address or a filter: taken apart, and nothing in it can lead elsewhere."""
    at, rest = chosen(data, 3)
    words = rest.decode(errors="replace")
    if at == 0:
        found = asked.parse(words)
        promise(len(found.terms) <= asked.MOST_TERMS, "more terms than are looked for")
    elif at == 1:
        path, query = routing.split(f"/{words}")
        for segment in routing.segments(path):
            promise(segment not in ("", ".", "..") and not set(segment) & set("/\\\0"), f"a segment {segment!r}")
        lists.question(query)
    else:
        keys.parsed(words)


def _training(data: bytes) -> None:
    """The body of a request to the local training server: its model and its number, or why it has none."""
    at, rest = chosen(data, 4)
    encoding = ("identity", "zstd", "gzip", "identity")[at]
    path = "/sample" if at == 3 else calls.PROTOBUF_PATH  # noqa: PLR2004  # JSON
    made = calls.Call(
        method="POST",
        path=path,
        headers={"content-encoding": encoding},
        body=rest,
        query={"limit": rest[:9].decode("latin-1")},
    )
    with suppress(calls.Refusal):
        made.number("limit", 1, most=100)
    model, number = calls.address(made)
    promise(model == model.strip("\0") or number is None or number >= 0, "an address that is none")


class _Door:
    """As much of the training server as answers before any model is asked: it has no route."""

    debug = False
    routes: tuple[()] = ()

    def __init__(self) -> None:
        self.parts = self
        self.said: list[str] = []

    def say(self, words: str) -> None:
        self.said.append(words)

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> calls.Reply:
        return Door.answer(self, method, target, headers, body)  # type: ignore[arg-type]  # as much of one as is used


class _TrainingPipe(_TrainingConnection):
    disable_nagle_algorithm = False  # a pair of sockets has none
    timeout = 5.0


def _drained(end: socket.socket, pieces: list[bytes]) -> None:
    while piece := end.recv(65_536):
        pieces.append(piece)


def _training_http(data: bytes) -> None:
    """Bytes of a client of the training server: each request has an answer in words, and none of them is a fault."""
    here, there = socket.socketpair()
    door = _Door()
    pieces: list[bytes] = []
    with here, there:
        here.settimeout(5.0)
        here.sendall(data[:60_000])
        here.shutdown(socket.SHUT_WR)
        reading = threading.Thread(target=_drained, args=(here, pieces), daemon=True)  # answers may fill the pipe
        reading.start()
        _TrainingPipe(there, ("127.0.0.1", 1), door)  # type: ignore[arg-type]  # the same
        there.shutdown(socket.SHUT_RDWR)
        reading.join()
    said = b"".join(pieces)
    promise(not door.said, f"the server failed: {door.said[:1]}")
    promise(b" 200 " not in said.partition(b"\r\n")[0], "a page of a server that has none")


def _mcp(data: bytes) -> None:
    """Lines of a client: an answer or a refusal of the protocol for each, as one line of JSON."""
    lines = messages.Lines()
    for line in (*lines.feed(data), *lines.feed(b"\n")):
        if line is None or not line.strip():
            continue
        value: object = None
        try:
            value = messages.decode(line)
            for each in value if isinstance(value, list) else [value]:
                _message(messages.read(each))
        except messages.Refusal as refusal:
            said = messages.encode(messages.failure(messages.id_of(value), refusal))
            promise(
                said.count(b"\n") == 1 and json.loads(said)["error"]["message"], "a refusal that is no line of JSON"
            )


def _message(request: messages.Request | None) -> None:
    if request is None or request.id is None:
        return
    if request.modern:
        messages.check_version(request)
    if request.method == "tools/call":
        tool = tools.find(request.params.get("name"))
        given = request.params.get("arguments", {})
        fault = call.faults(tool, given) if tool is not None else "no tool"
        if tool is not None and not fault and isinstance(given, dict):
            argv = tool.words(given, lab().layout.root)
            promise(all("\0" not in word for word in argv), "a zero byte on a command line")
        return
    said = messages.encode(messages.result(request.id, answers.at_once(request, lab().layout.root)))
    promise(said.count(b"\n") == 1, "an answer of two lines")


_META = '{"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}'
_MCP = tuple(
    f'{{"jsonrpc": "2.0", "id": {number}, "method": "{method}", "params": {params}}}\n'.encode()
    for number, (method, params) in enumerate((
        ("initialize", '{"protocolVersion": "2025-06-18"}'), ("tools/list", "{}"), ("resources/read", '{"uri": "lab://experiments/lr-sweep/SPEC.yaml"}'),
        ("tools/call", '{"name": "lab_status", "arguments": {}}'), ("resources/list", f'{{"_meta": {_META}, "cursor": null}}'),
        ("tools/call", '{"name": "lab_run_once", "arguments": {"experiment": "lr-sweep", "now": true, "n": 1}}'),
    ))
)  # fmt: skip

TARGETS = (
    Target(
        name="http",
        what="requests to `labctl serve`: request lines, headers, chunks, cookies, forms, event ids",
        read=_http,
        seeds=(*_GETS, *_POSTS),
        words=_WORDS,
        most=40_000,
        reads=("lab.web.wire", "lab.web.routing", "lab.web.guard", "lab.web.server"),
    ),
    Target(
        name="queries",
        what="filters, addresses and keys that are typed",
        read=_query,
        head=1,
        raises=(LabError, Trouble),
        seeds=(
            b'\x00warm up -crash value<0.3 took>10m kind:"a b" lr>=1e-4',
            b"\x01experiments/lr%20sweep?sort=-value&page=2&q=a+b",
            b"\x02ab\x1b[A\x1bOB\x1b[1;5Cq",
        ),
        words=("<", ">=", ":", '"', "-", "%2e%2e", "%2F", "&", "\x1b[", "\x1bO"),
        reads=("lab.web.asked", "lab.web.routing", "lab.cli.watching.keys"),
    ),
    Target(
        name="training",
        what="bodies of requests to the local training server",
        read=_training,
        head=1,
        raises=(calls.Refusal,),
        seeds=(
            b"\x00\x0a\x07model-1\x10\x05\x1a\x03abc",
            b"\x01\x28\xb5\x2f\xfd\x04\x58\x61\x00\x00\x0a\x07model-1\x10\x05\x1b\x2f",
            b'\x03{"model_id": "model-1", "seq_id": 4, "x": NaN}',
        ),
        words=("\x0a", "\x10", "model_id", "seq_id"),
        reads=("lab.tinker.local.calls",),
    ),
    Target(
        name="training-http",
        what="requests to the local training server",
        read=_training_http,
        raises=(),
        most=30_000,
        seeds=(
            b"POST /api/v1/sample HTTP/1.1\r\nHost: localhost:8100\r\nX-API-Key: tml-local\r\nContent-Length: 2\r\n\r\n{}",
            b"GET /api/v1/healthz?a=b HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\nGET //[ HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ),
        words=(
            "Content-Length: 5\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Host: evil\r\n",
            "\r\n\r\n",
            "GET //[x HTTP/1.1\r\n",
            " HTTP/1.1\r\n",
        ),
        reads=("lab.tinker.local.server", "lab.tinker.local.routing"),
    ),
    Target(
        name="mcp",
        what="lines of an MCP client",
        read=_mcp,
        seeds=(*_MCP, b"".join(_MCP)),
        raises=(),
        words=(
            "jsonrpc",
            "id",
            "method",
            "params",
            "_meta",
            "tools/call",
            "arguments",
            "resources/read",
            "lab://",
            "cursor",
            "uri",
        ),
        reads=("lab.mcp.messages", "lab.mcp.arguments", "lab.mcp.answers", "lab.mcp.pages", "lab.core.json_text"),
    ),
)
