"""Files that are fetched piece by piece, from a host that means no good."""

from __future__ import annotations

import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Unavailable
from lab.tinker import stored

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Host(BaseHTTPRequestHandler):
    """At /drip it sends a byte now and then, at /endless it sends without an end, at /large it announces too much."""

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path != "/endless":
            self.send_header("Content-Length", str(10**12 if self.path == "/large" else 5000))
        self.end_headers()
        pause = threading.Event()
        with suppress(OSError):
            while True:
                self.wfile.write(b"x" if self.path == "/drip" else b"x" * 4096)
                pause.wait(0.02 if self.path == "/drip" else 0)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the library calls
        """Quiet."""


@pytest.fixture
def host() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Host) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_file_that_drips_is_given_up(host: str) -> None:
    with pytest.raises(Unavailable, match=r"bytes in 0\.5 s are too slow"):
        list(stored.pieces(f"{host}/drip", limit_s=0.5))


@pytest.mark.parametrize("path", ["/endless", "/large"])
def test_a_file_without_an_end_fills_no_disk(path: str, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "LARGEST_BYTES", 3 << 20)
    got: list[int] = []
    with pytest.raises(Unavailable, match=r"came to an end after 3,145,728 bytes"):
        got.extend(map(len, stored.pieces(f"{host}{path}", limit_s=20.0)))
    assert sum(got) <= 3 << 20
