"""One run from its claim to its release, and what a stop in between leaves."""

from __future__ import annotations

import json
import os
import threading
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import canonical, event, layout
from lab.core.ended import Ended
from lab.core.errors import BadInput, Busy, NotFound, Unavailable
from lab.core.launch import GRACE_S
from lab.core.record import page
from lab.core.run import CRASH, FAILED
from lab.scheduler import cycle, decisions, reclaim, refresh
from lab.store import bundles, leases, ledger, reading, verify
from lab.testing.files import Crash, CrashingFiles, FullDisk
from tests.scheduler.labs import a_copy, a_lab, an_experiment, dead, ended, me, one_run, reopened, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a")


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def test_a_run_leaves_a_sealed_bundle_that_says_what_happened(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me(), params={"lr": 0.1}, plan="# My plan\n")
    assert sorted(os.listdir(running.path)) == ["manifest.json", "params.json", "plan.md"]
    made = cycle.finish(root, running, ended(0.5, note="a note", signals=("new",), cost=0.25))
    assert sorted(made.files) == ["RESULT.md", "manifest.json", "metrics.json", "params.json", "plan.md"]
    assert (made.generation, made.run.iteration, made.run.tier) == (1, 1, "proxy")
    assert (made.run.outcome, made.run.value, made.run.direction) == ("success", 0.5, "minimize")
    assert (made.run.note, made.run.signals, made.run.cost) == ("a note", ("new",), 0.25)
    assert made.run.worker == me().host.partition("/")[0]
    metrics = json.loads(reading.read(f"{running.path}/metrics.json") or b"")
    assert metrics == {"seen": 7, "metric": "loss", "value": 0.5, "iteration": 1}
    assert reading.read(f"{running.path}/plan.md") == b"# My plan\n"
    assert not [each for each in os.listdir(running.path) if layout.is_draft(each)]
    assert verify.verify(root).damage == ()


def test_a_finished_run_is_recorded_folded_and_released(root: Root) -> None:
    made = one_run(root, "a", 0.5)
    last = list(ledger.entries(root))[-1].line
    data = reading.read(f"{root.layout.run('a', made.run.run_id)}/{layout.SEAL}") or b""
    assert last is not None
    assert (last.event.type, last.event.run_id, last.event.seal) == (
        event.RUN_SEALED,
        made.run.run_id,
        canonical.digest(data),
    )
    assert view(root).runs == 1
    assert leases.survey(root, "a") == leases.Survey(highest=1)
    assert (reading.read(root.layout.page("a", layout.LATEST_RUN)) or b"").decode().strip() == made.run.run_id


def test_a_failed_run_has_no_value_whatever_it_claimed(root: Root) -> None:
    made = one_run(root, "a", 0.0, FAILED)
    assert made.run.value is None
    metrics = json.loads(reading.read(f"{root.layout.run('a', made.run.run_id)}/metrics.json") or b"")
    assert metrics["value"] is None
    assert view(root).best is None


