"""The server: HTTP/1.1 on loopback, a thread for each connection, and nothing that fails reaches a client but words.

It checks that a request comes from this machine and shows a key, and hands it to its route. Loopback only: it runs what
it is told by whoever reaches it, and has no users.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from lab.core.errors import BadInput, Unavailable
from lab.tinker.local import routing
from lab.tinker.local.calls import LARGEST_BYTES, Call, Refusal, Reply, complaint, refuse, worded
from lab.tinker.local.faults import Dropped
from lab.tinker.local.greeting import KEY_PREFIX
from lab.tinker.local.training import UserError

IDLE_CONNECTION_S = 120.0
LINGER_S = 2.0
_LENGTH_DIGITS = 18  # of a length that can be: Python reads none of 5,000


class Door(ThreadingHTTPServer):
    """Listens from the moment it is made; answers from `open` to `close`."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, parts: routing.Parts, *, host: str, port: int) -> None:
        _only_loopback(host)
        self.routes = routing.table(parts)
        self.parts = parts
        try:
            super().__init__((host, port), _Connection)
        except (OSError, OverflowError) as error:
            fix = "give a free one with --port, or --port 0 for any"
            raise Unavailable(f"cannot listen on port {port}: {error}", where=host, fix=fix) from error
        self.url = f"http://{host}:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.1,), name="door", daemon=True)

    def server_bind(self) -> None:
        """Without the look-up of our own name, which can take seconds."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = self.server_address[:2]  # type: ignore[assignment]  # IPv4

    def open(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Take nothing more, finish the job that runs, and let everybody go."""
        self.shutdown()
        self.server_close()
        self.parts.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that went away in the middle is no news."""

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply:
        """The answer to a request. Raises Dropped where a fault wants the connection cut."""
        try:
            parts = urlsplit(target)
        except ValueError:  # `http://[x`
            return refuse(400, "what is asked for is no address")
        path = unquote(parts.path)
        below = path.removeprefix(routing.API)
        try:
            _check(headers, path, below)
            route, arguments = routing.find(self.routes, method, below)
            query = dict(parse_qsl(parts.query))
            call = Call(method=method, path=below, arguments=arguments, query=query, headers=headers, body=body)
            fault = None if below.startswith("/_") else self.parts.strike(call)
            reply = route.handle(call)
        except Refusal as refusal:
            return refuse(refusal.status, refusal.detail)
        except UserError as error:
            return refuse(400, str(error))
        except Dropped:
            raise
        except Exception as error:  # noqa: BLE001  # one request that fails must not end its connection without a word
            self.parts.say(complaint(f"{method} {below}", error, trace=self.parts.debug))
            return refuse(500, worded(error))
        if fault is not None and fault.drop == "after":
            raise Dropped
        return reply


class _Connection(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # an answer is small and somebody waits for it
    wbufsize = -1  # head and body leave together
    timeout = IDLE_CONNECTION_S
    server: Door
    server_version = "labctl-tinker-local"
    sys_version = ""

    def _take(self) -> None:
        body = self._body()
        if body is None:
            return
        headers = {name.lower(): value for name, value in self.headers.items()}
        try:
            self._send(self.server.answer(self.command, self.path, headers, body))
        except Dropped:
            self.close_connection = True
            with suppress(OSError):
                self.connection.shutdown(socket.SHUT_RDWR)

    def _body(self) -> bytes | None:
        """What was sent, or None where it was refused unread: then nothing more can be read from this connection."""
        length = self.headers.get("Content-Length", "0")
        refusal = None
        if "Transfer-Encoding" in self.headers or not length.isdecimal() or len(length) > _LENGTH_DIGITS:
            refusal = refuse(411, "the body comes with its Content-Length")
        elif int(length) > LARGEST_BYTES:
            refusal = refuse(413, f"the body is more than {LARGEST_BYTES >> 20} MiB; send the batch in parts")
        if refusal is not None:
            self.close_connection = True
            self._send(refusal)
            self._read_on()
            return None
        body = self.rfile.read(int(length))
        return body if len(body) == int(length) else None

    def _read_on(self) -> None:
        """Let a client that is still sending finish, within bounds: cut off, it would never read why it was refused."""
        with suppress(OSError):
            self.connection.settimeout(LINGER_S)
            self.connection.shutdown(socket.SHUT_WR)
            left = 2 * LARGEST_BYTES
            while left > 0 and (piece := self.rfile.read1(1 << 16)):
                left -= len(piece)

    def _send(self, reply: Reply) -> None:
        if reply.file:
            with open(reply.file, "rb") as file:
                size = file.seek(0, 2)
                file.seek(0)
                self._head(reply, size)
                self.wfile.flush()
                self.connection.sendfile(file)
            return
        self._head(reply, len(reply.body))
        self.wfile.write(reply.body)
        self.wfile.flush()

    def _head(self, reply: Reply, length: int) -> None:
        self.send_response(reply.status)
        if reply.status != 204:  # noqa: PLR2004  # no content
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(length))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = _take  # noqa: N815  # the names that the standard library calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the same
        """Quiet."""


def _only_loopback(host: str) -> None:
    if not _is_here(host):
        fix = "leave the address out; from another machine come through ssh -L"
        raise BadInput(f"the local server listens on this machine alone, never on {host}", fix=fix)


def _is_here(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.IPv4Address(host).is_loopback
    except ValueError:
        return False


def _check(headers: dict[str, str], path: str, below: str) -> None:
    """Refuse what shows no key, and what a page of a browser sends after its name was made to point here."""
    name = headers.get("host", "").partition(":")[0]
    if not _is_here(name):
        raise Refusal(403, f"this server is called localhost or 127.0.0.1, not {name!r}")
    if not path.startswith(routing.API + "/"):
        raise Refusal(404, f"everything here is below {routing.API}")
    if not below.startswith(routing.OPEN) and not headers.get("x-api-key", "").startswith(KEY_PREFIX):
        raise Refusal(401, f"no key: the header X-API-Key holds one that starts with {KEY_PREFIX}")
