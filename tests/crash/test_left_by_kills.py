"""What the sweeps over every verb found, each in a test of its own: what a kill left that nobody cleared or told of."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.errors import Unavailable
from lab.core.event import PACKAGE_COMPLETED, PACKAGE_INGESTED, RUN_SEALED
from lab.core.proposal import RUN, Proposal
from lab.scheduler import create, decisions, watchdog
from lab.scheduler.control import approvals
from lab.scheduler.control.proposals import AlreadyRuled
from lab.scheduler.results import export
from lab.store import ledger, leftovers, machine
from lab.store.files import Files
from lab.testing.files import Crash, CrashingFiles, a_root
from tests.crash import invariants
from tests.crash.driver import STOPPED, StopFiles
from tests.crash.forks import called
from tests.scheduler import parcels
from tests.scheduler.labs import SPEC, a_copy, a_lab, one_run, reopened

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.dispatch.offers import Held


def _half_written(path: str) -> int:
    StopFiles(0, "rename", path).replace(path, b"half")
    return 0


def test_the_draft_of_a_killed_export_goes_with_the_next_and_nothing_else_does(tmp_path: Path) -> None:
    place = tmp_path / "runs.csv"
    assert called(_half_written, str(place)).code == STOPPED
    (left,) = os.listdir(tmp_path)
    where, pid = machine.here(), os.getpid()
    gone = left.rpartition("-")[0].rpartition("-")[2]
    theirs = [
        f".runs.csv.{where}0000-{pid}-1.draft",  # somebody alive is at it
        f".runs.csv.{'0' * machine.HERE_CHARS}0000-{gone}-1.draft",  # of another machine
        f".runs.csv.bak.{where}0000-{gone}-1.draft",  # of another file
        ".runs.csv.draft",
        "runs.csv.draft",
    ]
    for name in theirs:
        (tmp_path / name).touch()
    of_the_boot_before = tmp_path / f".runs.csv.{'1' * machine.HERE_CHARS}0000-{pid}-1.draft"
    of_the_boot_before.touch()
    os.utime(of_the_boot_before, (0, 0))
    root = a_root(tmp_path / "lab")
    export.write(root, str(place), b"whole", yes=True)
    assert sorted(os.listdir(tmp_path)) == sorted([*theirs, "lab", "runs.csv"])


def test_a_folder_that_was_begun_goes_whole(tmp_path: Path) -> None:
    assert called(_half_laid_out, str(tmp_path / "code")).code == STOPPED
    assert len(os.listdir(tmp_path)) == 1
    leftovers.clear(Files(), str(tmp_path / "code"))
    assert os.listdir(tmp_path) == []


def _half_laid_out(path: str) -> int:
    StopFiles(0, "rename", path).create_folder(path, {"a": b"a"})
    return 0


class _UnsureFiles(Files):
    """A disk that does not say whether it has the names of a folder."""

    def sync_folder(self, path: str) -> None:
        raise OSError(5, os.strerror(5), path)


@pytest.mark.parametrize("yes", [True, False])
def test_a_file_whose_name_the_disk_did_not_confirm_is_said_to_be_there(yes: bool, tmp_path: Path) -> None:
    root = a_root(tmp_path / "lab", _UnsureFiles())
    with pytest.raises(Unavailable, match="is there and whole"):
        export.write(root, str(tmp_path / "runs.csv"), b"whole", yes=yes)
    assert (tmp_path / "runs.csv").read_bytes() == b"whole"


def test_what_was_decided_by_one_who_was_killed_is_told_by_whoever_decides_it_again(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    one_run(root, "alpha", 0.5)
    for at in range(1, 100):
        killed = a_copy(root.layout.root, str(at), CrashingFiles(at=at))
        try:
            decisions.pause(killed, "alpha", reason="", actor="ann")
        except Crash:
            after = reopened(killed)
            decisions.pause(after, "alpha", reason="", actor="ann")
            assert list(invariants._pages(after)) == [], at
        else:
            return
    pytest.fail("it never came to its end")


def test_a_word_that_holds_is_told_to_whoever_says_it_again_before_it_was_carried_out(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    asked = approvals.propose(root, Proposal(kind=RUN, experiment="alpha", params={"lr": 0.5})).proposal_id
    killed = a_copy(root.layout.root, "killed", Files())
    assert called(_approves_and_dies, killed.layout.root, asked).code == STOPPED
    after = reopened(killed)
    with pytest.raises(AlreadyRuled, match="is approved already by ann"):
        approvals.approve(after, asked, actor="ann")
    assert [each.proposal_id for each in approvals.expire(after)] == [asked]
    with pytest.raises(AlreadyRuled, match="is approved already by ann"):
        approvals.approve(after, asked, actor="ann")


def _approves_and_dies(path: str, asked: str) -> int:
    approvals.approve(a_root(path, StopFiles(0, "mkdir", "/approved/alpha")), asked, actor="ann")
    return 0


def test_an_experiment_of_a_verb_that_was_killed_before_it_was_announced_is_made_by_the_same_words(
    tmp_path: Path,
) -> None:
    root = a_lab(tmp_path / "lab")
    data = SPEC.format(id="alpha").encode()
    assert called(_writes_and_dies, root.layout.root, data).code == STOPPED
    assert create.written(root, data, str(tmp_path), actor="ann").made
    assert list(invariants._pages(root)) == []
    with pytest.raises(create.NameTaken):
        create.written(root, data, str(tmp_path), actor="ann")


def _writes_and_dies(path: str, data: bytes) -> int:
    create.written(a_root(path, StopFiles(0, "append", "/events.jsonl")), data, "/", actor="ann")
    return 0


def test_a_package_that_is_completed_again_after_a_kill_is_in_the_ledger_once(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    held = parcels.claimed(root)
    parcels.fill(held)
    assert called(_completes_and_dies, root.layout.root, held).code == STOPPED
    parcels.complete(root, held)
    events = [entry.line.event.type for entry in ledger.entries(root) if entry.line is not None]
    assert events.count(PACKAGE_COMPLETED) == 1


def test_a_package_that_is_taken_in_again_after_a_kill_is_in_the_ledger_once(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    parcels.completed(root)
    assert called(_ingests_and_dies, root.layout.root).code == STOPPED
    parcels.ingested(root)
    events = [entry.line.event.type for entry in ledger.entries(root) if entry.line is not None]
    assert (events.count(PACKAGE_INGESTED), events.count(RUN_SEALED)) == (1, 1)


def _ingests_and_dies(path: str) -> int:
    parcels.ingested(a_root(path, StopFiles(0, "link", "/SEAL.json")))
    return 0


def _completes_and_dies(path: str, held: Held) -> int:
    parcels.complete(a_root(path, StopFiles(0, "mkdir", "/dispatch/complete")), held)
    return 0


@pytest.mark.parametrize("place", ["", f"/{layout.LOOP_STEPS}/06-validation", "/a program's/own"])
def test_recovery_moves_what_was_begun_in_artifacts_and_nothing_of_the_program(tmp_path: Path, place: str) -> None:
    root = a_lab(tmp_path / "lab", "alpha")
    run_id = one_run(root, "alpha", 0.5).run.run_id
    folder = f"{root.layout.run('alpha', run_id)}/{layout.ARTIFACTS}{place}"
    os.makedirs(folder)
    pid = called(_pid).lines[0]
    ours = f".decision.json.{machine.here()}0000-{pid}-0.draft"
    theirs = [".model.bin.draft", f".model.bin.{pid}-0.draft", "notes.draft"]
    for name in (ours, *theirs):
        with open(f"{folder}/{name}", "wb"):
            pass
        os.utime(f"{folder}/{name}", (0, 0))
    watchdog.recover(root)
    assert sorted(os.listdir(folder)) == sorted(theirs)


def test_recovery_moves_what_was_begun_in_a_workers_folder_and_nothing_of_the_workers(tmp_path: Path) -> None:
    """The parameters of a package whose worker died as it laid them there stayed as a draft for good."""
    root = a_lab(tmp_path / "lab", "alpha")
    folder = f"{parcels.claimed(root).path}/run"
    os.makedirs(folder, exist_ok=True)
    before = set(os.listdir(folder))
    pid = called(_pid).lines[0]
    ours = [f".{name}.{machine.here()}0000-{pid}-0.draft" for name in ("params.json", "exit.json", "chunk.json")]
    theirs = f".model.bin.{machine.here()}0000-{pid}-0.draft"
    for name in (*ours, theirs):
        with open(f"{folder}/{name}", "wb"):
            pass
        os.utime(f"{folder}/{name}", (0, 0))
    watchdog.recover(root)
    assert set(os.listdir(folder)) - before == {theirs}


def _pid() -> int:
    os.write(1, str(os.getpid()).encode())
    return 0
