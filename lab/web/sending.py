"""An answer as it goes out: its headers, its body, or its stream."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING

from lab.web.trouble import REASONS

if TYPE_CHECKING:
    from lab.web.door import Reply

PIECE_BYTES = 1 << 16
TAKEN_WITHIN_S = 20.0  # a piece that a client does not take for so long was its last
PARTING_S, PARTING_BYTES = 1.0, 1 << 20
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS = (
    ("Content-Security-Policy", POLICY),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),  # with no-referrer a browser says `Origin: null` of our own forms too
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cache-Control", "no-store"),
    ("Connection", "close"),
)


def head_of(reply: Reply) -> bytes:
    """The lines before the body. A stream ends with the connection, so it need not say how long it is."""
    named = {name.lower(): (name, value) for name, value in ALWAYS}
    named["content-type"] = ("Content-Type", reply.kind)
    if reply.stream is None:
        named["content-length"] = ("Content-Length", str(len(reply.body)))
    several: list[tuple[str, str]] = []
    for name, value in reply.headers:
        if name.lower() == "set-cookie":
            several.append((name, value))
        else:
            named[name.lower()] = (name, value)
    lines = [f"HTTP/1.1 {reply.status} {REASONS.get(reply.status, 'Unknown')}"]
    for name, value in (*named.values(), *several):
        if not (name + value).isprintable():  # a line end in it would begin a header of somebody else's
            raise ValueError(f"the header {name} has something in it that no header has")
        lines.append(f"{name}: {value}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", errors="replace")


def send(connection: socket.socket, reply: Reply, *, is_head: bool) -> None:
    """Send all of it. A stream is sent piece by piece, until it ends or the client is gone."""
    head = head_of(reply)
    connection.settimeout(TAKEN_WITHIN_S)
    if reply.stream is None or is_head:
        _send(connection, head if is_head else head + reply.body)
        return
    _send(connection, head)
    for piece in reply.stream:
        if piece:
            _send(connection, piece)
        elif is_gone(connection):
            return


def _send(connection: socket.socket, data: bytes) -> None:
    """In pieces, each in its time: a slow line may take as long as it needs, as long as it takes something."""
    whole = memoryview(data)
    for start in range(0, len(whole), PIECE_BYTES):
        connection.sendall(whole[start : start + PIECE_BYTES])


def is_gone(connection: socket.socket) -> bool:
    """Whether the client has closed its end. A stream that only waits would learn of it from nobody."""
    connection.settimeout(0)  # with a timeout, Python waits for it before it asks the kernel
    try:
        return not connection.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    finally:
        connection.settimeout(TAKEN_WITHIN_S)


def part(connection: socket.socket) -> None:
    """Close it so that the answer arrives: with bytes unread, closing would take back what was sent."""
    until_s = time.monotonic() + PARTING_S
    left = PARTING_BYTES
    try:
        connection.shutdown(socket.SHUT_WR)
        while left > 0 and (left_s := until_s - time.monotonic()) > 0:
            connection.settimeout(left_s)
            piece = connection.recv(65_536)
            if not piece:
                break
            left -= len(piece)
    except OSError:  # it went first, or takes its time
        pass
    finally:
        connection.close()
