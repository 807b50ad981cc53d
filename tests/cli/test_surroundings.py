"""What a command takes from where it is typed, before any part of the lab sees it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.cli.surroundings import the_world

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_a_cache_that_is_seen_from_here_is_not_one_in_each_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LAB_TRAINING_CACHE", "data/../cache")
    assert the_world().environ["LAB_TRAINING_CACHE"] == str(tmp_path / "cache")
    monkeypatch.setenv("LAB_TRAINING_CACHE", "~/cache")
    assert the_world().environ["LAB_TRAINING_CACHE"] == os.path.expanduser("~/cache")
    monkeypatch.setenv("LAB_TRAINING_CACHE", "")
    assert the_world().environ["LAB_TRAINING_CACHE"] == ""
