"""`labctl tinker make-tiny` and `serve-local`: a model and a service of one's own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import SHIM
from tests.tinker.conftest import needs_models

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.tinker.cli.conftest import Labctl


@contextmanager
def serving(*words: str, cwd: Path) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """The verb in the foreground of a process of its own, and what it printed when it was ready."""
    command = [sys.executable, SHIM, "tinker", "serve-local", *words]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd
    ) as running:
        assert running.stdout is not None
        try:
            first = running.stdout.readline()
            lines = [first] if first.startswith("{") else [first, running.stdout.readline(), running.stdout.readline()]
            yield running, [line.rstrip("\n") for line in lines]
        finally:
            if running.poll() is None:
                running.kill()


def healthy(url: str) -> bool:
    with urllib.request.urlopen(f"{url}/api/v1/healthz", timeout=10) as answer:  # noqa: S310  # of this machine
        return bool(json.loads(answer.read())["status"] == "ok")


def test_a_tiny_model_is_made_once_and_never_over_another(labctl: Labctl, place: Path) -> None:
    needs_models()
    made = labctl.done("tinker", "make-tiny", "tiny", "--json").data
    assert made["folder"] == str(place.parent / "tiny")
    assert (place.parent / "tiny/tokenizer.json").is_file()
    before = sorted(os.listdir(place.parent / "tiny"))
    again = labctl("tinker", "make-tiny", "tiny")
    assert again.code == 2
    assert "something is already there" in again.err
    assert sorted(os.listdir(place.parent / "tiny")) == before


def test_a_server_says_what_to_copy_and_ends_with_ctrl_c(tiny_model: Path, tmp_path: Path) -> None:
    words = ("--base", f"lab/tiny={tiny_model}", "--port", "0", "--folder", "kept", "--port-file", "port")
    with serving(*words, cwd=tmp_path) as (running, said):
        url = said[0].removeprefix("ready: ")
        assert said[1:] == [f"export TINKER_BASE_URL={url}", "export TINKER_API_KEY=tml-local"]
        assert healthy(url)
        assert (tmp_path / "port").read_text().strip() == url.rpartition(":")[2]
        running.send_signal(signal.SIGINT)
        _, err = running.communicate(timeout=30)
        assert running.returncode == 0, err
        assert "ended by SIGINT" in err


@pytest.mark.timeout(120)
def test_a_folder_and_a_port_belong_to_one_server_at_a_time(labctl: Labctl, tiny_model: Path, tmp_path: Path) -> None:
    base = ("--base", f"lab/tiny={tiny_model}")
    with serving(*base, "--port", "0", "--folder", "kept", "--json", cwd=tmp_path) as (_, said):
        told = json.loads(said[0])["data"]
        assert told["models"] == {"lab/tiny": str(tiny_model)}
        assert told["not_covered"]
        same_folder = labctl("tinker", "serve-local", *base, "--port", "0", "--folder", "kept")
        assert same_folder.code == 3
        assert "another server keeps its checkpoints here" in same_folder.err
        same_port = labctl("tinker", "serve-local", *base, "--port", str(told["port"]), "--folder", "other")
        assert same_port.code == 5
        assert f"cannot listen on port {told['port']}" in same_port.err


def test_what_is_saved_is_kept_in_the_users_state_where_no_folder_is_named(
    tiny_model: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(place.parent / "state"))
    with serving("--base", f"lab/tiny={tiny_model}", "--port", "0", "--json", cwd=place.parent) as (_, said):
        assert json.loads(said[0])["data"]["folder"] == str(place.parent / "state/labctl/tinker-local")
