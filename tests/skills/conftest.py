"""`labctl` in this process, in a project's folder where no lab is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import Labctl

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "project"
    place.mkdir()
    monkeypatch.chdir(place)
    monkeypatch.setenv("LAB_DATA_ROOT", str(tmp_path / "no-lab"))
    for name in ("CODEX_HOME", "HERMES_HOME"):
        monkeypatch.delenv(name, raising=False)
    return place


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "home"
    place.mkdir()
    monkeypatch.setenv("HOME", str(place))
    return place


@pytest.fixture
def labctl(capsys: pytest.CaptureFixture[str], project: Path, home: Path) -> Labctl:
    return Labctl(capsys)
