"""A project that rests on much is not read anew by everybody who looks, and nothing old is taken for what is there."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

import pytest

from lab.core.run import SUCCESS
from lab.research.projects import overview
from lab.research.work import digests, working
from lab.research.work.digests import Digests
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.guided import APPROVE, Guided, Word
from lab.scheduler.search.plan import Wanted
from lab.store import contents, sections
from tests.research.pipeline import projects
from tests.research.pipeline.projects import NAME, only
from tests.scheduler.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.seal import SealedFile
    from lab.store.root import Root


class Hashed:
    """Which files were read for their digests."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.names: list[str] = []
        real = contents.look

        def look(path: str) -> SealedFile | None:
            self.names.append(os.path.basename(path))
            return real(path)

        monkeypatch.setattr(contents, "look", look)

    def taken(self) -> list[str]:
        names, self.names[:] = sorted(self.names), []
        return names


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Hashed:
    monkeypatch.setattr(digests, "_WORTH", 0)
    return Hashed(monkeypatch)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that nobody has touched for a while."""
    path = tmp_path / "rows.csv"
    path.write_text("1")
    monkeypatch.setattr(time, "time_ns", lambda: path.stat().st_ctime_ns + 3_000_000_000)
    return path


def another_process(root: Root) -> Digests:
    digests._seen_here.cache_clear()  # what a process knows goes with it
    return Digests(root, NAME)


def test_what_one_process_has_read_another_knows_until_it_looks_otherwise(
    tmp_path: Path, hashed: Hashed, old: Path
) -> None:
    root = a_lab(tmp_path / "lab")
    first = Digests(root, NAME)
    known = first.of(str(old))
    first.keep()
    assert (another_process(root).of(str(old)), hashed.taken()) == (known, ["rows.csv"])
    old.write_text("2")
    assert another_process(root).of(str(old)) != known
    os.utime(old, ns=(1, 1))
    another_process(root).of(str(old))
    assert hashed.taken() == ["rows.csv", "rows.csv"]


def test_a_file_that_was_just_written_is_known_to_this_process_for_a_minute_and_to_no_other(
    tmp_path: Path, hashed: Hashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, new = a_lab(tmp_path / "lab"), tmp_path / "rows.csv"
    new.write_text("1")
    for _ in range(2):
        looked = Digests(root, NAME)
        looked.of(str(new))
        looked.keep()
    assert hashed.taken() == ["rows.csv"]
    another_process(root).of(str(new))
    assert hashed.taken() == ["rows.csv"]
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 100)
    Digests(root, NAME).of(str(new))
    assert hashed.taken() == ["rows.csv"]


@pytest.mark.parametrize("damage", [b"", b"{", b'{"format":1,"files":{"a":[1]}}', b'{"format":9,"files":{}}'])
def test_where_what_was_kept_is_damaged_everything_is_read_anew(
    tmp_path: Path, hashed: Hashed, old: Path, damage: bytes
) -> None:
    root = a_lab(tmp_path / "lab")
    first = Digests(root, NAME)
    known = first.of(str(old))
    first.keep()
    (kept,) = (tmp_path / "lab" / digests.FOLDER).iterdir()
    kept.write_bytes(damage)
    again = another_process(root)
    assert again.of(str(old)) == known
    again.keep()
    assert another_process(root).of(str(old)) == known
    assert hashed.taken() == ["rows.csv", "rows.csv"]


def test_a_digest_that_is_not_the_file_s_makes_one_run_void_and_is_forgotten(
    tmp_path: Path, hashed: Hashed, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = projects.make(tmp_path, project=only("ideation"))
    data = lab.folder / "inputs/rows.csv"
    monkeypatch.setattr(time, "time_ns", lambda: data.stat().st_ctime_ns + 3_000_000_000)
    first = Digests(lab.root, NAME)
    first.of(str(data))
    first.keep()
    (kept,) = (tmp_path / "lab" / digests.FOLDER).iterdir()
    kept.write_text(kept.read_text().replace(first.of(str(data)), "0" * 64))
    another_process(lab.root)
    running = projects.begun(lab)
    with pytest.raises(working.Void, match=r"rows\.csv"):
        working.perform(lab.root, NAME, running.manifest.run_id, say=lambda _: None, interrupted=str)
    assert not kept.exists()
    assert another_process(lab.root).of(str(data)) != "0" * 64


def test_status_reads_no_data_that_it_has_seen(tmp_path: Path, hashed: Hashed) -> None:
    lab = projects.make(tmp_path, project=only("ideation"))
    overview.of(lab.root, NAME)
    assert "rows.csv" in hashed.taken()
    overview.of(lab.root, NAME)
    overview.every(lab.root)
    assert hashed.taken() == []


@pytest.mark.parametrize("way", ["a turn", "guided"])
def test_nobody_reads_data_while_others_wait_for_the_section(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    lab = projects.make(tmp_path, project=only("ideation"))
    held: list[bool] = []
    real = contents.look

    def look(path: str) -> SealedFile | None:
        held.extend([sections.is_held(lab.root.layout.section(NAME))] if path.endswith("rows.csv") else [])
        return real(path)

    monkeypatch.setattr(contents, "look", look)
    if way == "guided":
        burst = Burst(lab.root, Order(experiment=NAME, runs=1), Wanted(), tell=lambda _: None, interrupted=str)
        burst.prepare()
        Guided(lab.root, burst, ask=lambda _: Word(how=APPROVE), actor="ann").run(wait_s=None)
    else:
        lab.take()
    assert [seal.run.outcome for seal in lab.seals()] == [SUCCESS]
    assert held == [False]
