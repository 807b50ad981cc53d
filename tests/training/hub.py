"""A double of the Hugging Face hub: real HTTP, real parquet files, and on demand what goes wrong on the way.

It answers the listing in pages, as the hub does, sends who wants a file on to another address, and speaks Range. The
hub's own client library understands it, which a test says.
"""

from __future__ import annotations

import hashlib
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import corpora
import pyarrow as pa  # type: ignore[import-untyped]
from pyarrow import parquet

from tests.training import texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PAGE = 3


def shard(path: Path, seed: int, documents: int = 60) -> bytes:
    """A file as the hub's: a column `text`, several row groups, zstd."""
    table = pa.table({"text": texts.documents(documents, seed=seed)})
    parquet.write_table(table, path, row_group_size=16, compression="zstd")
    return path.read_bytes()


class Hub(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.files = files
        self.sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
        self.faults: dict[str, list[Any]] = {}  # of a file: what goes wrong with one answer after the other
        self.asked: list[tuple[str, str]] = []  # (path, Range)
        self.sent = 0
        self.ranges = True
        self.links_to = "https://huggingface.co"  # as a mirror that passes on what the hub says
        self.stalled = threading.Event()
        self.go_on = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is part of the game."""

    def fetched(self, name: str) -> list[str]:
        """The Range headers with which a file was asked for; an empty one is the whole."""
        return [asked for path, asked in self.asked if path == f"/cdn/{name}"]


class Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.server.asked.append((url.path, self.headers.get("Range") or ""))
        resolve = f"/datasets/{corpora.REPOSITORY}/resolve/main/"
        if url.path == f"/api/datasets/{corpora.REPOSITORY}/tree/main":
            self.listing(int(parse_qs(url.query).get("cursor", ["0"])[0]))
        elif url.path.startswith(resolve) and url.path.removeprefix(resolve) in self.server.files:
            self.reply(302, b"", Location=f"{self.server.url}/cdn/{url.path.removeprefix(resolve)}?signature=x")
        elif url.path.startswith("/cdn/"):
            self.file(url.path.removeprefix("/cdn/"))
        else:
            self.reply(404, b"Entry not found")

    def reply(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def listing(self, cursor: int) -> None:
        entries: list[dict[str, Any]] = [
            {"type": "file", "oid": "a" * 40, "size": 2300, "path": ".gitattributes"},
            {"type": "directory", "oid": "b" * 40, "size": 0, "path": "old"},
        ]
        for name, content in sorted(self.server.files.items()):
            lfs = {"oid": self.server.sums[name], "size": len(content), "pointerSize": 134}
            entries.append({"type": "file", "oid": "c" * 40, "size": len(content), "lfs": lfs, "path": name})
        following = cursor + PAGE
        path = f"/api/datasets/{corpora.REPOSITORY}/tree/main?limit={PAGE}&cursor={following}"
        link = {"Link": f'<{self.server.links_to}{path}>; rel="next"'} if following < len(entries) else {}
        self.reply(200, json.dumps(entries[cursor:following]).encode(), Content_Type="application/json", **link)

    def file(self, name: str) -> None:
        faults = self.server.faults.get(name)
        fault = faults.pop(0) if faults else None
        content = self.server.files[name]
        start = 0
        if isinstance(fault, int) and fault >= 400:
            self.reply(fault, b"no")
            return
        asked = self.headers.get("Range")
        if asked and self.server.ranges:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            self.reply(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        body = content[start:]
        if fault == "wrong byte":
            body = body[:-1] + bytes([body[-1] ^ 1])
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        if isinstance(fault, tuple):  # ("cut", n): the line breaks; ("stall", n): it says no more, and does not end
            self.wfile.write(body[: fault[1]])
            self.wfile.flush()
            if fault[0] == "stall":
                self.server.stalled.set()
                self.server.go_on.wait(60)
            self.close_connection = True
            return
        self.wfile.write(body)
        self.server.sent += len(body)


@contextmanager
def served(files: dict[str, bytes]) -> Iterator[Hub]:
    with Hub(files) as hub:
        thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hub
        finally:
            hub.go_on.set()
            hub.shutdown()
            thread.join()
