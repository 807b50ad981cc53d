"""Reading what may be large, may change meanwhile, and may be no file."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.store import reading

if TYPE_CHECKING:
    from pathlib import Path

PIECE = 1 << 20


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7])
def test_a_file_has_just_its_own_bytes(tmp_path: Path, size: int) -> None:
    path, data = tmp_path / "file", os.urandom(size)
    path.write_bytes(data)
    assert reading.has(str(path), data)
    assert not reading.has(str(path), data + b"x")
    assert not reading.has(str(path), b"x" + data)
    if size:
        assert not reading.has(str(path), data[:-1])
        for at in {0, size // 2, min(PIECE, size - 1), size - 1}:
            assert not reading.has(str(path), data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])


@pytest.mark.parametrize("size", [10, PIECE, PIECE + 10])
@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_a_file_that_changes_while_it_is_read_has_them_no_more(
    tmp_path: Path, size: int, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, data = tmp_path / "file", bytes(size)
    path.write_bytes(data)
    read = os.read

    def it_changes(descriptor: int, most: int) -> bytes:
        os.truncate(path, size + 5 if change == "grows" else size - 5)  # since its size was looked at
        return read(descriptor, most)

    with monkeypatch.context() as patched:
        patched.setattr(os, "read", it_changes)
        has = reading.has(str(path), data)
    assert not has


def test_what_is_no_file_has_no_bytes_and_keeps_nobody_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    for name in ("pipe", "folder", "link", "nothing", "nothing/below"):
        assert not reading.has(str(tmp_path / name), b"")
