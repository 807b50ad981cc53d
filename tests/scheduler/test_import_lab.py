"""Two copies of one lab that were both worked on become one: every run is there, in one order, and all of it proved."""

from __future__ import annotations

import os
import shutil
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier
from typing import TYPE_CHECKING

import pytest

from lab.core import event, layout
from lab.core.errors import BadInput, Corrupt
from lab.core.view import PAUSED
from lab.scheduler import cycle, decisions, import_root, prune, refresh, watchdog
from lab.store import bundles, experiments, ledger, ledgers, reading, verify
from lab.store.files import Files
from lab.testing.files import BEGINNING, Crash, CrashingFiles, a_root
from tests.scheduler.labs import a_lab, an_experiment, dead, ended, identities, me, one_run, silent, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.view import View
    from lab.scheduler.import_root import Imported
    from lab.store.root import Root


def later(root: Root, hours: int, files: Files | None = None) -> Root:
    return a_root(root.layout.root, files, start=BEGINNING + timedelta(hours=hours))


def copied(root: Root, name: str, hours: int) -> Root:
    """A copy of a lab as it is, opened some hours later."""
    shutil.copytree(root.layout.root, f"{root.layout.root}-{name}", symlinks=True)
    return a_root(f"{root.layout.root}-{name}", start=BEGINNING + timedelta(hours=hours))


def taken(root: Root, other: Root, *, dry_run: bool = False) -> Imported:
    return import_root.import_root(root, other.layout.root, actor="ann", dry_run=dry_run)


def view(root: Root, experiment: str) -> View:
    with root.section(experiment):
        return refresh.catch_up(root, experiment).view


def told(root: Root) -> list[event.Event]:
    return [entry.line.event for entry in ledger.entries(root) if entry.line is not None]


def damage(root: Root) -> list[tuple[str, str]]:
    return [(each.kind, each.where) for each in verify.verify(root).damage]


def is_stable(root: Root) -> bool:
    """Whether the pages are those of a rebuild, byte for byte."""
    before = tree(root.layout.root)
    refresh.everything(root)
    return tree(root.layout.root) == before


@pytest.fixture
def here(tmp_path: Path) -> Root:
    """A lab with two runs in each of two experiments."""
    root = a_lab(tmp_path / "lab", "a", "b")
    for value in (0.5, 0.25):
        one_run(root, "a", value)
        one_run(root, "b", value)
    return root


@pytest.fixture
def there(here: Root) -> Root:
    """A copy of it; since then both were worked on, and the copy has an experiment of its own."""
    other = copied(here, "other", 5)
    for value in (0.125, 0.75):
        one_run(other, "a", value)
    an_experiment(other, "c")
    one_run(other, "c", 0.0625)
    one_run(later(here, 2), "a", 0.375)
    return other


def test_every_run_of_both_is_there_and_all_of_it_is_proved(here: Root, there: Root) -> None:
    done = taken(here, there)
    assert (done.experiments, done.runs, done.known) == (("a", "c"), 3, 4)
    for name in ("a", "c"):
        for run_id in bundles.names(there, name):
            assert tree(here.layout.run(name, run_id)) == tree(there.layout.run(name, run_id))
    assert (view(here, "a").runs, view(here, "b").runs, view(here, "c").runs) == (5, 2, 1)
    assert view(here, "a").best == view(there, "a").best
    assert damage(here) == []
    assert is_stable(here)


def test_what_was_copied_by_hand_before_is_proved_by_the_ledger_that_comes(here: Root, there: Root) -> None:
    for run_id in set(bundles.names(there, "a")) - set(bundles.names(here, "a")):
        shutil.copytree(there.layout.run("a", run_id), here.layout.run("a", run_id))
    watchdog.recover(here)
    assert {kind for kind, _ in damage(here)} == {"ledger-cut"}
    assert taken(here, there).runs == 1
    assert damage(here) == []


