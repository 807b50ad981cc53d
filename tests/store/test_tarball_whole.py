"""A tar says by itself whether it is whole."""

from __future__ import annotations

import os
import tarfile
from typing import TYPE_CHECKING

import pytest

from lab.store import tarball
from lab.store.files import Files

if TYPE_CHECKING:
    from pathlib import Path


def a_tar(tmp_path: Path, size: int = 3_000, name: str = "top") -> Path:
    folder = tmp_path / "folder"
    (folder / "run").mkdir(parents=True)
    (folder / "run/data").write_bytes(os.urandom(size))
    (folder / "empty").write_bytes(b"")
    path = tmp_path / "x.tar"
    Files(durable=False).create(str(path), tarball.pieces({name: str(folder)}))
    return path


@pytest.mark.parametrize("size", [0, 1, 511, 512, 4_000, 5_632, 6_144, 7_168, 30_000, 200_000])
def test_a_tar_that_was_made_here_is_whole_and_any_tar_program_reads_it(tmp_path: Path, size: int) -> None:
    path = a_tar(tmp_path, size)
    assert len(tarball.digest_of(str(path))) == 64
    with tarfile.open(path) as tar:
        assert tar.getnames()[-1] == f"top/{tarball.WHOLE}"
        assert {"top/run/data", "top/empty"} <= set(tar.getnames())
    assert tarball.top(str(path)) == "top"


def test_a_long_name_is_no_trouble(tmp_path: Path) -> None:
    name = f"DISPATCH-20261121-093000-000000-{'x' * 64}"
    path = a_tar(tmp_path, name=name)
    assert tarball.digest_of(str(path))
    assert tarball.top(str(path)) == name


def test_no_beginning_of_a_tar_is_whole(tmp_path: Path) -> None:
    path = a_tar(tmp_path)
    data = path.read_bytes()
    cut = tmp_path / "cut.tar"
    end = len(data.rstrip(b"\0"))  # from there on only zeros are missing, which hold nothing
    for size in (*range(0, end, 97), end - 1, end - 64):
        cut.write_bytes(data[:size])
        assert tarball.digest_of(str(cut)) == "", size
        cut.write_bytes(data[:size].ljust(len(data), b"\0"))  # a copier that makes room for the whole file first
        assert tarball.digest_of(str(cut)) == "", size


def test_a_hole_a_flipped_bit_or_another_tar_is_not_whole(tmp_path: Path) -> None:
    path = a_tar(tmp_path)
    data = path.read_bytes()
    other = tmp_path / "other.tar"
    for at in range(0, len(data.rstrip(b"\0")) - 1, 131):
        other.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert tarball.digest_of(str(other)) == "", at
    other.write_bytes(data[:1_024] + b"\0" * 512 + data[1_536:])  # written in any order, with a part to come
    assert tarball.digest_of(str(other)) == ""
    with tarfile.open(other, "w") as tar:
        tar.add(tmp_path / "folder", arcname="top")
    assert tarball.digest_of(str(other)) == ""
    for text in (b"", b"x", b"\0" * 10_240, os.urandom(20_480)):
        other.write_bytes(text)
        assert tarball.digest_of(str(other)) == ""
    assert tarball.digest_of(str(tmp_path / "none.tar")) == ""