def test_what_the_run_wrote_itself_is_kept(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    write(f"{running.path}/{layout.RESULT}", b"# My own words\n")
    write(f"{running.path}/{layout.METRICS}", b'{"mine": 1}')
    cycle.finish(root, running, ended(0.5, result="not mine"))
    assert reading.read(f"{running.path}/{layout.RESULT}") == b"# My own words\n"
    assert reading.read(f"{running.path}/{layout.METRICS}") == b'{"mine": 1}'


def test_an_experiment_has_one_run_at_a_time_unless_it_allows_more(root: Root) -> None:
    an_experiment(root, "wide", "max_parallel: 2\n")
    cycle.begin(root, "a", owner=me())
    with pytest.raises(Busy, match="a is held"):
        cycle.begin(root, "a", owner=me())
    first = cycle.begin(root, "wide", owner=me())
    second = cycle.begin(root, "wide", owner=me())
    with pytest.raises(Busy):
        cycle.begin(root, "wide", owner=me())
    for running, value in ((second, 0.5), (first, 0.25)):  # the later one ends first
        cycle.finish(root, running, ended(value))
    before = tree(root.layout.root)
    refresh.everything(root)
    assert tree(root.layout.root) == before
    assert view(root, "wide").runs == 2


def test_roles_take_turns(root: Root) -> None:
    an_experiment(root, "roles", "worker_roles: [scout, miner]\n")
    assert [one_run(root, "roles").run.role for _ in range(3)] == ["scout", "miner", "scout"]


def test_a_run_under_way_goes_on_while_a_person_decides(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    decisions.pause(root, "a", reason="enough", actor="ann")
    cycle.finish(root, running, ended(0.5))
    assert (view(root).phase, view(root).runs) == ("paused", 1)


def test_an_experiment_that_is_not_there_is_refused_and_nothing_is_written(root: Root) -> None:
    before = tree(root.layout.root)
    with pytest.raises(NotFound):
        cycle.begin(root, "b", owner=me())
    assert tree(root.layout.root) == before


def test_a_spec_that_cannot_be_used_starts_nothing(root: Root) -> None:
    write(root.layout.spec("a"), b"id: [")
    with pytest.raises(BadInput):
        cycle.begin(root, "a", owner=me())
    assert leases.survey(root, "a") == leases.Survey()
    assert bundles.names(root, "a") == []


@pytest.mark.parametrize(
    "bad",
    [
        Ended(outcome="great"),
        Ended(outcome="success", value=float("nan")),
        Ended(outcome="success", metrics={"x": float("nan")}),
        Ended(outcome="success", wall_s=-1.0),
        Ended(outcome="success", cost=float("inf")),
        Ended(outcome="success", verdict="great"),
    ],
)
def test_an_end_that_cannot_be_is_refused_before_anything_is_written(root: Root, bad: Ended) -> None:
    running = cycle.begin(root, "a", owner=me())
    before = tree(root.layout.root)
    with pytest.raises(BadInput):
        cycle.finish(root, running, bad)
    assert tree(root.layout.root) == before
    cycle.finish(root, running, ended(0.5))


def test_a_file_whose_name_is_no_utf8_is_sealed_too(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    with open(os.path.join(running.path.encode(), b"caf\xe9.txt"), "wb") as file:
        file.write(b"x")
    made = cycle.finish(root, running, ended(0.5))
    assert len(made.files) == 5
    assert verify.verify(root).damage == ()


def test_a_pipe_in_the_place_of_the_result_is_not_waited_for(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    pipe = f"{running.path}/{layout.RESULT}"
    os.mkfifo(pipe)
    waited_for = 0
    worker = threading.Thread(target=cycle.finish, args=(root, running, ended(0.5)))
    worker.start()
    while worker.is_alive():
        try:
            os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))  # works only while somebody waits at the other end
            waited_for += 1
        except OSError:
            worker.join(0.005)
    assert waited_for == 0


def test_a_run_stopped_before_any_write_is_reclaimed_and_the_next_one_goes_on(tmp_path: Path) -> None:
    counted, owner = CrashingFiles(), dead()
    lab = a_lab(tmp_path / "lab", "a").layout.root
    one_run(a_copy(lab, "dry", counted), "a", 0.5, owner=owner)
    for at in range(counted.steps):
        stopped = a_copy(lab, str(at), CrashingFiles(at=at + 1))
        with pytest.raises(Crash):
            one_run(stopped, "a", 0.5, owner=owner)
        told = f"stopped before step {at + 1}: {counted.log[at]}"
        after = reopened(stopped)
        one_run(after, "a", 0.25)
        seen = view(after)
        assert seen.runs in (1, 2), told
        assert (seen.best.value if seen.best else None) == 0.25, told
        assert all(run.outcome in ("success", CRASH) for run in seen.recent), told
        assert verify.verify(after).damage == (), told
        assert verify.verify(after).unsealed == 0, told
        before = tree(after.layout.root)
        refresh.everything(after)
        assert tree(after.layout.root) == before, told


def test_a_run_that_was_sealed_counts_wherever_its_maker_died_afterwards(tmp_path: Path) -> None:
    counted, owner = CrashingFiles(), dead()
    lab = a_lab(tmp_path / "lab", "a").layout.root
    one_run(a_copy(lab, "dry", counted), "a", 0.5, owner=owner)
    sealed = next(at for at, step in enumerate(counted.log) if step[0] == "link" and step[1].endswith("SEAL.json"))
    for at in range(sealed + 2, counted.steps + 1):
        stopped = a_copy(lab, str(at), CrashingFiles(at=at))
        with pytest.raises(Crash):
            one_run(stopped, "a", 0.5, owner=owner)
        after = reopened(stopped)
        one_run(after, "a", 0.75)
        assert view(after).runs == 2
        assert [run.outcome for run in view(after).recent] == ["success", "success"]
        assert view(after).outcomes == {"success": 2}


def test_a_full_disk_at_the_start_leaves_no_claim_that_a_living_process_forgot(tmp_path: Path) -> None:
    disk = FullDisk()
    root = a_lab(tmp_path / "lab", "a", files=disk)
    running = cycle.begin(root, "a", owner=me())
    cycle.finish(root, running, ended(0.5))
    disk.steps, disk.at = 0, 5  # the claim takes three steps, then the bundle
    with pytest.raises(OSError, match="No space"):
        cycle.begin(root, "a", owner=me())
    disk.free()
    cycle.finish(root, cycle.begin(root, "a", owner=me()), ended(0.5))


def test_a_run_whose_finish_a_full_disk_refused_is_settled_by_the_next_one(tmp_path: Path) -> None:
    lab = a_lab(tmp_path / "lab", "a").layout.root
    for at in range(1, 40):
        disk = FullDisk()
        root = a_copy(lab, str(at), disk)
        running = cycle.begin(root, "a", owner=me())
        disk.steps, disk.at = 0, at
        try:
            cycle.finish(root, running, ended(0.5))
            assert at > 20
            return
        except OSError:
            disk.free()
        one_run(root, "a", 0.75)
        seen = view(root)
        assert seen.runs == 2, at
        assert [run.value for run in seen.recent] in ([0.5, 0.75], [None, 0.75]), at
        assert seen.recent[0].outcome in ("success", CRASH), at
        assert verify.verify(root).damage == (), at
    pytest.fail("a run never got by with forty writes")


@pytest.mark.parametrize("is_linked", [True, False])
def test_a_run_that_takes_its_bundle_away_has_failed_and_says_so(
    root: Root, tmp_path: Path, *, is_linked: bool
) -> None:
    running = cycle.begin(root, "a", owner=me(), params={"lr": 0.1})
    os.rename(running.path, tmp_path / "elsewhere")
    if is_linked:
        os.symlink(tmp_path / "elsewhere", running.path)
    made = cycle.finish(root, running, ended(1.0))
    assert (made.run.outcome, made.run.value) == (FAILED, None)
    assert ("in place of its bundle" if is_linked else "took its bundle away") in made.run.reason
    assert verify.verify(root).damage == ()
    assert (tmp_path / "elsewhere" / "manifest.json").read_bytes() == page(running.manifest)
    assert "a" not in leases.unsettled(root)


def test_a_run_that_links_its_bundle_away_and_dies_is_counted_too(root: Root, tmp_path: Path) -> None:
    running = cycle.begin(root, "a", owner=dead(), params={"lr": 0.1})
    os.rename(running.path, tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", running.path)
    (settled,) = reclaim.reclaim(root, "a")
    assert "sealed as crash" in settled.what
    assert verify.verify(root).damage == ()


def test_nothing_is_sealed_through_a_link_in_place_of_all_runs(root: Root, tmp_path: Path) -> None:
    running = cycle.begin(root, "a", owner=me(), params={"lr": 0.1})
    os.rename(root.layout.runs("a"), tmp_path / "runs")
    os.symlink(tmp_path / "runs", root.layout.runs("a"))
    with pytest.raises(Unavailable, match="runs/ is not a folder"):
        cycle.finish(root, running, ended(1.0))
    assert not ledger.tells(root, event.RUN_SEALED, "a", running.manifest.run_id)


def test_the_lease_lasts_longer_than_the_budget(root: Root) -> None:
    an_experiment(root, "long", "time_budget: 5000s\n")
    running = cycle.begin(root, "long", owner=me())
    assert running.lease.claim.ttl_s == 5000 + GRACE_S + cycle.SEAL_GRACE_S


def test_a_view_of_a_hundred_runs_is_as_large_as_one_of_twenty(root: Root) -> None:
    sizes = []
    for number in range(60):
        one_run(root, "a", 0.5 + number)
        sizes.append(len(msgspec.json.encode(view(root))))
    assert sizes[-1] - sizes[20] < 100  # a digit here and there
