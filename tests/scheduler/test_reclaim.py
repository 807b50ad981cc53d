"""What dead and silent holders left is settled before anybody goes on, and nothing of it is lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import event, layout
from lab.core.errors import Busy, NotFound, Superseded
from lab.core.launch import Exit
from lab.core.record import encode
from lab.scheduler import closing, cycle, decisions, reclaim, refresh
from lab.store import bundles, leases, ledger, machine, reading, verify
from lab.testing.files import Crash, CrashingFiles, FullDisk
from tests.scheduler.labs import a_copy, a_lab, dead, ended, foreign, me, one_run, reopened, silent, tree, write

if TYPE_CHECKING:
    from lab.core.view import View
    from lab.store.root import Root

CHECKOUT = Path(__file__).resolve().parents[2]
# A worker that stops for its executioner before the first step that the argument names.
WORKER = """
import sys
from lab.scheduler import cycle
from lab.store.files import Files
from lab.testing.files import a_root
from tests.scheduler.labs import ended, me

class Halting(Files):
    def step(self, name, path):
        if f"{name} {path}".endswith(sys.argv[2]) or (sys.argv[2] in path and sys.argv[2].startswith("runs/")):
            print("here", flush=True)
            sys.stdin.read()

root = a_root(sys.argv[1], Halting(durable=False))
running = cycle.begin(root, "a", owner=me(), params={"lr": 0.1})
with open(f"{running.path}/stdout.log", "w") as file:
    file.write("half a line")
