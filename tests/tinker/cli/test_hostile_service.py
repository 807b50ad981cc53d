"""A service that is not ours may answer anything: files that lead elsewhere, that end early, or that are none."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tinker.cli.conftest import Labctl

PATH = "tinker://run:train:0/external_weights/final"


class Files(ThreadingHTTPServer):
    """Answers what the SDK asks before a download, and gives files out. `urls` are what it says there is."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answer)
        self.urls: dict[str, str] = {}

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answer(BaseHTTPRequestHandler):
    server: Files

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self._send(b"{}")

    def do_GET(self) -> None:
        if self.path.endswith("/external_weights_urls"):
            self._send(json.dumps({"urls": self.server.urls, "expires": "2999-01-01T00:00:00Z"}).encode())
        elif self.path.startswith("/cut"):
            self._send(b"half of it", length=1000)
        else:
            self._send(b"whole")

    def _send(self, body: bytes, length: int = 0) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(length or len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  # the name that the library calls
        """Quiet."""


@pytest.fixture
def service() -> Iterator[Files]:
    with Files() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_files_are_fetched_by_the_names_that_the_service_gives(labctl: Labctl, place: Path, service: Files) -> None:
    service.urls = {"a.json": f"{service.url}/a", "below/b.bin": f"{service.url}/b"}
    told = labctl.done("tinker", "download", PATH, "--base-url", service.url, "-o", "out", "--json").data
    assert told["files"] == {"a.json": 5, "below/b.bin": 5}
    assert (place.parent / "out/below/b.bin").read_bytes() == b"whole"


@pytest.mark.parametrize("name", ["../out.txt", "/etc/x", "a/../../x", "a//b", "..", "a\\b"])
def test_a_file_that_would_lead_elsewhere_is_refused(name: str, labctl: Labctl, place: Path, service: Files) -> None:
    service.urls = {name: f"{service.url}/a"}
    said = labctl("tinker", "download", PATH, "--base-url", service.url, "-o", "out")
    assert said.code == 4, said
    assert "which would lead elsewhere" in said.err
    assert list(place.parent.iterdir()) == []


def test_a_file_that_ends_early_leaves_nothing(labctl: Labctl, place: Path, service: Files) -> None:
    service.urls = {"a.json": f"{service.url}/a", "b.bin": f"{service.url}/cut?signed=secret"}
    said = labctl("tinker", "download", PATH, "--base-url", service.url, "-o", "out")
    assert said.code == 5, said
    assert "came to an end after 10" in said.err
    assert "secret" not in said.all
    assert list(place.parent.iterdir()) == []


def test_an_address_that_is_none_of_the_web_is_not_followed(labctl: Labctl, place: Path, service: Files) -> None:
    service.urls = {"a.json": "file:///etc/hostname"}
    said = labctl("tinker", "download", PATH, "--base-url", service.url, "-o", "out")
    assert said.code == 4, said
    assert "an address that is none" in said.err
