"""A data root that the first release wrote. It is never regenerated: what it says must be read for ever."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.ended import Ended
from lab.scheduler import cycle, refresh, watchdog
from lab.store import bundles, leases, ledger, machine, reading
from lab.store.verify import verify
from lab.testing.files import BEGINNING, a_root

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.store.root import Root

V1 = Path(__file__).parent / "v1" / "root"
RECORDS, RUNS = 18, 8


@pytest.fixture
def root(tmp_path: Path) -> Root:
    shutil.copytree(V1, tmp_path / "lab", symlinks=True)
    opened = a_root(tmp_path / "lab", start=BEGINNING.replace(year=2027))
    os.utime(opened.layout.claim("score", 4))  # its holder renewed it just now, however old this checkout is
    return opened


def view(root: Root, experiment: str) -> View:
    with root.section(experiment):
        return refresh.catch_up(root, experiment).view


def test_everything_that_was_sealed_is_still_as_it_was_sealed(root: Root) -> None:
    found = verify(root)
    assert found.damage == ()
    assert (found.records, found.runs, found.torn, found.unsealed) == (RECORDS, RUNS, 1, 2)


def test_history_is_read_as_it_was_told(root: Root) -> None:
    seen = view(root, "lr-sweep")
    assert (seen.phase, seen.phase_reason, seen.tier, seen.runs) == ("paused", "waiting for data", "final", 6)
    assert seen.outcomes == {"cancelled": 1, "failed": 1, "success": 3, "timeout": 1}
    assert {name: run.value for name, run in seen.bests.items()} == {"final": 0.75, "proxy": 0.25}
    other = view(root, "score")
    # Its crash ended with the lab, which counted in the streak until decision 61.
    assert (other.phase, other.runs, other.superseded, other.failure_streak) == ("active", 2, 1, 0)
    assert view(root, "quiet").phase == "queued"


def test_its_seals_claims_and_lines_can_be_read(root: Root) -> None:
    for name in ("lr-sweep", "score"):
        for run_id in bundles.names(root, name):
            path = root.layout.run(name, run_id)
            assert bundles.load_manifest(path) is not None
            assert bundles.load_seal(path) is not None or run_id.endswith("-scout")
    held = leases.load(root, "score", 4, layout.CLAIM_SUFFIX)
    assert held is not None
    assert (held.owner.name, held.owner.host) == ("worker-1", "host-a/12345678")
    assert sum(entry.line is not None for entry in ledger.entries(root)) == RECORDS


def test_its_pages_can_be_written_again_and_it_can_go_on(root: Root) -> None:
    done = refresh.everything(root)
    assert (done.experiments, done.runs, done.findings) == (3, RUNS, ())
    assert b"lr-sweep" in (reading.read(root.layout.lab_status) or b"")
    assert refresh.everything(root).written == 0
    running = cycle.begin(root, "quiet", owner=machine.this_process("me"))
    cycle.finish(root, running, Ended(outcome="success", value=1.0))
    assert view(root, "quiet").runs == 1
    assert verify(root).damage == ()


def test_recovery_leaves_the_claim_of_another_host_alone(root: Root) -> None:
    done = watchdog.recover(root)
    assert leases.load(root, "score", 4, layout.CLAIM_SUFFIX) is not None
    assert (done.under_way, done.left) == (1, ())
    assert verify(root).damage == ()
