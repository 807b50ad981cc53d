"""Looking changes nothing; mending touches nobody alive; nothing is ever deleted."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.errors import Busy
from lab.scheduler import cycle, refresh, watchdog
from lab.store import bundles, experiments, leases, ledger, reading, verify
from tests.scheduler.labs import a_lab, dead, ended, foreign, identities, me, one_run, reopened, silent, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    lab = a_lab(tmp_path / "lab", "a", "b")
    one_run(lab, "a", 0.5)
    one_run(lab, "b", 0.25)
    return lab


def view(root: Root, name: str = "a") -> View:
    with root.section(name):
        return refresh.catch_up(root, name).view


def told(root: Root) -> str:
    return "\n".join(f"{each.where}: {each.what} ({each.fix})" for each in watchdog.look(root).alerts)


def aside(root: Root) -> dict[str, bytes]:
    return tree(root.layout.aside)


def quiet(root: Root) -> bool:
    """Whether there is nothing to report but, perhaps, a disk that is really full."""
    return not [each for each in watchdog.look(root).alerts if "GB are free" not in each.what]


def test_a_healthy_lab_has_no_alerts(root: Root) -> None:
    assert quiet(root)
    assert watchdog.look(root).live == ()


def test_looking_writes_nothing_whatever_there_is_to_see(root: Root) -> None:
    cycle.begin(root, "a", owner=dead())
    write(root.layout.claim("b", 9), b"garbage")
    write(root.layout.spec("b"), b"id: [")
    os.mkdir(f"{root.layout.experiments}/not an id")
    with open(root.layout.events, "ab") as file:
        file.write(b'{"torn')
    before = identities(root.layout.root)
    seen = told(root)
    assert identities(root.layout.root) == before
    for words in ("is lost", "cannot be read", "SPEC.yaml", "not an id", "cut off by a crash", "behind the ledger"):
        assert words in seen


def test_looking_names_who_is_at_work(root: Root) -> None:
    cycle.begin(root, "a", owner=me())
    cycle.begin(root, "b", owner=foreign())
    assert watchdog.look(root).live == ("a", "b")


def test_repair_settles_the_dead_and_leaves_the_living(root: Root) -> None:
    gone = cycle.begin(root, "a", owner=dead())
    alive = cycle.begin(root, "b", owner=me())
    (settled,) = watchdog.repair(root)
    assert (settled.experiment, settled.run_id) == ("a", gone.manifest.run_id)
    assert view(root, "a").outcomes == {"success": 1, "crash": 1}
    cycle.finish(root, alive, ended(0.125))
    assert quiet(root)


def test_recovering_a_healthy_lab_changes_no_byte(root: Root) -> None:
    before = identities(root.layout.root)
    seen = watchdog.recover(reopened(root))
    assert (seen.done, seen.left, seen.refreshed.written) == ((), (), 0)
    assert identities(root.layout.root) == before


@pytest.mark.parametrize("owner", [me, foreign], ids=["here", "elsewhere"])
def test_recovering_never_touches_live_work(root: Root, owner: object) -> None:
    assert callable(owner)
    running = cycle.begin(root, "a", owner=owner())
    write(f"{running.path}/stdout.log", b"half")
    before = tree(running.path)
    seen = watchdog.recover(root)
    assert (seen.done, seen.left, seen.under_way, seen.refreshed.findings) == ((), (), 1, ())
    assert tree(running.path) == before
    with pytest.raises(Busy):
        cycle.begin(root, "a", owner=me())
    cycle.finish(root, running, ended(0.125))
    assert view(root).runs == 2


def test_a_run_that_ends_while_the_lab_is_recovered_is_nothing_that_was_mended(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = cycle.begin(root, "a", owner=me())
    look = watchdog._known

    def then_it_ends(root: Root) -> object:
        known = look(root)
        cycle.finish(root, running, ended(0.125))
        return known

    monkeypatch.setattr(watchdog, "_known", then_it_ends)
    seen = watchdog.recover(root)
    assert (seen.done, seen.left, seen.under_way) == ((), (), 0)
    assert view(root).runs == 2


def test_recovering_seals_the_bundle_of_a_dead_owner_that_no_claim_speaks_for(root: Root) -> None:
    running = cycle.begin(root, "a", owner=dead())
    shutil.rmtree(root.layout.claims("a"))
    seen = watchdog.recover(root)
    assert "sealed as crash" in seen.done[0]
    assert bundles.load_seal(running.path) is not None
    assert view(root).outcomes == {"success": 1, "crash": 1}
    assert cycle.begin(root, "a", owner=me()).manifest.generation == 3


def test_what_a_power_cut_emptied_is_settled_where_a_claim_speaks_for_it_and_else_moved_aside(root: Root) -> None:
    claimed = cycle.begin(root, "a", owner=dead())
    write(f"{claimed.path}/{layout.MANIFEST}", b"")
    bare = cycle.begin(root, "b", owner=me())
    write(f"{bare.path}/{layout.MANIFEST}", b"")
    write(f"{bare.path}/stdout.log", b"half")
    assert any("labctl verify" in each for each in watchdog.recover(root).left)  # its claim stands
    shutil.rmtree(root.layout.claims("b"))
    seen = watchdog.recover(root)
    assert (seen.left, view(root).outcomes) == ((), {"success": 1, "crash": 1})
    assert not os.path.lexists(bare.path)
    assert {b"", b"half"} < set(aside(root).values())


def test_recovering_marks_a_bundle_whose_owner_cannot_be_known(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    shutil.rmtree(root.layout.claims("a"))
    watchdog.recover(root)
    assert os.path.isfile(f"{running.path}/{layout.SUPERSEDED}")
    assert (view(root).runs, view(root).superseded) == (1, 1)


def test_recovering_settles_a_silent_holder(root: Root) -> None:
    running = cycle.begin(root, "a", owner=foreign())
    silent(running.lease.path)
    watchdog.recover(root)
    assert leases.survey(root, "a").held == ()
    assert view(root).superseded == 1


def test_what_cannot_be_read_is_moved_aside_and_kept(root: Root) -> None:
    write(root.layout.claim("a", 9), b"garbage claim")
    silent(root.layout.claim("a", 9))
    os.mkdir(f"{root.layout.experiments}/not an id")
    write(f"{root.layout.experiments}/not an id/precious.txt", b"precious")
    os.mkdir(root.layout.run("a", "RUN-20260101-000000-000000-nobody"))
    write(f"{root.layout.run('a', 'RUN-20260101-000000-000000-nobody')}/notes.txt", b"no manifest")
    watchdog.recover(root)
    assert sorted(aside(root).values()) == [b"garbage claim", b"no manifest"]
    assert os.path.isfile(f"{root.layout.experiments}/not an id/precious.txt")  # somebody's own; it harms nobody
    one_run(root, "a", 0.125)


def test_a_generation_whose_damaged_claim_was_moved_aside_is_not_given_out_again(root: Root) -> None:
    running = cycle.begin(root, "a", owner=dead())
    write(running.lease.path, b"garbage")
    watchdog.recover(root)
    assert cycle.begin(root, "a", owner=me()).manifest.generation > running.manifest.generation


def test_a_seal_that_cannot_be_read_is_left_and_named(root: Root) -> None:
    path = root.layout.run("a", bundles.names(root, "a")[0])
    write(f"{path}/SEAL.json", b"garbage")
    seen = watchdog.recover(root)
    assert any("labctl verify" in each.fix for each in seen.refreshed.findings)
    assert reading.read(f"{path}/SEAL.json") == b"garbage"
    one_run(root, "b", 0.125)


def test_a_seal_that_the_ledger_does_not_know_is_recorded(root: Root) -> None:
    lines = (reading.read(root.layout.events) or b"").splitlines(keepends=True)
    write(root.layout.events, b"".join(lines[:-1]))  # a power cut took the last line
    os.unlink(root.layout.index)
    assert {each.kind for each in verify.verify(root).damage} == {"unrecorded"}
    seen = watchdog.recover(root)
    assert "its ledger line was written" in seen.done[0]
    assert verify.verify(root).damage == ()
    assert view(root, "b").runs == 1


def test_a_torn_ledger_line_is_ended_and_noted(root: Root) -> None:
    with open(root.layout.events, "ab") as file:
        file.write(b'{"torn')
    assert "ended and noted" in watchdog.recover(root).done[0]
    assert ledger.torn_tail(root) == b""
    assert (verify.verify(root).damage, verify.verify(root).torn) == ((), 1)


def test_an_experiment_without_its_event_is_announced(root: Root) -> None:
    shutil.copytree(root.layout.experiment("b"), f"{root.layout.root}/scratch/c")
    shutil.rmtree(f"{root.layout.root}/scratch/c/runs")
    write(
        f"{root.layout.root}/scratch/c/SPEC.yaml", (reading.read(root.layout.spec("b")) or b"").replace(b": b", b": c")
    )
    os.rename(f"{root.layout.root}/scratch/c", root.layout.experiment("c"))
    assert watchdog.recover(root).done == ("c: its creation was recorded",)
    assert view(root, "c").created_by == "recover"
    assert watchdog.recover(root).done == ()


def test_everything_derived_comes_back(root: Root) -> None:
    before = tree(root.layout.root)
    for name in experiments.names(root):
        for each in layout.EXPERIMENT_PAGES:
            os.unlink(root.layout.page(name, each))
    for name in layout.LAB_PAGES:
        os.unlink(root.layout.place(name))
    watchdog.recover(reopened(root))
    assert tree(root.layout.root) == before


@pytest.mark.parametrize(
    "place",
    [
        "", "registry", "experiments", "experiments/a", "experiments/a/runs", "registry/locks/a",
        "dispatch/ready/DISPATCH-20260102-030438-702050-a/run",  # of a worker that was killed while it took it
    ],
)  # fmt: skip
def test_drafts_that_nobody_writes_any_more_are_moved_aside(root: Root, place: str) -> None:
    path = f"{root.layout.place(place)}/.half.x-1-1.draft"
    os.makedirs(os.path.dirname(path), exist_ok=True)
    write(path, b"half")
    watchdog.recover(root)
    assert os.path.exists(path)  # it is young: somebody may be writing it
    silent(path)
    watchdog.recover(root)
    assert not os.path.exists(path)
    assert list(aside(root).values()) == [b"half"]


def test_a_draft_is_left_to_whoever_lives_and_one_that_still_grows_to_whoever_it_may_be(root: Root) -> None:
    runs = root.layout.runs("a")
    mine, filled = root.files.draft_beside(f"{runs}/mine"), f"{runs}/.filled.x-1-1.draft"
    gone = mine.replace(f"-{os.getpid()}-", f"-{dead().pid}-")
    for path in (mine, gone, filled):
        os.mkdir(path)
        write(f"{path}/half", b"half")
    for path in (f"{mine}/half", mine, filled):  # of the last one the file is young
        silent(path)
    watchdog.recover(root)
    assert [os.path.exists(path) for path in (mine, gone, filled)] == [True, False, True]
    silent(f"{filled}/half")
    silent(filled)
    watchdog.recover(root)
    assert [os.path.exists(path) for path in (mine, gone, filled)] == [True, False, False]


def test_a_root_that_lost_its_folders_and_pages_works_again(root: Root) -> None:
    for name in ("control", "dispatch", "digests", "registry/locks", "registry/cache"):
        shutil.rmtree(root.layout.place(name))
    watchdog.recover(root)
    assert os.path.isdir(root.layout.place("control/inbox"))
    assert one_run(root, "a", 0.125).generation == 2
