from __future__ import annotations

from typing import TYPE_CHECKING

import corpora
import prepare
import pytest

from tests.training import texts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache in which `small` lies."""
    return tmp_path_factory.mktemp("training-cache")


@pytest.fixture(scope="session")
def small_dataset(shared_cache: Path) -> str:
    """A dataset that needs no network: `--dataset` takes it as it is. Its texts never change."""
    return f"local:{texts.jsonl(shared_cache / 'small.jsonl', texts.documents(80))}"


@pytest.fixture(scope="session")
def small(shared_cache: Path, small_dataset: str) -> Iterator[prepare.Data]:
    """That dataset, made once for all tests. `LAB_TRAINING_CACHE=shared_cache` lets a program find it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_TRAINING_CACHE", str(shared_cache))
        yield prepare.made(corpora.requested(small_dataset), lambda _: None)
