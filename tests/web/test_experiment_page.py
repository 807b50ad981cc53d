"""The page of an experiment: what stands first is of now, and waits for nothing; the drawings follow."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from lab.core import layout
from lab.core.origin import Origin
from lab.scheduler import refresh
from lab.web.places import Places
from tests.cli.searches import a_run, a_searched_lab, made
from tests.web.labs import NAME, PARAMS, a_seen_lab, looked_at
from tests.web.raw import Visitor, rest

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from tests.web.labs import Served


def words(page: str, section: str) -> str:
    """What a reader sees of a section, in one line."""
    found = re.search(rf'<section id="{section}".*?</section>', page, re.DOTALL)
    assert found, section
    return " ".join(re.sub("<[^>]+>", " ", found[0]).split())


def test_what_stands_first_is_of_one_moment_though_its_picture_be_of_another(tmp_path: Path) -> None:
    """It took the new best, and its gain, its runs and its costs from the picture that stood."""
    root = a_searched_lab(tmp_path / "lab", NAME)
    a_run(root, PARAMS, 1.0, origin=Origin(kind="baseline"), name=NAME, wall_s=3600)
    a_run(root, {**PARAMS, "depth": 3}, 0.9, origin=made(1), name=NAME, wall_s=3600)
    refresh.lab_pages(root)
    with looked_at(root) as served:
        page, top = f"/experiments/{NAME}", f"/experiments/{NAME}?part=top"
        visitor = Visitor(served.server)
        first = visitor.get(page).text  # before there is a picture, it says so much, and the drawings the rest
        assert "gain" not in words(first, "numbers")
        assert "baseline 1 gain 0.1" in words(first, "luck")
        assert "baseline 1 gain 0.1 " in words(visitor.get(top).text, "numbers")
        a_run(root, {**PARAMS, "depth": 4}, 0.2, origin=made(2), name=NAME, wall_s=3600)
        now = words(visitor.get(top).text, "numbers")
        assert "best loss 0.2 " in now
        assert "baseline 1 gain 0.8 " in now
        assert "runs 3 of 1,000 3 success" in now
        assert "time used 3 h 00 min " in now
        assert "after 3 runs" in words(visitor.get(page).text, "luck")


def contents(page: str) -> set[str]:
    """Where the page's own list of contents leads."""
    nav = re.search(r'<nav class="contents".*?</nav>', page, re.DOTALL)
    assert nav
    return set(re.findall(r'href="#([^"]+)"', nav[0]))


def test_the_contents_name_all_that_the_page_has_once_its_picture_is_made(tmp_path: Path) -> None:
    root = a_seen_lab(tmp_path / "lab", 0)
    a_run(root, PARAMS, 1.0, origin=Origin(kind="baseline"), name=NAME)
    a_run(root, {**PARAMS, "depth": 3}, 0.9, origin=made(1), name=NAME)
    with looked_at(root) as served:
        visitor, page = Visitor(served.server), f"/experiments/{NAME}"
        first = visitor.get(page).text
        assert {"parameters"} <= set(re.findall(r'<section id="([^"]+)"', first))
        assert "data-again" in first[first.index('<nav class="contents"') :].split(">")[0]  # so it is asked for again
        now = visitor.get(f"{page}?part=contents").text
        assert "data-again" not in now
        there = set(re.findall(r'<section id="([^"]+)"', first))
        assert {"best", "parameters", "timeline"} <= contents(now) <= there
        assert contents(visitor.get(page).text) == contents(now)


def test_what_stands_first_is_sent_before_the_picture_is_made(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.server.port), timeout=20) as connection:
        request = f"GET /experiments/{NAME} HTTP/1.1\r\nHost: 127.0.0.1:{served.server.port}\r\n\r\n"
        with served.site.live._drawing:  # a picture takes its time
            connection.sendall(request.encode())
            begun = b""
            while b'id="numbers"' not in begun:
                begun += connection.recv(65_536)
        page = begun + rest(connection)
    assert b"Staircase</h2>" not in begun
    for words in (b"Staircase</h2>", b"The same elsewhere", b"</html>"):
        assert words in page


def test_drawings_that_cannot_be_made_are_told_of_on_their_page(served: Served, visitor: Visitor) -> None:
    served.root.files.discard(served.root.layout.page(NAME, layout.METRICS_LOG))
    said = visitor.get(f"/experiments/{NAME}")
    assert said.status == 200
    assert "labctl refresh" in words(said.text, "stairs")
    assert said.text.endswith("</html>\n")
    assert visitor.get(f"/experiments/{NAME}?part=drawings").status == 503


def test_many_open_pages_leave_room_for_one_that_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Places, "streams", lambda *_: False)  # all places for what lasts are taken
    with looked_at(a_seen_lab(tmp_path / "lab", 2)) as served:
        assert Visitor(served.server).get("/events").status == 503
        assert "Staircase</h2>" in Visitor(served.server).get(f"/experiments/{NAME}").text
