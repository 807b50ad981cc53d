"""Labs of a client without torch, and a service with a model for them to train."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from tests.tinker.proof.client import BASE, Lab, needs_client
from tests.tinker.served import served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class NewLab(Protocol):
    """Makes one more."""

    def __call__(self, name: str, url: str) -> Lab: ...


@pytest.fixture(scope="session")
def client() -> str:
    """The Python of the client."""
    return needs_client()


@pytest.fixture(scope="session")
def service(client: str, tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a service that has the model which the templates name."""
    del client  # where there is none, no model is made
    with served(tmp_path_factory.mktemp("service") / "server", bases={BASE: str(tiny_model)}) as running:
        yield running.url


@pytest.fixture(scope="module")
def new_lab(client: str, tmp_path_factory: pytest.TempPathFactory) -> NewLab:
    """Labs of the client."""

    def make(name: str, url: str) -> Lab:
        lab = Lab(tmp_path_factory.mktemp(name), url, client)
        lab.done("init")
        return lab

    return make
