from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.research.pipeline import projects

if TYPE_CHECKING:
    from pathlib import Path

    from tests.research.pipeline.projects import Lab


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    projects.prepared(tmp_path / "packages", monkeypatch)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return projects.make(tmp_path)