def test_the_runs_of_the_other_come_after_all_that_had_happened_here(here: Root, there: Root) -> None:
    for _ in range(30):
        one_run(there, "b", None, "failed")
    decisions.pause(here, "b", reason="enough", actor="ann")
    taken(here, there)
    assert view(here, "b").failure_streak == 30
    assert view(here, "b").phase == PAUSED
    decisions.resume(here, "b", reason="", actor="ann")
    assert view(here, "b").failure_streak == 0
    assert is_stable(here)


def test_the_ledger_is_kept_and_named(here: Root, there: Root) -> None:
    data = reading.read(there.layout.events)
    taken(here, there)
    (line,) = {each.seal: each for each in told(here) if each.type == event.ROOT_IMPORTED}.values()
    assert reading.read(here.layout.kept_ledger(line.seal)) == data
    assert (line.name, line.actor) == (there.layout.root, "ann")
    sealed = [each for each in told(here) if each.type == event.RUN_SEALED and each.name]
    assert {(each.name, each.reason) for each in sealed} == {(line.seal, f"taken over from {there.layout.root}")}
    assert all(ledgers.source(here, each.experiment, each.run_id) == there.layout.root for each in sealed)
    assert ledgers.source(here, "b", bundles.names(here, "b")[0]) == ""


def test_a_lease_has_a_number_that_none_had_in_either(here: Root, there: Root) -> None:
    last = cycle.begin(there, "a", owner=me())
    assert last.lease.claim.generation == 5
    taken(here, there)
    assert cycle.begin(here, "a", owner=me()).lease.claim.generation == 6


def test_an_experiment_that_is_not_here_comes_as_it_was_there(here: Root, there: Root) -> None:
    decisions.pause(there, "c", reason="it is dear", actor="bob")
    decisions.set_tier(there, "c", "final", reason="", actor="bob")
    taken(here, there)
    came, was = view(here, "c"), view(there, "c")
    assert (came.phase, came.tier, came.created_at) == (PAUSED, "final", was.created_at)
    assert reading.read(here.layout.spec("c")) == reading.read(there.layout.spec("c"))
    assert [each.reason for each in came.decisions] == ["it is dear", "1 runs of that lab"]


def test_of_two_specs_that_of_this_lab_stands(here: Root, there: Root) -> None:
    write(there.layout.spec("a"), (reading.read(there.layout.spec("a")) or b"") + b"priority: high\n")
    before = reading.read(here.layout.spec("a"))
    done = taken(here, there)
    assert done.notes[0] == "experiments/a: its SPEC.yaml is another one there; this lab's stands"
    assert reading.read(here.layout.spec("a")) == before
    assert view(here, "a").decisions[-1].reason.endswith("; its SPEC.yaml is another one there, and this lab's stands")


def test_a_second_import_finds_nothing_new_and_writes_nothing(here: Root, there: Root) -> None:
    taken(here, there)
    before = identities(here.layout.root)
    again = taken(here, there)
    assert (again.experiments, again.runs, again.known) == ((), 0, 7)
    assert identities(here.layout.root) == before


def test_two_imports_at_once_bring_each_run_once(here: Root, there: Root) -> None:
    together = Barrier(2)

    def go(mine: Root) -> Imported:
        together.wait()
        return taken(mine, there)

    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(go, (later(here, 6), later(here, 6))))
    assert sorted((each.runs, each.known) for each in done) == [(0, 7), (3, 4)]
    sealed = [(each.experiment, each.run_id) for each in told(here) if each.type == event.RUN_SEALED]
    assert len(sealed) == len(set(sealed))
    assert damage(here) == []


def test_of_a_lab_that_has_grown_only_what_is_new_comes(here: Root, there: Root) -> None:
    taken(here, there)
    one_run(later(there, 9), "b", 0.0625)
    done = taken(here, there)
    assert (done.experiments, done.runs, done.known) == (("b",), 1, 7)
    assert len(os.listdir(here.layout.kept_ledgers)) == 2
    assert damage(here) == []
    assert is_stable(here)


def test_a_dry_run_says_the_same_and_writes_nothing(here: Root, there: Root) -> None:
    before = identities(here.layout.root)
    would = taken(here, there, dry_run=True)
    assert identities(here.layout.root) == before
    assert not os.path.exists(here.layout.importing)
    done = taken(here, there)
    assert (would.experiments, would.runs, would.known) == (done.experiments, done.runs, done.known)


