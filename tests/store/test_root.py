"""A lab that goes away under those who have it open: it must not grow back where it was."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Unavailable
from lab.store import refusals
from lab.store.sections import hold
from lab.testing.files import a_root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.root import Root

WRITERS: dict[str, Callable[[Root], object]] = {
    "a section": lambda root: hold(root.layout.section("score")).__enter__(),
    "the ledger's section": lambda root: hold(f"{root.layout.root}/registry/events.jsonl.section").__enter__(),
    "a new bundle": lambda root: root.files.create_folder(f"{root.layout.runs('score')}/RUN", {"params.json": b"{}"}),
    "a folder": lambda root: root.files.folder(f"{root.layout.root}/registry/logs/deep"),
}


@pytest.fixture
def place(tmp_path: Path) -> Path:
    for name in ("registry/locks", "experiments/score/runs"):
        (tmp_path / "lab" / name).mkdir(parents=True)
    return tmp_path / "lab"


@pytest.mark.parametrize("writer", WRITERS)
@pytest.mark.parametrize("is_unmounted", [False, True])
def test_a_lab_that_was_moved_does_not_grow_back(place: Path, writer: str, is_unmounted: bool) -> None:
    root = a_root(place)
    shutil.rmtree(place)
    if is_unmounted:
        place.mkdir()
    with pytest.raises(Unavailable, match="not there any more"):
        WRITERS[writer](root)
    assert place.exists() == is_unmounted
    assert not is_unmounted or not list(place.iterdir())


@pytest.mark.parametrize("writer", WRITERS)
def test_empty_folders_that_git_leaves_out_are_made(place: Path, writer: str) -> None:
    root = a_root(place)
    for name in ("registry/locks", "experiments/score"):
        shutil.rmtree(place / name)
    WRITERS[writer](root)


def test_who_stands_in_a_folder_that_is_gone_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    with pytest.raises(FileNotFoundError) as missing:
        os.path.abspath("SPEC.yaml")
    assert "typed in is not there" in refusals.refused(missing.value).what
