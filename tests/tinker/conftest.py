"""What tests of remote training stand on: a tiny model made of chance, and servers that run in their own processes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.tinker.served import CHECKOUT, Served, served

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BASE = "tiny/qwen3"
REAL = ("tinker", "torch", "peft", "transformers", "zstandard")


def needs_models() -> None:
    """Skip, loudly, where models cannot be run. Found, not imported: torch stays out of the process that tests."""
    missing = [name for name in REAL if find_spec(name) is None]
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)} (pip install 'labctl[tinker-local]')")


class Fresh(Protocol):
    """Starts a server of a test's own: `double` for no models but arithmetic; `folder` to start one again on it."""

    def __call__(
        self, folder: Path | None = None, *, double: bool = False, largest_file: int | None = None, port: int = 0
    ) -> Served: ...


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a Qwen3 with 140,000 parameters made of chance, and a tokenizer of its own. Made once."""
    needs_models()
    folder = tmp_path_factory.mktemp("tiny") / "qwen3"
    make = "import sys; from lab.tinker.local.tiny import make_tiny; make_tiny(sys.argv[1])"
    subprocess.run([sys.executable, "-c", make, str(folder)], check=True, cwd=CHECKOUT, timeout=50)
    return folder


@pytest.fixture(scope="session")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server with the tiny model under the name BASE. One for each test process."""
    with served(tmp_path_factory.mktemp("tinker") / "server", bases={BASE: str(tiny_model)}) as running:
        yield running.url


@pytest.fixture
def fresh_server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Fresh]:
    with ExitStack() as running:
        count = 0

        def start(
            folder: Path | None = None, *, double: bool = False, largest_file: int | None = None, port: int = 0
        ) -> Served:
            nonlocal count
            count += 1
            bases = None if double else {BASE: str(request.getfixturevalue("tiny_model"))}
            where = folder or tmp_path / f"server-{count}"
            return running.enter_context(served(where, bases=bases, largest_file=largest_file, port=port))

        yield start
