"""One lab with a sealed paper for all tests that only look at it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.research.paper.papers import Told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A project of which everything is sealed, the paper too."""
    made = Told(tmp_path_factory.mktemp("papers"))
    made.paper = made.written()
    return made


@pytest.fixture(scope="module")
def exported(told: Told, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper as it is sent around."""
    from lab.research.paper import exporting, found

    place = tmp_path_factory.mktemp("out") / "paper"
    exporting.write(told.root, found.of_run(told.root, told.paper), str(place))
    return place
