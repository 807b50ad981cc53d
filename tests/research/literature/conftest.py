"""One server for all tests of a module; each finds it as if it were new."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.research.literature.desks import Double

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def _server() -> Iterator[Double]:
    double = Double()
    yield double
    double.close()


@pytest.fixture
def double(_server: Double) -> Double:
    _server.papers.clear()
    _server.hits.clear()
    _server.scripts.clear()
    _server.for_ever.clear()
    return _server
