from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    import prepare

    from tests.training.runs import Told

ABSENT = [name for name in ("torch", "numpy", "tokenizers") if find_spec(name) is None]


class Skipped(pytest.Module):
    """A file of tests that cannot even be imported here. It is skipped by name, and not left out in silence."""

    def collect(self) -> Iterable[pytest.Item | pytest.Collector]:
        pytest.skip(f"{' and '.join(ABSENT)} not installed here", allow_module_level=True)


def pytest_pycollect_makemodule(module_path: Path, parent: pytest.Collector) -> pytest.Module | None:
    return Skipped.from_parent(parent, path=module_path) if ABSENT else None


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cache in which `small` lies."""
    return tmp_path_factory.mktemp("training-cache")


@pytest.fixture(scope="session")
def small_dataset(shared_cache: Path) -> str:
    """A dataset that needs no network: `--dataset` takes it as it is. Its texts never change."""
    from tests.training import texts  # as below

    return f"local:{texts.jsonl(shared_cache / 'small.jsonl', texts.documents(80))}"


@pytest.fixture(scope="session")
def small(shared_cache: Path, small_dataset: str) -> Iterator[prepare.Data]:
    """That dataset, made once for all tests. `LAB_TRAINING_CACHE=shared_cache` lets a program find it."""
    import corpora  # what these stand on may not be here, and then the tests are skipped, one by one
    import prepare

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LAB_TRAINING_CACHE", str(shared_cache))
        yield prepare.made(corpora.requested(small_dataset), lambda _: None)


@pytest.fixture
def as_it_was() -> Iterator[None]:
    """A run takes signals, freezes the collector and sets threads; it is meant to be a process of its own."""
    import gc
    import signal

    import machine
    import torch

    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    threads = torch.get_num_threads()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    gc.enable()
    gc.unfreeze()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)
    machine.keep_pages(1 << 17)


@pytest.fixture
def data(as_it_was: None, small: prepare.Data, shared_cache: Path, monkeypatch: pytest.MonkeyPatch) -> prepare.Data:
    monkeypatch.setenv("LAB_TRAINING_CACHE", str(shared_cache))
    return small


@pytest.fixture
def told(small_dataset: str, data: prepare.Data, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
         tmp_path: Path) -> Told:  # fmt: skip
    from tests.training.runs import TINY, Told

    monkeypatch.chdir(tmp_path)
    return Told(("--dataset", small_dataset, *TINY), capsys)
