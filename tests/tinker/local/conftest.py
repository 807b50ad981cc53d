"""A door with the double behind it, shared by the tests that leave it as they found it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tinker.local.asking import Asking
from tests.tinker.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def double_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(tmp_path_factory.mktemp("double") / "server") as running:
        yield running.url


@pytest.fixture
def ask(double_server: str) -> Asking:
    return Asking(double_server)
