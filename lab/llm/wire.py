"""A connection that ends when it must: at the deadline, or when a person stops it.

The timeouts of the standard library are per operation: a name that does not resolve, a byte every second or headers
without end would hold a caller for ever. Here every wait goes through one place, in slices of a fraction of a second.
"""

from __future__ import annotations

import errno
import io
import os
import select
import socket
import threading
import time
from functools import cache
from typing import TYPE_CHECKING, TypeVar

from lab.llm.exchange import STOPPED, TIMEOUT, UNREACHABLE

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from typing import BinaryIO

    from lab.llm.transport import Stop

T = TypeVar("T")
SLICE_S = 0.2  # after so long a stop is noticed
_PIECE = 1 << 16
_WANTED = {"SSLWantReadError": select.POLLIN, "SSLWantWriteError": select.POLLOUT}


class Broken(Exception):
    """A call came to nothing. `problem` is a word of lab.llm.exchange.

    `unsent`: the service has seen nothing of it, so that it cost nothing. `again`: the next try may go better.
    """

    def __init__(self, problem: str, what: str, *, unsent: bool = False, again: bool = False) -> None:
        super().__init__(what)
        self.problem = problem
        self.what = what
        self.unsent = unsent
        self.again = again


class Patience:
    """How long a caller waits: until a moment of time.monotonic, or until `stop` says so."""

    def __init__(self, until: float, stop: Stop) -> None:
        self._until = until
        self._stop = stop
        self._began = time.monotonic()

    def left_s(self) -> float:
        """Seconds that are left, above 0; `Broken` when there are none, or a person stopped it."""
        if self._stop():
            raise Broken(STOPPED, "it was interrupted")
        left = self._until - time.monotonic()
        if left <= 0:
            given = max(0.0, self._until - self._began)
            raise Broken(TIMEOUT, f"there was no whole answer within the {given:.3g}s that were left for it")
        return left


class Wire:
    """A socket as far as http.client needs one: to send, to read from, and not to close before the answer is read."""

    def __init__(self, sock: socket.socket, patience: Patience) -> None:
        self._sock = sock
        self._patience = patience

    def secure(self, host: str, context: ssl.SSLContext) -> None:
        """Go on encrypted. `host` is the name that the certificate must have."""
        wrapped = context.wrap_socket(self._sock, server_hostname=host, do_handshake_on_connect=False)
        self._sock = wrapped
        self._ready(wrapped.do_handshake)

    def sendall(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                piece = view[:_PIECE]
                sent = self._ready(lambda piece=piece: self._sock.send(piece), select.POLLOUT)  # type: ignore[misc]
                view = view[sent:]
        except (BrokenPipeError, ConnectionResetError):
            # A service that refuses a request need not read it to its end: its answer says why.
            return

    def makefile(self, mode: str = "rb", *_: object) -> BinaryIO:
        del mode
        return io.BufferedReader(_Reader(self), _PIECE)

    def receive(self, buffer: memoryview) -> int:
        return self._ready(lambda: self._sock.recv_into(buffer), select.POLLIN)

    def close(self) -> None:
        """Nothing: http.client closes the socket while the body is still to be read. `hang_up` is the end."""

    def hang_up(self) -> None:
        self._sock.close()

    def _ready(self, call: Callable[[], T], event: int = select.POLLIN) -> T:
        """Call until it need not wait. Asked before every piece too: a byte a second never waits for long."""
        while True:
            self._patience.left_s()
            try:
                return call()
            except BlockingIOError:
                wait(self._sock, event, self._patience)
            except OSError as error:
                # Encrypted, a read may have to write first. By their names: ssl is loaded only where it is used.
                wanted = _WANTED.get(type(error).__name__)
                if wanted is None:
                    raise
                wait(self._sock, wanted, self._patience)


class _Reader(io.RawIOBase):
    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        return self._wire.receive(memoryview(buffer))  # type: ignore[arg-type]  # what BufferedReader hands down


def wait(sock: socket.socket, event: int, patience: Patience) -> None:
    """Wait until a socket can be read or written."""
    poll = select.poll()
    poll.register(sock, event)
    while not poll.poll(min(SLICE_S, patience.left_s()) * 1000):
        pass


def connect(host: str, port: int, patience: Patience) -> Wire:
    """A connection to the first address of `host` that answers. Each but the last gets a share of the time only."""
    addresses = _addresses(host, port, patience)
    why = ""
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = patience.left_s() / (len(addresses) - index)
        sock = socket.socket(family, kind, protocol)
        try:
            why = _opened(sock, address, patience, until=time.monotonic() + share_s)
        except BaseException:
            sock.close()
            raise
        if not why:
            return Wire(sock, patience)
        sock.close()
    patience.left_s()
    raise Broken(UNREACHABLE, f"nothing answers at {host}:{port}: {why or 'it has no address'}", unsent=True)


def _opened(sock: socket.socket, address: object, patience: Patience, *, until: float) -> str:
    """Connect a socket; why it cannot be, or an empty string."""
    sock.setblocking(False)  # noqa: FBT003  # the only form there is
    code = sock.connect_ex(address)  # type: ignore[arg-type]  # as getaddrinfo gave it
    if code == errno.EINPROGRESS:
        poll = select.poll()
        poll.register(sock, select.POLLOUT)
        while not poll.poll(min(SLICE_S, patience.left_s()) * 1000):
            if time.monotonic() > until:
                return "it takes too long"
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    if code:
        return os.strerror(code)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return ""


Address = tuple[socket.AddressFamily, socket.SocketKind, int, str, object]


def _addresses(host: str, port: int, patience: Patience) -> list[Address]:
    """The addresses of a name. A resolver cannot be interrupted: it is asked in a thread, and left behind when late."""
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST))
    except (OSError, UnicodeError):
        pass  # a name
    found: list[Address] = []
    why: list[str] = []

    def resolve() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            why.append(getattr(error, "strerror", None) or str(error))

    thread = threading.Thread(target=resolve, name="labctl-resolve", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(min(SLICE_S, patience.left_s()))
    if why:
        raise Broken(UNREACHABLE, f"the name {host} cannot be resolved: {why[0]}", unsent=True)
    return found


@cache
def trusted(cafile: str, capath: str) -> ssl.SSLContext:
    """Whom to believe; the system's authorities where nothing is named. Read once, which takes some 20 ms."""
    import ssl  # noqa: PLC0415  # a model on this machine needs none

    return ssl.create_default_context(cafile=cafile or None, capath=capath or None)
