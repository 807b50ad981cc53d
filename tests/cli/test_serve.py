"""`labctl serve` as a process: where it is, who is told the token, and how it ends."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import pytest

from tests.cli.labs import SHIM, TRACE, a_lab, process

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cli.labs import Labctl

PATIENCE_S = 20.0


class Serving(NamedTuple):
    """A server in a process of its own."""

    child: subprocess.Popen[str]
    url: str

    def get(self, path: str = "") -> tuple[int, str]:
        request = urllib.request.Request(self.url + path, headers={"Accept": "text/html"})  # noqa: S310  # loopback
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:  # noqa: S310  # loopback
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode()

    def end(self, number: int) -> tuple[int, str, float]:
        """How it ended, what it said on stderr, and after how long."""
        began_s = time.monotonic()
        self.child.send_signal(number)
        _, said = self.child.communicate(timeout=PATIENCE_S)
        return self.child.returncode, said, time.monotonic() - began_s


@contextmanager
def serving(place: Path, *more: str) -> Iterator[Serving]:
    command = [sys.executable, SHIM, "serve", "--port", "0", "--data-root", str(place), *more]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert child.stdout is not None
        assert select.select([child.stdout], [], [], PATIENCE_S)[0]
        first = child.stdout.readline().strip()
        yield Serving(child, json.loads(first)["data"]["url"] if "--json" in more else first)
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdout, child.stderr):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    a_lab(tmp_path / "lab", "alpha")
    return tmp_path / "lab"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_at_once_while_pages_are_open(lab: Path, number: int) -> None:
    with serving(lab) as server:
        status, page = server.get()
        assert (status, "alpha" in page) == (200, True)
        with urllib.request.urlopen(f"{server.url}events", timeout=PATIENCE_S) as stream:  # noqa: S310  # loopback
            assert stream.status == 200
            code, said, took_s = server.end(number)
        assert code == 0
        assert took_s < 5  # of the 15 s between two signs of life of a stream
        assert TRACE not in said
        assert f"ended by {signal.Signals(number).name}" in said


def test_the_token_is_told_on_stderr_and_lets_its_owner_in(lab: Path) -> None:
    with serving(lab) as server:
        _, said, _ = server.end(signal.SIGINT)
    (told,) = [line for line in said.splitlines() if "token" in line]
    assert told.startswith("the token to approve, reject, pause and resume: labctl-")
    assert "token=" not in server.url


def test_json_says_where_in_one_document_at_the_beginning_and_nothing_else(lab: Path) -> None:
    with serving(lab, "--json") as server:
        assert server.get()[0] == 200
        server.child.send_signal(signal.SIGTERM)
        out, err = server.child.communicate(timeout=PATIENCE_S)
        assert (server.child.returncode, out, err) == (0, "", "")


def test_a_token_file_is_for_its_owner_alone_and_goes_with_its_server(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "token"
    with serving(lab, "--token-file", str(place), "--private") as server:
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o600
        assert place.read_text().startswith("labctl-")
        assert server.get()[1].count("<form") == 1  # a private one shows the login
        _, said, _ = server.end(signal.SIGINT)
        assert not re.search(r"labctl-[0-9a-f]{32}", said)
    assert not place.exists()


def test_the_token_file_of_a_server_that_was_killed_is_written_over(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "token"
    with serving(lab, "--token-file", str(place)) as server:
        server.end(signal.SIGKILL)
    left = place.read_text()
    with serving(lab, "--token-file", str(place)):
        assert place.read_text() not in ("", left)


def test_the_token_file_of_a_server_that_lives_is_neither_taken_nor_removed(lab: Path, tmp_path: Path) -> None:
    place = tmp_path / "token"
    with serving(lab, "--token-file", str(place)):
        left = place.read_text()
        said = process("serve", "--port", "0", "--until-idle", "0", "--token-file", str(place), root=lab)
        assert (said.code, said.out) == (3, "")
        assert "another labctl serve is running" in said.err
        assert place.read_text() == left


@pytest.mark.parametrize("name", ["a b", "", "http://lab", "lab/", "lab:99999", "lab:", "[::1", "b\u00fcch.de"])
def test_what_is_no_name_of_a_host_is_not_allowed_as_one(lab: Path, labctl: Labctl, name: str) -> None:
    said = labctl("serve", "--port", "0", "--until-idle", "0", "--allow-host", name, "--data-root", str(lab))
    assert (said.code, said.out) == (2, "")
    assert "is no name of a host" in said.err


def test_a_file_that_is_no_token_is_not_written_over_and_no_lab_takes_one(
    lab: Path, tmp_path: Path, labctl: Labctl
) -> None:
    notes, link = tmp_path / "notes", tmp_path / "link"
    notes.write_text("mine\n")
    link.symlink_to(notes)
    for place in (notes, link, tmp_path, lab / "token", lab / "registry" / "token", tmp_path / "none" / "token"):
        said = labctl("serve", "--port", "0", "--until-idle", "0", "--token-file", str(place), "--data-root", str(lab))
        assert (said.code, said.out) == (2, "")
        assert "fix: " in said.err
    assert notes.read_text() == "mine\n"


def test_a_taken_port_is_an_error_with_what_to_do(lab: Path) -> None:
    with serving(lab) as server:
        port = server.url.rstrip("/").rpartition(":")[2]
        said = process("serve", "--port", port, root=lab)
    assert (said.code, said.out) == (5, "")
    assert f"port {port} of 127.0.0.1 cannot be had" in said.err
    assert "--port 0" in said.err


def test_other_machines_are_let_in_only_with_a_warning_and_the_token(lab: Path) -> None:
    with serving(lab, "--host", "0.0.0.0") as server:  # noqa: S104  # what the test is about
        port = server.url.rstrip("/").rpartition(":")[2]
        local = Serving(server.child, f"http://127.0.0.1:{port}/")
        assert "Log in" in local.get()[1]
        assert "alpha" not in local.get()[1]
        _, said, _ = server.end(signal.SIGTERM)
    assert "warning: other machines can reach this server" in said


def test_looking_writes_nothing_into_the_lab(lab: Path) -> None:
    def all_of_it() -> dict[str, tuple[int, int]]:
        return {str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in lab.rglob("*") if path.is_file()}

    before = all_of_it()
    with serving(lab) as server:
        for path in ("", "experiments/alpha", "experiments/alpha/runs", "index.json", "nowhere", "login"):
            server.get(path)
        server.end(signal.SIGINT)
    assert all_of_it() == before


def test_a_lab_that_goes_away_is_a_page_that_says_so(lab: Path) -> None:
    with serving(lab) as server:
        lab.rename(lab.with_name("moved"))
        status, page = server.get()
        assert status in (404, 503)
        assert "What to do" in page
        lab.with_name("moved").rename(lab)
        assert server.get()[0] == 200
        code, said, _ = server.end(signal.SIGINT)
        assert (code, TRACE in said) == (0, False)
