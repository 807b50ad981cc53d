"""What the trial by fire found, each as the few steps that it comes to."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import layout, package
from lab.core.proposal import RUN as RUN_KIND
from lab.core.proposal import Proposal
from lab.core.record import page
from lab.scheduler import cycle, prune, reclaim, refresh, watchdog
from lab.scheduler.control import approvals, approved
from lab.scheduler.dispatch import mend, offers, working
from lab.store import packages, reading, verify
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.crash import invariants
from tests.scheduler.labs import a_lab, ended, foreign, me, one_run, reopened, silent, write
from tests.scheduler.parcels import claimed

if TYPE_CHECKING:
    from pathlib import Path


def test_a_runbook_of_a_refresh_that_was_killed_before_its_status_is_written_again(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    one_run(root, "a")
    running = cycle.begin(root, "a", owner=me())
    write(f"{running.path}/SEAL.json", b"[1]\n")  # a program may do that; it is named while the run goes on
    shutil.copytree(root.layout.root, tmp_path / "dry", copy_function=shutil.copy2)
    counted = CrashingFiles()
    refresh.everything(reopened(a_root(tmp_path / "dry"), counted))
    at = max(number for number, (_, path) in enumerate(counted.log, 1) if path.endswith(f"/{layout.RUNBOOK}"))
    with pytest.raises(Crash):
        refresh.everything(reopened(root, CrashingFiles(at=at + 1)))
    after = reopened(root)
    reclaim.broken(after, "a", running.lease.claim.generation, actor="ann")
    path = root.layout.page("a", layout.RUNBOOK)
    left = reading.read(path)
    os.unlink(path)
    refresh.everything(after)
    assert left == reading.read(path)


def test_what_a_killed_worker_began_to_say_is_cleared_out_of_a_package_that_was_set_aside(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    held = claimed(root)
    run = f"{held.path}/{package.RUN}"
    os.makedirs(run, exist_ok=True)
    write(f"{run}/.{layout.EXIT}.0123456789ab-1-1{layout.DRAFT_SUFFIX}", b"{")
    write(f"{run}/.notes.of-the-worker{layout.DRAFT_SUFFIX}", b"mine")
    reclaim.broken(root, "alpha", held.taken.generation, actor="ann")
    mend.mend(root)
    (place,) = packages.found(root, package.REFUSED)
    invariants.age_drafts(root.layout.root)
    watchdog.recover(root)
    kept = sorted(os.listdir(f"{root.layout.package(package.REFUSED, place.name)}/{package.RUN}"))
    assert [name for name in kept if name.startswith(".")] == [f".notes.of-the-worker{layout.DRAFT_SUFFIX}"]


@pytest.mark.parametrize("again", [False, True], ids=["gone", "made anew by its program"])
def test_a_worker_whose_package_was_set_aside_is_told_so(tmp_path: Path, *, again: bool) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    held = claimed(root)
    reclaim.broken(root, "alpha", held.taken.generation, actor="ann")
    mend.mend(root)
    if again:  # a program that makes its folder wherever it is to write
        os.makedirs(f"{held.path}/{package.RUN}/artifacts")
    said = working.finished(root, held, ended(0.5))
    assert said.kind == offers.PROBLEM
    assert "not held any more" in said.what or "was refused" in said.what, said
    mend.mend(root)
    assert packages.found(root, package.RUNNING) == []


def test_an_approved_run_whose_bundle_went_into_an_archive_is_not_made_again(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more="search_space: {x: {low: 0.0, high: 1.0}}\n")
    wanted = Proposal(kind=RUN_KIND, experiment="a", params={"x": 0.5}, reason="why not", asked_by="ann")
    approvals.approve(root, approvals.ask(root, wanted).proposal_id, actor="ann")
    ruling = approved.next_run(root, "a")
    assert ruling is not None
    running = cycle.begin(root, "a", owner=me(), params={"x": 0.5})
    approved.spend(root, ruling, running.manifest.run_id)
    cycle.finish(root, running, ended(9.0))
    for value in range(9):  # made without a look at what was approved
        one_run(root, "a", float(value))
    assert running.manifest.run_id in prune.prune(root, "a", prune.checked(5, None)).runs
    assert approved.next_run(root, "a") is None


def test_what_waits_is_what_was_asked_where_another_died_asking(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more="search_space: {x: {low: 0.0, high: 1.0}}\n")
    first = Proposal(kind=RUN_KIND, experiment="a", params={"x": 0.25}, reason="one", asked_by="ann")
    counted = CrashingFiles()
    shutil.copytree(root.layout.root, tmp_path / "dry", copy_function=shutil.copy2)
    approvals.ask(reopened(a_root(tmp_path / "dry"), counted), first)
    at = max(number for number, (name, path) in enumerate(counted.log, 1) if name == "link" and "approvals/a-1" in path)
    with pytest.raises(Crash):
        approvals.ask(reopened(root, CrashingFiles(at=at + 1)), first)
    after = reopened(root)
    asked = approvals.ask(after, msgspec.structs.replace(first, params={"x": 0.75}))
    assert (asked.proposal_id, asked.made) == ("a-1", True)
    assert approvals.approve(after, "a-1", actor="ann").params == {"x": 0.75}


def test_a_seal_that_the_program_of_a_superseded_run_writes_is_nothing_to_anybody(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    true = one_run(root, "a")
    running = cycle.begin(root, "a", owner=foreign())
    silent(running.lease.path)
    reclaim.reclaim(root, "a")
    forged = msgspec.structs.replace(
        true,
        generation=running.manifest.generation,
        run=msgspec.structs.replace(true.run, run_id=running.manifest.run_id),
    )
    for data in (b"[1]\n", page(forged)):
        write(f"{running.path}/{layout.SEAL}", data)
        seen = refresh.everything(root)
        assert (seen.runs, seen.findings) == (1, ())
        found = verify.verify(root)
        assert (found.runs, found.damage) == (1, ())
