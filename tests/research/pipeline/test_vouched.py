"""What the ledger and the runs of a project say is read once by a process, and anew where it is another's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.research.projects import overview
from lab.research.walk import vouched
from lab.research.work import working
from lab.store import bundles, ledger
from tests.research.pipeline import projects
from tests.research.pipeline.projects import NAME, only

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.core.seal import Seal
    from lab.store.ledger import Entry
    from lab.store.root import Root


@pytest.fixture
def starts(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Where the ledger was read from."""
    found: list[int] = []
    real = ledger.mentioning

    def mentioning(root: Root, start: int, experiment: str) -> Iterator[Entry]:
        found.append(start)
        return real(root, start, experiment)

    monkeypatch.setattr(ledger, "mentioning", mentioning)
    return found


def test_a_ledger_that_grew_is_read_from_where_it_was_left_and_another_one_from_its_beginning(
    tmp_path: Path, starts: list[int]
) -> None:
    lab = projects.make(tmp_path, project=only("literature", "ideation"))
    lab.take()
    starts.clear()
    first = dict(vouched.seals(lab.root, NAME))
    del starts[:]
    assert (vouched.seals(lab.root, NAME), starts) == (first, [])
    lab.take()
    del starts[:]
    both = dict(vouched.seals(lab.root, NAME))
    assert (len(first), len(both), 0 in starts) == (1, 2, False)
    events = Path(lab.root.layout.events)
    lines = events.read_bytes().splitlines(keepends=True)
    events.write_bytes(
        b"".join(each for each in lines if next(iter(first)).encode() not in each or b"run_sealed" not in each)
    )
    assert vouched.seals(lab.root, NAME) == {run: seal for run, seal in both.items() if run not in first}


def test_status_reads_no_seal_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = projects.make(tmp_path, project=only("literature", "ideation"))
    lab.to_end()
    overview.of(lab.root, NAME)
    read: list[str] = []
    real = bundles.load_seal

    def load_seal(path: str) -> tuple[Seal, bytes] | None:
        read.append(path)
        return real(path)

    monkeypatch.setattr(bundles, "load_seal", load_seal)
    assert [each.state for each in overview.of(lab.root, NAME).stages] == ["done", "done"]
    assert read == []
    seal = Path(lab.root.layout.run(NAME, bundles.names(lab.root, NAME)[0])) / "SEAL.json"
    seal.chmod(0o644)
    seal.write_bytes(seal.read_bytes().replace(b"success", b"failure"))
    assert [each.state for each in overview.of(lab.root, NAME).stages] == ["due", "not yet"]


def test_a_phase_that_builds_on_what_the_ledger_does_not_know_is_void(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = projects.make(tmp_path, project=only("implementation", "training"))
    lab.take()
    running = projects.begun(lab)
    monkeypatch.setattr(vouched, "seals", lambda *_: {})
    with pytest.raises(working.Void, match="is not in the ledger"):
        working.perform(lab.root, NAME, running.manifest.run_id, say=lambda _: None, interrupted=str)
