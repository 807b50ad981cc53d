"""Resources: the pages of the lab and of its experiments, and nothing else on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.mcp import pages
from tests.mcp.wire import MODERN, Server
from tests.scheduler.labs import a_lab, one_run, tree

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = a_lab(tmp_path / "lab", "alpha", "beta")
    one_run(root, "alpha", 0.5)
    return root


@pytest.fixture
def server(root: Root) -> Iterator[Server]:
    with Server(root.layout.root) as server:
        yield server.shake_hands()


def listed(server: Server) -> list[str]:
    found = server.result("resources/list")["resources"]
    assert isinstance(found, list)
    return [each["uri"] for each in found]


def text(server: Server, uri: str) -> str:
    found = server.result("resources/read", {"uri": uri})["contents"]
    assert isinstance(found, list)
    assert len(found) == 1
    assert found[0]["uri"] == uri
    return str(found[0]["text"])


def test_every_page_that_is_listed_can_be_read_and_is_the_file(server: Server, root: Root) -> None:
    before = tree(root.layout.root)
    uris = listed(server)
    assert uris[:2] == ["lab://status", "lab://readme"]
    for page in ("SUMMARY.md", "NEXT.md", "RUNBOOK.md", "context.md", "SPEC.yaml"):
        assert f"lab://experiments/beta/{page}" in uris
    for uri in uris:
        parts = pages._parts(uri)
        assert text(server, uri) == Path(root.layout.root, *parts).read_text(encoding="utf-8")
    assert tree(root.layout.root) == before


def test_a_page_says_what_kind_of_text_it_is(server: Server) -> None:
    kinds = {}
    found = server.result("resources/list")["resources"]
    assert isinstance(found, list)
    for each in found:
        contents = server.result("resources/read", {"uri": each["uri"]})["contents"]
        assert isinstance(contents, list)
        assert contents[0]["mimeType"] == each["mimeType"]
        kinds[each["uri"].rpartition(".")[2]] = each["mimeType"]
    assert (kinds["md"], kinds["yaml"]) == ("text/markdown", "application/yaml")
    assert kinds["lab://index"] == "application/json"


def test_the_templates_lead_to_pages(server: Server) -> None:
    found = server.result("resources/templates/list")["resourceTemplates"]
    assert isinstance(found, list)
    assert {each["uriTemplate"].partition("{id}/")[2] for each in found} == set(pages.OF_ONE)
    summary = next(each["uriTemplate"] for each in found if each["name"] == layout.SUMMARY)
    assert "alpha" in text(server, summary.replace("{id}", "alpha"))


@pytest.mark.parametrize(
    "uri",
    [
        "lab://experiments/../LAB-STATUS.md",
        "lab://experiments/alpha/../../registry/events.jsonl",
        "lab://experiments/alpha/runs",
        "lab://experiments/alpha/STATUS.json",
        "lab://experiments/%61lpha/SUMMARY.md",
        "lab://experiments/alpha/SUMMARY.md?x",
        "lab://experiments/alpha/SUMMARY.md/",
        "lab://experiments//SUMMARY.md",
        "lab://experiments/gone/SUMMARY.md",
        "lab://experiments/alpha\0/SUMMARY.md",
        "lab://experiments/alpha/SUMMARY.md\0",
        "lab://registry/events.jsonl",
        "lab://STATUS",
        "lab:///etc/passwd",
        "file:///etc/passwd",
        "/etc/passwd",
        "\ud800",
        "",
    ],
)
def test_what_is_no_page_is_not_found(uri: str, server: Server) -> None:
    error = server.error("resources/read", {"uri": uri})
    assert error["code"] == -32002
    assert server.error("resources/read", {"_meta": MODERN, "uri": uri})["code"] == -32602


def test_a_uri_that_is_no_text_is_refused(server: Server) -> None:
    for uri in (None, 7, ["lab://status"]):
        assert server.error("resources/read", {"uri": uri})["code"] == -32602


def test_no_link_leads_out(server: Server, root: Root, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "SUMMARY.md").write_text("hunter2")
    page = Path(root.layout.page("alpha", "SUMMARY.md"))
    page.unlink()
    page.symlink_to(secret / "SUMMARY.md")
    Path(root.layout.experiments, "linked").symlink_to(secret)
    fifo = Path(root.layout.page("alpha", "NEXT.md"))
    fifo.unlink()
    os.mkfifo(fifo)
    for uri in (
        "lab://experiments/alpha/SUMMARY.md",
        "lab://experiments/linked/SUMMARY.md",
        "lab://experiments/alpha/NEXT.md",
    ):
        assert uri not in listed(server)
        assert server.error("resources/read", {"uri": uri})["code"] == -32002


def test_a_page_that_is_too_long_is_cut_and_says_so(server: Server, root: Root) -> None:
    Path(root.layout.page("alpha", "SUMMARY.md")).write_bytes(b"\xff" + b"x" * (3 << 20))
    found = text(server, "lab://experiments/alpha/SUMMARY.md")
    assert found.startswith("\ufffdxxx")
    assert len(found) < (1 << 20) + 100
    assert found.endswith("(cut here: the file has more than 1,048,576 bytes)\n")


def test_many_experiments_come_page_by_page_and_each_once(tmp_path: Path) -> None:
    names = [f"e-{number:03}" for number in range(2 * pages.A_PAGE + 1)]
    for name in names:
        folder = tmp_path / "experiments" / name
        folder.mkdir(parents=True)
        (folder / "SUMMARY.md").write_text(name)
    found: list[str] = []
    cursor, turns = None, 0
    while turns == 0 or cursor is not None:
        told = pages.listed(str(tmp_path), cursor)
        resources = told["resources"]
        assert isinstance(resources, list)
        found += [each["uri"] for each in resources]
        cursor, turns = told.get("nextCursor"), turns + 1
    assert found == [f"lab://experiments/{name}/SUMMARY.md" for name in names]
    assert turns == 3
