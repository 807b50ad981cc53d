"""The log of run-once: one line an event, never beyond its limit, whole under two writers."""

from __future__ import annotations

import os
from multiprocessing import get_context
from typing import TYPE_CHECKING

from lab.store import rotation
from lab.testing.files import a_root

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_line_has_its_moment_and_stays_one_line(tmp_path: Path) -> None:
    root = a_root(tmp_path / "lab")
    rotation.append_line(root, root.layout.log, "ran a\nand more\udcff")
    rotation.append_line(root, root.layout.log, "ran b")
    lines = (tmp_path / "lab" / "registry" / "logs" / "run-once.log").read_text().splitlines()
    assert lines == ["2026-01-02T03:04:05.000000Z ran a and more\\udcff", "2026-01-02T03:04:06.000000Z ran b"]


def test_the_oldest_file_goes_and_no_more_than_five_old_ones_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "LIMIT_BYTES", 200)
    root = a_root(tmp_path / "lab")
    log = f"{tmp_path}/x.log"
    for number in range(100):
        rotation.append_line(root, log, f"line {number:03d}")
    names = ["x.log", *(f"x.log.{number}" for number in range(1, 6))]
    assert sorted(name for name in os.listdir(tmp_path) if name != "lab") == names
    assert all(os.path.getsize(tmp_path / name) <= 200 for name in names)
    kept = [line[-3:] for name in reversed(names) for line in (tmp_path / name).read_text().splitlines()]
    assert kept == [f"{number:03d}" for number in range(100 - len(kept), 100)]


def test_a_hole_in_the_numbers_and_no_file_at_all_are_no_trouble(tmp_path: Path) -> None:
    root = a_root(tmp_path / "lab")
    log = f"{tmp_path}/x.log"
    rotation.rotate(root, log)
    (tmp_path / "x.log.3").write_text("old")
    rotation.append_line(root, log, "new")
    rotation.rotate(root, log)
    assert sorted(name for name in os.listdir(tmp_path) if name != "lab") == ["x.log.1", "x.log.4"]


def write_many(path: str, name: str) -> None:
    rotation.LIMIT_BYTES = 4_000
    root = a_root(path)
    for number in range(100):
        rotation.append_line(root, f"{path}/x.log", f"{name} {number}")


def test_two_writers_lose_no_line(tmp_path: Path) -> None:
    context = get_context("spawn")
    writers = [context.Process(target=write_many, args=(str(tmp_path), name)) for name in ("one", "two")]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    text = "".join(path.read_text() for path in sorted(tmp_path.glob("x.log*"), reverse=True))
    lines = [line.split(" ", 1)[1] for line in text.splitlines()]
    assert sorted(lines) == sorted(f"{name} {number}" for name in ("one", "two") for number in range(100))
