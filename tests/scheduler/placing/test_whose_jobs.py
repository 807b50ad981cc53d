"""Of an engine that many use only the jobs of those are asked for who have some out in this lab."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.cli.surroundings import the_world
from lab.scheduler.placing import reconciling
from lab.store import jobs
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import BEGINNING, SteadyClock
from tests.scheduler.labs import a_lab
from tests.scheduler.placing import engine_double as double
from tests.scheduler.test_turn import add, take

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.job import Report
    from lab.engines.door import Ground

OWN, ANOTHER = 65_001, 65_002


@pytest.mark.parametrize(
    ("who", "submitted_by", "asked_for"),
    [
        (OWN, OWN, (OWN,)),
        (OWN, ANOTHER, (OWN, ANOTHER)),
        (OWN, -1, ()),  # it is not handed over yet, or an older labctl did it
        (0, ANOTHER, ()),  # root can end whatever nobody waits for
    ],
)
def test_an_engine_is_asked_for_the_jobs_of_those_who_have_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, who: int, submitted_by: int, asked_for: tuple[int, ...]
) -> None:
    engine = double.installed(monkeypatch)
    world = msgspec.structs.replace(the_world(), now=SteadyClock(BEGINNING + timedelta(minutes=5)))
    root = Root(a_lab(tmp_path / "lab").layout.root, world, files=Files(durable=False))
    (tmp_path / "lab/engines.yaml").write_text("default:\n  engine: double\n")
    add(root, "a")
    take(root)
    job = jobs.load(root, "a", 1)
    assert job is not None
    assert job.uid == os.geteuid()
    jobs.write(root, msgspec.structs.replace(job, uid=submitted_by))
    asked: list[tuple[int, ...]] = []
    listed = engine.listed

    def noting(prefix: str, ground: Ground) -> tuple[Report, ...]:
        asked.append(ground.users)
        return listed(prefix, ground)

    monkeypatch.setattr(engine, "listed", noting)
    monkeypatch.setattr(os, "geteuid", lambda: who)
    reconciling.reconcile(root)
    assert asked == [asked_for]
