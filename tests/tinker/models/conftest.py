from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from lab.tinker.local.bases import Base
    from lab.tinker.local.models import LocalModels

ABSENT = [name for name in ("torch", "transformers", "peft", "tinker") if find_spec(name) is None]


class Skipped(pytest.Module):
    """A file of tests that cannot even be imported here. It is skipped by name, and not left out in silence."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip(f"{' and '.join(ABSENT)} not installed here", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return Skipped.from_parent(parent, path=module_path) if ABSENT else None


@pytest.fixture(scope="session")
def models(tiny_model: Path) -> Iterator[LocalModels]:
    """The tiny model, loaded in this process. No test changes it, and none could."""
    import torch

    from lab.tinker.local.models import LocalModels

    threads = torch.get_num_threads()
    yield LocalModels({"tiny": str(tiny_model)})
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def base(models: LocalModels) -> Base:
    return models._base("tiny")
