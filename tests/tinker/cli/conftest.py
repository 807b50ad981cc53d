"""`labctl` to type, beside a server of this machine."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import TRACE, process

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Said


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the lab of this test is to be. Nothing is there yet."""
    path = tmp_path / "lab"
    monkeypatch.setenv("LAB_DATA_ROOT", str(path))
    monkeypatch.setenv("LABCTL_ACTOR", "ann")
    for name in [name for name in os.environ if name.startswith("TINKER_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    return path


class Labctl:
    """`labctl` in a process of its own: the SDK keeps connections and threads for as long as its process lives."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __call__(self, *words: str, limit_s: float = 50) -> Said:
        """Run one command. A stack trace is a failure of every test."""
        said = process(*words, root=self._place, cwd=self._place.parent, limit_s=limit_s)
        assert TRACE not in said.all
        return said

    def done(self, *words: str) -> Said:
        """The same, for a command that must succeed."""
        said = self(*words)
        assert said.code == 0, said
        return said


@pytest.fixture
def labctl(place: Path) -> Labctl:
    """`labctl`, on that lab."""
    return Labctl(place)
