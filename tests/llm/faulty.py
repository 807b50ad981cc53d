"""A real HTTP server that says what a test tells it to say, in order, right or wrong; and records what it was sent.

Each answer is a function of the connection, so that it can lie about lengths, drip, hang, or slam the door.
"""

from __future__ import annotations

import contextlib
import json
import select
import socket
import threading
from typing import TYPE_CHECKING, Self

import msgspec

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping

    Say = Callable[["Line"], None]

MANY = 1 << 20


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, object]:
        value = json.loads(self.body)
        assert isinstance(value, dict)
        return value


class Line:
    """A connection on which a request was heard. `ended` is set when the test is over, so that a hang ends too."""

    def __init__(self, sock: socket.socket, ended: threading.Event) -> None:
        self.sock = sock
        self.ended = ended

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def gone(self, wait_s: float) -> bool:
        """Wait a little; whether the test is over or the other side has hung up."""
        if self.ended.wait(wait_s):
            return True
        try:
            self.sock.settimeout(0.001)
            return not self.sock.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


class Faulty:
    """Give it what it is to say: one answer a request, the last one again and again. With `tls`, encrypted."""

    def __init__(self, *says: Say, tls: ssl.SSLContext | None = None) -> None:
        self.says = list(says)
        self._tls = tls
        self.heard: list[Heard] = []
        self._ended = threading.Event()
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self._threads: list[threading.Thread] = []
        self.port: int = self._door.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1" if tls is None else f"https://localhost:{self.port}/v1"

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._door.shutdown(socket.SHUT_RDWR)
        self._door.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                sock, _ = self._door.accept()
            except OSError:
                return
            self._start(lambda sock=sock: self._serve(sock))  # type: ignore[misc]

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.ExitStack() as open_ones:
            open_ones.enter_context(contextlib.suppress(OSError))
            open_ones.enter_context(sock)
            sock.settimeout(10)
            if self._tls is not None:
                sock = open_ones.enter_context(self._tls.wrap_socket(sock, server_side=True))
            heard = _request(sock)
            if heard is None:
                return
            with self._lock:
                say = self.says[min(len(self.heard), len(self.says) - 1)]
                self.heard.append(heard)
            sock.settimeout(30)
            say(Line(sock, self._ended))


def _request(sock: socket.socket) -> Heard | None:
    data = b""
    while b"\r\n\r\n" not in data:
        piece = sock.recv(65536)
        if not piece:
            return None
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        piece = sock.recv(65536)
        if not piece:
            return None
        body += piece
    return Heard(path=first.split(" ")[1], headers=headers, body=body)


def raw(data: bytes) -> Say:
    """Exactly these bytes, then the end of the connection."""
    return lambda line: line.send(data)


def reply(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Say:
    """A whole and honest answer, with these headers more or instead."""
    given = {"Content-Type": "application/json", "Content-Length": str(len(body)), **(headers or {})}
    head = f"HTTP/1.1 {status} Something\r\n" + "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return raw(head.encode() + b"\r\n" + body)


def chat(text: str | None, **more: object) -> Say:
    """A chat completion that says `text`. `finish`, `usage`, `model` and fields of the message can be given."""
    message: dict[str, object] = {"role": "assistant", "content": text}
    finish = more.pop("finish", "stop")
    usage = more.pop("usage", {"prompt_tokens": 100, "completion_tokens": 20})
    model = more.pop("model", "double-1")
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": model,
        "choices": [{"index": 0, "message": message | more, "finish_reason": finish}],
        "usage": usage,
    }
    return reply(200, json.dumps(body).encode())


def proposes(*proposals: Mapping[str, object], **more: object) -> Say:
    """A chat completion with proposals; each gets a hypothesis and an expectation where it has none."""
    full = [{"hypothesis": "it helps", "change": "a step", "expect": {"delta": -0.1}, "parent": None} | dict(each)
            for each in proposals]  # fmt: skip
    return chat(json.dumps({"proposals": full}), **more)


def error(status: int, message: str, headers: Mapping[str, str] | None = None) -> Say:
    """An error as OpenAI words it."""
    return reply(status, json.dumps({"error": {"message": message, "type": "some_error"}}).encode(), headers)


def hang(line: Line) -> None:
    """Say nothing, until the other side has had enough."""
    while not line.gone(0.02):
        pass


def drip(line: Line) -> None:
    """A good beginning, then a byte now and then, for ever."""
    line.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n")
    while not line.gone(0.05):
        line.send(b" ")


def drip_headers(line: Line) -> None:
    """Headers that never end, one after the other."""
    line.send(b"HTTP/1.1 200 OK\r\n")
    number = 0
    while not line.gone(0.05):
        number += 1
        line.send(f"X-{number % 50}".encode())


def flood(line: Line) -> None:
    """More than anybody reads, as one answer without a length."""
    line.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"x":"')
    while not line.gone(0.0):
        line.sock.settimeout(30)
        line.send(b"a" * MANY)


def slam(line: Line) -> None:
    """End the connection without a word."""
    line.sock.shutdown(socket.SHUT_RDWR)


def short(line: Line) -> None:
    """Promise more than is sent."""
    line.send(b'HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{"choices": [')


def bad_chunks(line: Line) -> None:
    """A chunked body whose second length is no number."""
    line.send(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"cho\r\nzz\r\noices\r\n0\r\n\r\n')


def tunnel(port: int) -> Say:
    """Let the other side through to a port of this machine, as a proxy does."""

    def say(line: Line) -> None:
        line.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as far:
            ways = {line.sock: far, far: line.sock}
            while ready := select.select(list(ways), [], [], 10)[0]:
                for one in ready:
                    if not (data := one.recv(65536)):
                        return
                    ways[one].sendall(data)

    return say


def free_port() -> int:
    """A port on which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        port: int = door.getsockname()[1]
        return port