def test_the_other_lab_is_only_read(here: Root, there: Root) -> None:
    shutil.rmtree(there.layout.place("registry/cache"))
    before = identities(there.layout.root)
    taken(here, there)
    assert identities(there.layout.root) == before
    assert not os.path.exists(there.layout.place("registry/cache"))


def test_a_damaged_lab_is_refused(here: Root, there: Root) -> None:
    path = there.layout.run("c", bundles.names(there, "c")[0])
    write(f"{path}/metrics.json", b"{}")
    before = identities(here.layout.root)
    with pytest.raises(Corrupt, match=r"not as it was sealed.*metrics\.json") as refused:
        taken(here, there)
    assert refused.value.exit_code == 4
    assert f"labctl --data-root {there.layout.root} verify" in refused.value.fix
    assert identities(here.layout.root) == before


def test_a_lab_of_a_newer_labctl_is_refused(here: Root, there: Root) -> None:
    data = reading.read(there.layout.events) or b""
    write(there.layout.events, data.replace(b'"format":1', b'"format":2'))
    with pytest.raises(Corrupt, match="a newer labctl writes that lab") as refused:
        taken(here, there)
    assert refused.value.fix.startswith("upgrade labctl")


def test_a_run_that_is_another_one_here_is_refused_before_anything_is_written(here: Root) -> None:
    other = copied(here, "other", 5)
    for root, value in ((here, 0.125), (other, 0.75)):
        one_run(later(root, 7), "a", value)
    one_run(later(other, 9), "b", 0.125)
    before = identities(here.layout.root)
    with pytest.raises(BadInput, match="is another run here than there"):
        taken(here, other)
    assert identities(here.layout.root) == before


def test_a_run_that_is_in_an_archive_there_is_brought_back_first(here: Root, there: Root) -> None:
    for _ in range(5):
        one_run(there, "a", 0.5)
    prune.prune(later(there, 100), "a", prune.checked(5, None))
    with pytest.raises(BadInput, match="is in an archive there") as refused:
        taken(here, there)
    prune.restore(there, refused.value.fix.split()[5].rstrip(","))
    assert taken(here, there).runs == 8
    assert damage(here) == []


