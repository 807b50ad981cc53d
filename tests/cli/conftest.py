"""Each test has a lab's place of its own, named by the environment, and `labctl` to type."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import Labctl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lab of this test is to be. Nothing is there yet."""
    path = tmp_path / "lab"
    monkeypatch.setenv("LAB_DATA_ROOT", str(path))
    monkeypatch.setenv("LABCTL_ACTOR", "ann")
    monkeypatch.chdir(tmp_path)
    return path


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str], place: Path) -> Labctl:
    """`labctl` in this process, on that lab."""
    return Labctl(capsys)
