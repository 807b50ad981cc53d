"""A line to a server that can be cut: every connection ends, new ones are refused, until it is mended."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType


class Line:
    """Carries bytes both ways, as they are."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._there = (parts.hostname or "127.0.0.1", parts.port or 80)
        self._guard = threading.Lock()
        self._ends: list[socket.socket] = []
        self._door: socket.socket | None = None
        self._port = 0
        self._mend: threading.Timer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> Self:
        self.mend()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._mend is not None:
            self._mend.cancel()
        self.cut()

    def mend(self) -> None:
        door = socket.create_server(("127.0.0.1", self._port), reuse_port=False)
        self._port = door.getsockname()[1]
        with self._guard:
            self._door = door
        threading.Thread(target=self._listen, args=(door,), daemon=True).start()

    def cut(self, for_s: float | None = None) -> None:
        """End everything; mended by itself after so long."""
        with self._guard:
            ends, self._ends = self._ends, []
            door, self._door = self._door, None
        if door is not None:
            with suppress(OSError):
                door.shutdown(socket.SHUT_RDWR)
            door.close()
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
        if for_s is not None:
            self._mend = threading.Timer(for_s, self.mend)
            self._mend.start()

    def _listen(self, door: socket.socket) -> None:
        while True:
            try:
                here, _ = door.accept()
                there = socket.create_connection(self._there)
            except OSError:
                return
            with self._guard:
                if self._door is not door:
                    here.close()
                    there.close()
                    return
                self._ends += [here, there]
            for source, target in ((here, there), (there, here)):
                threading.Thread(target=_carry, args=(source, target), daemon=True).start()


def _carry(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while piece := source.recv(1 << 16):
            target.sendall(piece)
        target.shutdown(socket.SHUT_WR)