def test_a_lab_is_not_taken_into_itself(here: Root, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(here.layout.root)
    with pytest.raises(BadInput, match="this is the lab itself"):
        import_root.import_root(here, str(tmp_path / "link"), actor="ann")


def test_links_odd_names_and_programs_come_as_they_are(here: Root, there: Root) -> None:
    running = cycle.begin(there, "a", owner=me())
    folder = f"{there.layout.run('a', running.manifest.run_id)}/artifacts/deep"
    os.makedirs(folder)
    write(f"{folder}/run.sh", b"exit\n")
    os.chmod(f"{folder}/run.sh", 0o700)
    os.symlink("/nowhere/at/all", f"{folder}/link")
    with open(os.fsencode(folder) + b"/\xff", "wb") as odd:
        odd.write(b"x")
    cycle.finish(there, running, ended(0.5))
    taken(here, there)
    came = f"{here.layout.run('a', running.manifest.run_id)}/artifacts/deep"
    assert os.readlink(f"{came}/link") == "/nowhere/at/all"
    assert os.path.exists(os.fsencode(came) + b"/\xff")
    assert stat.S_IMODE(os.stat(f"{came}/run.sh").st_mode) == 0o500
    assert damage(here) == []


def test_a_lab_that_took_one_over_itself_brings_that_ones_ledger(here: Root, there: Root, tmp_path: Path) -> None:
    third = a_lab(tmp_path / "third", "d")
    one_run(third, "d", 0.5)
    taken(there, third)
    taken(here, there)
    assert len(os.listdir(here.layout.kept_ledgers)) == 2
    assert view(here, "d").runs == 1
    assert damage(here) == []
    taken(there, here)
    assert view(there, "a").runs == 5
    assert (damage(there), is_stable(there)) == ([], True)


@pytest.mark.parametrize(
    ("name", "kind"), [("ledger", "kept-ledger-edited"), ("gone", "kept-ledger-missing"), ("run", "file-edited"),
                       ("seal", "seal-edited")]
)  # fmt: skip
def test_what_was_taken_over_cannot_be_changed_unnoticed(here: Root, there: Root, name: str, kind: str) -> None:
    taken(here, there)
    kept = here.layout.place(f"registry/ledgers/{os.listdir(here.layout.kept_ledgers)[0]}")
    bundle = here.layout.run("c", bundles.names(here, "c")[0])
    if name == "gone":
        os.unlink(kept)
    else:
        path = {"ledger": kept, "run": f"{bundle}/params.json", "seal": f"{bundle}/SEAL.json"}[name]
        write(path, (reading.read(path) or b"").replace(b"0.0625", b"0.0624"))
    assert kind in {found for found, _ in damage(here)}


def test_runs_that_were_taken_over_are_pruned_in_their_order_and_proved_there(here: Root, there: Root) -> None:
    taken(here, there)
    before = [run.run_id for run in view(here, "a").recent]
    still = later(here, 20)
    for value in (1, 2, 3, 4, 5):
        one_run(still, "a", value)
    gone = prune.prune(later(here, 100), "a", prune.checked(5, None)).runs
    assert set(gone) <= set(before)
    assert len(gone) == 4  # the best stays
    assert damage(here) == []
    assert is_stable(here)


class Recovering(Files):
    """Somebody recovers the lab in the middle of the first copy, which looks as if nobody had been at it for long."""

    def __init__(self, root: Root) -> None:
        super().__init__(durable=False)
        self.root = root
        self.has_met = False

    def step(self, name: str, path: str) -> None:
        if name != "open" or f"{layout.DRAFT_SUFFIX}/" not in path or self.has_met or not os.path.isdir(draft(path)):
            return
        self.has_met = True
        for folder, _, names in os.walk(draft(path), topdown=False):
            for each in (*(f"{folder}/{file}" for file in names), folder):
                silent(each)
        assert watchdog.recover(self.root).done == ()


def draft(path: str) -> str:
    return path.partition(layout.DRAFT_SUFFIX)[0] + layout.DRAFT_SUFFIX


def test_a_copy_that_is_under_way_is_not_moved_aside(here: Root, there: Root) -> None:
    met = Recovering(here)
    taken(later(here, 30, met), there)
    assert met.has_met
    assert damage(here) == []
    assert is_stable(here)


def test_what_a_killed_import_had_copied_is_cleared_by_the_next_one(here: Root, there: Root) -> None:
    left = here.files.draft_beside(here.layout.run("a", bundles.names(there, "a")[-1]))
    left = left.replace(f"-{os.getpid()}-", f"-{dead().pid}-")
    os.mkdir(left)
    taken(here, there)
    assert not os.path.exists(left)


@pytest.mark.parametrize(("first", "begin", "every"), [("import", 1, 4), ("recover", 2, 9), ("refresh", 3, 9)])
def test_killed_at_any_step_the_same_again_finishes_it(
    here: Root, there: Root, first: str, begin: int, every: int
) -> None:
    counted = CrashingFiles()
    whole = copied(here, "whole", 30)
    taken(later(whole, 30, counted), there)
    assert counted.steps > 40
    for at in range(begin, counted.steps + 1, every):
        root = copied(here, f"at-{at}", 30)
        with pytest.raises(Crash):
            taken(later(root, 30, CrashingFiles(at=at)), there)
        assert {kind for kind, _ in damage(root)} <= {"unrecorded", "ledger-torn"}
        if first == "recover":
            watchdog.recover(root)
        elif first == "refresh":
            refresh.everything(root)
        taken(root, there)
        assert damage(root) == []
        for name in experiments.names(whole):
            assert (view(root, name).runs, bundles.names(root, name)) == (
                view(whole, name).runs, bundles.names(whole, name),
            ), at  # fmt: skip
            assert view(root, name).generation == view(whole, name).generation
        assert is_stable(root), at
        shutil.rmtree(root.layout.root)
