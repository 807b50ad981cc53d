"""Files of a run are handed out as bytes to keep: whole, never shown, and never one that is not the run's."""

from __future__ import annotations

import os
import re
import resource
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.scheduler import cycle
from lab.web import downloads
from tests.scheduler.labs import a_lab, ended, me, write
from tests.web.labs import looked_at
from tests.web.raw import Visitor, asked, serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lab.store.root import Root
    from lab.web.server import Server

PAGE = b"<!doctype html><script>alert(document.cookie)</script>"


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a")


@pytest.fixture
def server(root: Root) -> Iterator[Server]:
    with serving(root) as (server, _):
        yield server


def sealed(root: Root, files: dict[str, bytes]) -> str:
    """A run that left these files, and a link out of its bundle."""
    running = cycle.begin(root, "a", owner=me())
    for name, data in files.items():
        place = f"{running.path}/artifacts/{name}"
        os.makedirs(os.path.dirname(place), exist_ok=True)
        write(place, data)
    os.symlink("/etc/passwd", f"{running.path}/artifacts/link")
    cycle.finish(root, running, ended(0.5))
    return running.manifest.run_id


def test_a_page_that_a_run_wrote_comes_as_bytes_to_keep_and_never_as_a_page(root: Root, server: Server) -> None:
    run = sealed(root, {"page.html": PAGE})
    said = Visitor(server).get(f"/runs/{run}/files/artifacts/page.html")
    assert (said.status, said.body) == (200, PAGE)
    assert said.headers["content-type"] == "application/octet-stream"
    assert said.headers["content-disposition"] == 'attachment; filename="page.html"'
    assert said.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert said.headers["x-content-type-options"] == "nosniff"
    assert said.headers["content-length"] == str(len(PAGE))
    head = asked(server, f"HEAD /runs/{run}/files/artifacts/page.html")
    assert (head.headers, head.body) == (said.headers, b"")


def test_a_name_from_anywhere_arrives_as_a_name(root: Root, server: Server) -> None:
    name = 'ünï "x";\u202egnp.exe'
    run = sealed(root, {name: b"1"})
    spelt = "".join(f"%{byte:02x}" for byte in name.encode())
    said = asked(server, f"GET /runs/{run}/files/artifacts/{spelt}")
    assert said.body == b"1"
    found = re.fullmatch(r'attachment; filename="([A-Za-z0-9._-]+)"; filename\*=UTF-8\'\'([A-Za-z0-9._%~-]+)',
                         said.headers["content-disposition"])  # fmt: skip
    assert found
    assert "%E2%80%AE" not in found[2]  # what would turn the end of the name around


def test_every_link_to_a_file_hands_it_out(root: Root) -> None:
    odd = ("a\nb", "a\\b", "a\x1b[31mb", "a\x7f")
    run = sealed(root, dict.fromkeys(("plain", "50% off?#1", 'ünï "x"', *odd), b"1"))
    with looked_at(root) as served:
        visitor = Visitor(served.server)
        page = visitor.get(f"/runs/{run}").text
        links = re.findall(r'<a href="(/runs/[^"]+/files/[^"]+)"', page)
        assert [visitor.get(link).status for link in links] == [200] * len(links)
        assert sum("/artifacts/" in link for link in links) == 3
        assert page.count("no address can name it") == len(odd)


@pytest.mark.parametrize("name", [".bashrc", "", "\u202e", "a\r\nb", "x" * 5000, "..", '"', "\\", "\ud800"])
def test_a_disposition_is_one_header_whatever_the_name(name: str) -> None:
    made = downloads.disposition(name)
    assert made.isascii()
    assert made.isprintable()
    assert len(made) < 2000
    assert 'filename=".' not in made


@pytest.mark.parametrize(
    "path",
    [
        "artifacts", "artifacts/", "", "artifacts/link", "artifacts/none", "../../SPEC.yaml", "%2e%2e/SPEC.yaml",
        "artifacts/..%2f..%2fSPEC.yaml", "artifacts%2fpage.html", "/etc/passwd", "%2fetc%2fpasswd", "SEAL.json/..",
        "artifacts//page.html", "artifacts/./page.html", "artifacts/page.html%00.txt", "..;/SPEC.yaml",
        "artifacts\\page.html",
    ],
)  # fmt: skip
def test_what_is_no_file_of_the_run_is_not_handed_out(root: Root, server: Server, path: str) -> None:
    run = sealed(root, {"page.html": PAGE})
    said = asked(server, f"GET /runs/{run}/files/{path}")
    assert said.status in (400, 404, 503)
    assert b"root:" not in said.raw
    assert b"metric:" not in said.raw


@pytest.mark.parametrize("run", ["RUN-20260102-030405-000000-scout", "..", "a", "%2e%2e", "RUN-x", "."])
def test_a_run_that_is_not_there_has_no_files(server: Server, run: str) -> None:
    assert asked(server, f"GET /runs/{run}/files/{layout.SEAL}").status == 404


def test_what_was_put_there_after_the_seal_or_changed_is_not_handed_out(root: Root, server: Server) -> None:
    run = sealed(root, {"page.html": PAGE})
    bundle = root.layout.run("a", run)
    os.chmod(f"{bundle}/artifacts", 0o700)
    write(f"{bundle}/artifacts/late.txt", b"late")
    write(f"{bundle}/artifacts/page.html", PAGE + b"more")
    assert asked(server, f"GET /runs/{run}/files/artifacts/late.txt").status == 404
    assert asked(server, f"GET /runs/{run}/files/artifacts/page.html").status == 503


def test_a_large_file_is_handed_out_in_pieces(root: Root) -> None:
    size = 400 << 20
    running = cycle.begin(root, "a", owner=me())
    place = f"{running.path}/artifacts/large.bin"
    os.makedirs(os.path.dirname(place), exist_ok=True)
    write(place, b"")
    os.truncate(place, size)
    with serving(root) as (server, _):
        before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        path = f"/runs/{running.manifest.run_id}/files/artifacts/large.bin"
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode())
            got, buffer = 0, bytearray(1 << 20)
            while count := connection.recv_into(buffer):
                got += count
        assert size < got < size + 2000
        assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb < 20_000


def test_who_goes_in_the_middle_leaves_no_file_open(root: Root, server: Server) -> None:
    run = sealed(root, {"large.bin": b"x" * (8 << 20)})
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
            connection.sendall(
                f"GET /runs/{run}/files/artifacts/large.bin HTTP/1.1\r\nHost: localhost:{server.port}\r\n\r\n".encode()
            )
            assert connection.recv(100)
        assert asked(server, f"HEAD /runs/{run}/files/artifacts/large.bin").status == 200
    for _ in range(500):
        if len(os.listdir("/proc/self/fd")) <= before and not server._places.count():
            break
        threading.Event().wait(0.01)
    assert len(os.listdir("/proc/self/fd")) <= before


def test_a_file_that_shrinks_meanwhile_comes_short_and_one_that_grows_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / "log"
    place.write_bytes(b"0123456789")
    short = downloads.Pieces(os.open(place, os.O_RDONLY), 20)
    assert b"".join(short) == b"0123456789"
    short.close()
    grown = downloads.Pieces(os.open(place, os.O_RDONLY), 4)
    assert b"".join(grown) == b"0123"
    grown.close()
    grown.close()
