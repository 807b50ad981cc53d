"""What lies among the experiments, and what is wrong with a SPEC, without anything else suffering from it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, NotFound
from lab.store import experiments, reading
from tests.scheduler.labs import a_lab, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "lr-sweep", "b")


def test_only_folders_with_the_name_of_an_id_are_experiments(root: Root, tmp_path: Path) -> None:
    place = root.layout.experiments
    os.mkdir(f"{place}/not an id")
    os.mkdir(f"{place}/.new.x-1-1.draft")
    write(f"{place}/notes.txt", b"")
    os.symlink(tmp_path, f"{place}/link")
    assert experiments.names(root) == ["b", "lr-sweep"]
    assert experiments.strangers(root) == ["link", "not an id", "notes.txt"]


def test_a_lab_without_a_folder_for_experiments_has_none(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab")
    os.rmdir(root.layout.experiments)
    assert experiments.names(root) == []


@pytest.mark.parametrize(("asked", "fix"), [("lr-sweeep", "did you mean lr-sweep?"), ("zzz", "labctl list")])
def test_a_name_that_is_not_there_is_refused_with_the_nearest_that_is(root: Root, asked: str, fix: str) -> None:
    with pytest.raises(NotFound) as refused:
        experiments.require(root, asked)
    assert fix in refused.value.fix


@pytest.mark.parametrize("asked", ["../experiments/b", "b/", "..", "", "b\n", "b\0"])
def test_a_name_that_could_leave_the_root_is_refused_before_the_disk_is_asked(root: Root, asked: str) -> None:
    with pytest.raises(BadInput):
        experiments.require(root, asked)


def test_a_spec_is_read_once_and_remembered_by_its_bytes(root: Root) -> None:
    first = experiments.load(root, "b")
    assert experiments.load(root, "b") == first
    write(root.layout.spec("b"), (reading.read(root.layout.spec("b")) or b"").replace(b"loss", b"gain"))
    second = experiments.load(root, "b")
    assert second.spec is not None
    assert (second.spec.metric, second.sha256 == first.sha256) == ("gain", False)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"{}", b"\xff"])
def test_a_damaged_cache_is_not_believed(root: Root, damage: bytes) -> None:
    sound = experiments.load(root, "b")
    folder = root.layout.place("registry/cache")
    for name in os.listdir(folder):
        write(f"{folder}/{name}", damage)
    assert experiments.load(root, "b") == sound


@pytest.mark.parametrize(
    ("data", "words"),
    [(b"id: [", "YAML"), (b"\xff\xfe", ""), (b"id: c\n", "calls the experiment c"), (b"id: b\nx: 1\n", "unknown key")],
)
def test_a_spec_that_cannot_be_used_is_a_value_with_its_reason_and_its_place(
    root: Root, data: bytes, words: str
) -> None:
    write(root.layout.spec("b"), data)
    loaded = experiments.load(root, "b")
    assert loaded.spec is None
    assert loaded.problem is not None
    assert words in loaded.problem.what
    assert loaded.problem.where.startswith("experiments/b/SPEC.yaml")


def test_a_spec_that_is_gone_or_is_a_folder_is_a_value_too(root: Root) -> None:
    os.unlink(root.layout.spec("b"))
    missing = experiments.load(root, "b").problem
    assert missing is not None
    assert "is missing" in missing.what
    os.mkdir(root.layout.spec("b"))
    assert experiments.load(root, "b").problem is not None