cycle.finish(root, running, ended(0.5, note="done"))
print("finished", flush=True)
"""


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a")


def view(root: Root) -> View:
    with root.section("a"):
        return refresh.catch_up(root, "a").view


def types(root: Root) -> list[str]:
    return [entry.line.event.type for entry in ledger.entries(root) if entry.line]


def killed_before(root: Root, step: str) -> None:
    command = [sys.executable, "-c", WORKER, root.layout.root, step]
    with subprocess.Popen(command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"here\n"
        child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    ("step", "outcomes"),
    [
        ("runs/.RUN-", {"success": 1}),  # after the claim: there was no run yet
        ("RESULT.md", {"crash": 1, "success": 1}),
        ("SEAL.json", {"success": 2}),
        ("events.jsonl", {"success": 2}),
        ("00000001.released", {"success": 2}),
    ],
    ids=["claim", "bundle", "close", "seal", "ledger"],
)
def test_a_worker_killed_after_any_stage_is_settled_by_the_next_begin(
    root: Root, step: str, outcomes: dict[str, int]
) -> None:
    killed_before(root, step)
    after = reopened(root)
    made = one_run(after, "a", 0.75)
    assert made.generation == 2
    assert view(after).outcomes == outcomes
    assert verify.verify(after).damage == ()
    assert verify.verify(after).unsealed == 0
    assert leases.survey(after, "a") == leases.Survey(highest=2)
    before = tree(after.layout.root)
    refresh.everything(after)
    assert tree(after.layout.root) == before


def test_a_killed_run_keeps_what_it_had_written_and_has_no_value(root: Root) -> None:
    killed_before(root, "RESULT.md")
    (settled,) = reclaim.reclaim(reopened(root), "a")
    path = root.layout.run("a", settled.run_id)
    found = bundles.load_seal(path)
    assert found is not None
    assert "sealed as crash" in settled.what
    assert (found[0].run.outcome, found[0].run.value, found[0].sealed_by) == ("crash", None, "watchdog")
    assert "died before the run had ended" in found[0].run.reason
    assert found[0].files["stdout.log"].size == len("half a line")
    assert types(root)[-2:] == [event.LEASE_TAKEN_OVER, event.RUN_SEALED]


def test_a_killed_run_is_charged_from_its_beginning_to_the_last_renewal_of_its_claim(root: Root) -> None:
    killed_before(root, "RESULT.md")
    (name,) = bundles.names(root, "a")
    begun_s = os.stat(root.layout.claim("a", 1)).st_mtime - 90.0
    os.utime(f"{root.layout.run('a', name)}/{layout.MANIFEST}", (begun_s, begun_s))
    reclaim.reclaim(reopened(root), "a")
    assert view(root).wall_s == pytest.approx(90.0, abs=0.01)
    assert view(root).whole_runs == 0


def test_a_run_that_was_closed_keeps_the_outcome_it_was_closed_with(root: Root) -> None:
    killed_before(root, "SEAL.json")
    reclaim.reclaim(reopened(root), "a")
    last = view(root).last
    assert last is not None
    assert (last.outcome, last.value, last.note) == ("success", 0.5, "done")


@pytest.mark.parametrize("left", [b"", b"\0\0\0\0", b"[]"])
def test_a_run_whose_parameters_a_power_cut_took_is_no_success(root: Root, left: bytes) -> None:
    """Its end was on the disk, and what it was given was not: a success of parameters that nobody knows."""
    killed_before(root, "SEAL.json")
    (name,) = bundles.names(root, "a")
    write(f"{root.layout.run('a', name)}/{layout.PARAMS}", left)
    reclaim.reclaim(reopened(root), "a")
    found = bundles.load_seal(root.layout.run("a", name))
    assert found is not None
    assert (found[0].run.outcome, found[0].run.value) == ("crash", None)
    assert "params.json is not what was written there" in found[0].run.reason


@pytest.mark.parametrize("left", ["a closed manifest", "exit.json"])
def test_a_run_that_ended_before_its_machine_started_again_is_no_success(
    root: Root, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    """How it ended was on the disk, and what it made may be empty: nothing of that waited."""
    killed_before(root, "SEAL.json" if left == "a closed manifest" else "RESULT.md")
    (name,) = bundles.names(root, "a")
    if left == "exit.json":
        write(f"{root.layout.run('a', name)}/{layout.EXIT}", encode(Exit(run_id=name, code=0)))
    monkeypatch.setattr(machine, "_boot_id", lambda: "of the next start")
    reclaim.reclaim(reopened(root), "a")
    found = bundles.load_seal(root.layout.run("a", name))
    assert found is not None
    assert (found[0].run.outcome, found[0].run.value) == ("crash", None)
    assert found[0].run.reason == closing.STOPPED


def test_a_run_that_its_machine_ended_is_told_as_before(root: Root, monkeypatch: pytest.MonkeyPatch) -> None:
    killed_before(root, "RESULT.md")
    monkeypatch.setattr(machine, "_boot_id", lambda: "of the next start")
    reclaim.reclaim(reopened(root), "a")
    last = view(root).last
    assert last is not None
    assert "died before the run had ended" in last.reason


def test_a_seal_without_its_ledger_line_is_recorded_not_made_again(root: Root) -> None:
    killed_before(root, root.layout.events)
    (name,) = bundles.names(root, "a")
    seal = reading.read(f"{root.layout.run('a', name)}/{layout.SEAL}")
    assert event.RUN_SEALED not in types(root)
    (settled,) = reclaim.reclaim(reopened(root), "a")
    assert settled.what == "it was sealed; its ledger line was written"
    assert reading.read(f"{root.layout.run('a', name)}/{layout.SEAL}") == seal
    assert types(root).count(event.RUN_SEALED) == 1


def test_a_seal_that_is_recorded_after_a_later_decision_keeps_its_place_before_it(root: Root) -> None:
    """Its place is that of its anchor: pages kept up must say what pages written anew say."""
    killed_before(root, root.layout.events)
    after = reopened(root)
    decisions.pause(after, "a", reason="enough", actor="ann")
    reclaim.reclaim(after, "a")
    assert [each.what for each in view(after).decisions if each.type == event.PHASE_CHANGED] == [
        "phase active -> paused"
    ]
    before = tree(after.layout.root)
    refresh.everything(after)
    assert tree(after.layout.root) == before


def test_there_is_nothing_to_settle_twice(root: Root) -> None:
    killed_before(root, "RESULT.md")
    after = reopened(root)
    assert len(reclaim.reclaim(after, "a")) == 1
    before = tree(root.layout.root)
    assert reclaim.reclaim(after, "a") == []
    assert tree(root.layout.root) == before


def test_a_run_of_a_living_process_is_left_alone(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    assert reclaim.reclaim(reopened(root), "a") == []
    cycle.finish(root, running, ended(0.5))


def test_a_foreign_holder_is_left_alone_until_it_is_silent(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    assert reclaim.reclaim(root, "a") == []
    with pytest.raises(Busy):
        cycle.begin(root, "a", owner=me())
    silent(running.lease.path)
    (settled,) = reclaim.reclaim(root, "a")
    assert "was silent" in settled.what
    assert os.path.isfile(f"{running.path}/{layout.SUPERSEDED}")
    assert bundles.load_seal(running.path) is None
    assert (view(root).runs, view(root).superseded) == (0, 1)


def test_a_holder_that_was_superseded_is_told_and_its_bundle_is_kept_but_never_counted(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    silent(running.lease.path)
    one_run(root, "a", 0.75)
    with pytest.raises(Superseded, match="generation 1 of a was taken over"):
        cycle.finish(root, running, ended(0.001))
    assert os.path.isfile(f"{running.path}/{layout.RESULT}")
    assert not os.path.exists(f"{running.path}/{layout.SEAL}")
    refresh.everything(root)
    best = view(root).best
    assert best is not None
    assert (view(root).runs, view(root).superseded, best.value) == (1, 1, 0.75)
    assert types(root).count(event.RUN_SUPERSEDED) == 1
    assert verify.verify(root).damage == ()


def test_a_holder_that_wakes_during_the_new_run_takes_nothing_from_it(root: Root) -> None:
    first = cycle.begin(root, "a", owner=foreign())
    silent(first.lease.path)
    second = cycle.begin(root, "a", owner=me())
    with pytest.raises(Superseded):
        first.lease.renew(root)
    with pytest.raises(Superseded):
        cycle.finish(root, first, ended(0.001))
    assert cycle.finish(root, second, ended(0.75)).generation == 2
    assert view(root).runs == 1


def test_a_holder_that_finishes_just_in_time_keeps_its_run(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    silent(running.lease.path)
    cycle.finish(root, running, ended(0.5))  # nobody had taken it yet
    assert view(root).runs == 1


def test_breaking_a_lease_by_hand_is_recorded_and_settles_the_run(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    (settled,) = reclaim.broken(root, "a", 1, actor="ann")
    assert settled.run_id == running.manifest.run_id
    with pytest.raises(Superseded):
        cycle.finish(root, running, ended(0.5))
    with pytest.raises(NotFound):
        reclaim.broken(root, "a", 1, actor="ann")
    assert view(root).runs == 0


def test_a_reclaim_that_is_stopped_anywhere_is_ended_by_the_next_one(tmp_path: Path) -> None:
    first = a_lab(tmp_path / "lab", "a")
    running = cycle.begin(first, "a", owner=dead())
    write(f"{running.path}/stdout.log", b"words")
    counted = CrashingFiles()
    reclaim.reclaim(a_copy(first.layout.root, "dry", counted), "a")
    for at in range(1, counted.steps + 1):
        second = a_copy(first.layout.root, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            reclaim.reclaim(second, "a")
        third = reopened(second)
        one_run(third, "a", 0.5)
        assert view(third).outcomes == {"crash": 1, "success": 1}, counted.log[at - 1]
        assert types(third).count(event.LEASE_TAKEN_OVER) == 1, counted.log[at - 1]
        assert verify.verify(third).damage == (), counted.log[at - 1]


@pytest.mark.parametrize("by", ["watchdog", "ann"])
def test_what_a_full_disk_keeps_out_of_the_ledger_is_not_taken_before_there_is_room(root: Root, by: str) -> None:
    cycle.begin(root, "a", owner=dead())

    def taken(writing: Root) -> None:
        reclaim.broken(writing, "a", 1, actor=by) if by == "ann" else reclaim.reclaim(writing, "a")

    with pytest.raises(OSError, match="No space left"):
        taken(reopened(root, FullDisk(at=1)))
    assert os.path.isfile(root.layout.claim("a", 1))
    taken(reopened(root))
    told = [entry.line.event for entry in ledger.entries(root) if entry.line]
    assert [each.actor for each in told if each.type == event.LEASE_TAKEN_OVER] == [by]
    assert view(root).outcomes == {"crash": 1}


def test_a_stop_between_marking_a_bundle_and_recording_it_is_made_good(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    silent(running.lease.path)
    counted = CrashingFiles()
    reclaim.reclaim(a_copy(root.layout.root, "dry", counted), "a")
    marked = max(at for at, (_, path) in enumerate(counted.log) if layout.SUPERSEDED in path)
    with pytest.raises(Crash):
        reclaim.reclaim(reopened(root, CrashingFiles(at=marked + 2)), "a")
    assert os.path.isfile(f"{running.path}/{layout.SUPERSEDED}")
    reclaim.reclaim(reopened(root), "a")
    assert view(root).superseded == 1


@pytest.mark.parametrize("spoilt", [b"", b"garbage", b"{}", b'{"format": 99}'])
def test_a_manifest_that_the_run_spoilt_is_kept_beside_and_the_run_is_a_crash(root: Root, spoilt: bytes) -> None:
    running = cycle.begin(root, "a", owner=dead())
    write(f"{running.path}/{layout.MANIFEST}", spoilt)
    one_run(root, "a", 0.5)
    assert view(root).outcomes == {"crash": 1, "success": 1}
    found = bundles.load_seal(running.path)
    assert found is not None
    assert found[0].files["manifest.damaged"].size == len(spoilt)


@pytest.mark.parametrize(
    "doctored", [{"wall_s": -1.0}, {"verdict": "great"}, {"metric_direction": "up"}, {"cost": -0.5}], ids=str
)
def test_a_manifest_with_numbers_that_cannot_be_does_not_block_the_experiment(
    root: Root, doctored: dict[str, object]
) -> None:
    running = cycle.begin(root, "a", owner=dead())
    told = {**msgspec.to_builtins(running.manifest), "status": "failed", **doctored}
    write(f"{running.path}/{layout.MANIFEST}", msgspec.json.encode(told))
    one_run(root, "a", 0.5)
    assert view(root).outcomes["success"] == 1


def test_a_folder_in_the_place_of_the_manifest_does_not_block_the_experiment(root: Root) -> None:
    running = cycle.begin(root, "a", owner=dead())
    os.unlink(f"{running.path}/{layout.MANIFEST}")
    os.mkdir(f"{running.path}/{layout.MANIFEST}")
    one_run(root, "a", 0.5)


def test_a_file_name_that_is_no_utf8_does_not_block_the_experiment(root: Root) -> None:
    running = cycle.begin(root, "a", owner=dead())
    with open(os.path.join(running.path.encode(), b"caf\xe9"), "wb"):
        pass
    one_run(root, "a", 0.5)


def test_claims_of_an_experiment_that_is_gone_are_settled_all_the_same(root: Root) -> None:
    cycle.begin(root, "a", owner=dead())
    shutil.rmtree(root.layout.experiment("a"))
    (settled,) = reclaim.reclaim(root, "a")
    assert "nothing was lost" in settled.what
    assert not os.path.exists(root.layout.experiment("a"))
