"""Pages are derived: delete them and every byte comes back; damage is one experiment's finding and stops no other."""

from __future__ import annotations

import json
import os
import shutil
from random import Random
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import event, layout
from lab.core.errors import BadInput
from lab.core.run import CANCELLED, CRASH, FAILED, TIMEOUT
from lab.projections import index
from lab.scheduler import cycle, decisions, refresh, watchdog
from lab.store import ledger, reading
from lab.store.files import Files
from tests.scheduler.labs import a_lab, an_experiment, derived, ended, identities, me, one_run, reopened, tree, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.core.view import View
    from lab.projections.index import Row
    from lab.store.root import Root

HISTORIES = 60


def live(root: Root, luck: Random, length: int) -> None:
    """Some runs and decisions, as chance will have it."""
    for _ in range(length):
        name = luck.choice(("a", "b"))
        match luck.randrange(8):
            case 0:
                decisions.pause(root, name, reason="enough", actor="ann")
            case 1:
                decisions.resume(root, name, reason="", actor="ann")
            case 2:
                decisions.set_tier(root, name, luck.choice(("proxy", "final")), reason="", actor="ann")
            case 3:
                one_run(root, name, None, luck.choice((FAILED, TIMEOUT, CRASH, CANCELLED)))
            case _:
                one_run(root, name, luck.choice((0.25, 0.5, 1e-9, -3.0, 7.0)))


def row(root: Root, name: str) -> Row:
    told = index.parse(reading.read(root.layout.index) or b"")
    assert told is not None
    return next(each for each in told.experiments if each.id == name)


def findings(root: Root) -> list[str]:
    return [f"{each.where}: {each.what}" for each in refresh.everything(root).findings]


def last_bundle(root: Root, name: str) -> str:
    folder = root.layout.runs(name)
    return f"{folder}/{max(os.listdir(folder))}"


@pytest.fixture
def two(tmp_path: Path) -> Root:
    """Two experiments with three runs each."""
    root = a_lab(tmp_path / "lab", "a", "b")
    for value in (0.5, 0.25, 0.75):
        one_run(root, "a", value)
        one_run(root, "b", value)
    return root


STALE = "refresh._write drops best-run.txt only in a whole rebuild: it stays after a move to a tier without a best"


def test_moving_to_a_tier_without_a_best_leaves_the_pages_that_a_refresh_would_write(two: Root) -> None:
    decisions.set_tier(two, "a", "final", reason="", actor="ann")
    before = tree(two.layout.root)
    refresh.everything(two)
    assert tree(two.layout.root) == before


def test_pages_kept_up_run_by_run_are_the_pages_written_anew(tmp_path: Path) -> None:
    for seed in range(HISTORIES):
        luck = Random(seed)
        root = a_lab(tmp_path / str(seed), "a", "b")
        live(root, luck, luck.randrange(1, 9))
        kept_up = tree(root.layout.root)
        refresh.everything(reopened(root))
        assert tree(root.layout.root) == kept_up, f"seed {seed}"
        for name in derived(root):
            os.unlink(root.layout.place(name))
        refresh.everything(reopened(root))
        assert tree(root.layout.root) == kept_up, f"seed {seed}"
        shutil.rmtree(root.layout.root)


def test_every_derived_file_comes_back_byte_for_byte(two: Root) -> None:
    before = tree(two.layout.root)
    gone = derived(two)
    assert len(gone) == len(layout.LAB_PAGES) + 2 * len(layout.EXPERIMENT_PAGES)
    for name in gone:
        os.unlink(two.layout.place(name))
    shutil.rmtree(two.layout.place("registry/cache"))
    refresh.everything(reopened(two))
    assert tree(two.layout.root) == before


def test_refreshing_a_lab_to_which_nothing_happened_writes_nothing(two: Root) -> None:
    before = identities(two.layout.root)
    assert refresh.everything(reopened(two)).written == 0
    assert identities(two.layout.root) == before


def test_refreshing_decides_nothing(two: Root) -> None:
    before = reading.read(two.layout.events)
    for name in derived(two):
        os.unlink(two.layout.place(name))
    refresh.everything(two)
    assert reading.read(two.layout.events) == before


@pytest.mark.parametrize("page", [layout.STATUS, layout.SUMMARY, layout.METRICS_LOG, layout.RESULTS, layout.BEST_RUN])
@pytest.mark.parametrize("damage", [b"", b"\xff\xfe\x00garbage", b'{"fold": {}}'])
def test_a_damaged_page_is_written_again(two: Root, page: str, damage: bytes) -> None:
    before = tree(two.layout.root)
    write(two.layout.page("a", page), damage)
    refresh.everything(two)
    assert tree(two.layout.root) == before


@pytest.mark.parametrize("page", [layout.STATUS, layout.METRICS_LOG, layout.RESULTS])
def test_the_next_run_mends_a_page_it_goes_on_from(two: Root, page: str) -> None:
    write(two.layout.page("a", page), b"garbage")
    one_run(two, "a", 0.125)
    assert refresh.everything(two).written == 0
    assert row(two, "a").run_count == 4


def test_a_page_that_says_more_than_happened_is_not_believed(two: Root) -> None:
    """An agent that edits its STATUS.json does not change what its runs were worth."""
    path = two.layout.status("a")
    data = reading.read(path) or b""
    write(path, data.replace(b"0.25", b"0.01"))
    one_run(two, "a", 0.5)
    assert row(two, "a").best_value == 0.25
    assert refresh.everything(two).written == 0


@pytest.mark.parametrize("damage", [b"", b"\x00" * 200, b"{}", b'{"format": 99}', b"\xff\xfe"])
def test_a_seal_that_cannot_be_read_is_a_finding_of_its_experiment_alone(two: Root, damage: bytes) -> None:
    others = tree(two.layout.experiment("b"))
    bundle = last_bundle(two, "a")
    write(f"{bundle}/{layout.SEAL}", damage)
    assert any(os.path.basename(bundle) in said and "seal" in said for said in findings(two))
    assert row(two, "a").run_count == 2
    assert row(two, "b").run_count == 3
    assert tree(two.layout.experiment("b")) == others
    one_run(two, "b", 0.1)
    one_run(two, "a", 0.1)
    assert row(two, "a").run_count == 3


def test_a_seal_that_was_edited_is_not_counted(two: Root) -> None:
    path = f"{last_bundle(two, 'a')}/{layout.SEAL}"
    write(path, (reading.read(path) or b"").replace(b"0.75", b"0.01"))
    assert any("not the one that the ledger recorded" in said for said in findings(two))
    assert row(two, "a").best_value == 0.25


def test_a_bundle_of_another_experiment_is_not_counted(two: Root) -> None:
    bundle = last_bundle(two, "a")
    shutil.copytree(bundle, f"{two.layout.runs('b')}/{os.path.basename(bundle)}")
    assert any("belongs to a" in said for said in findings(two))
    assert row(two, "b").run_count == 3


def test_a_bundle_that_is_gone_is_a_finding(two: Root) -> None:
    shutil.rmtree(last_bundle(two, "a"))
    assert any("a sealed run is gone" in said for said in findings(two))
    assert row(two, "a").run_count == 2


def test_a_damaged_manifest_changes_no_count(two: Root) -> None:
    write(f"{last_bundle(two, 'a')}/{layout.MANIFEST}", b"garbage")
    assert findings(two) == []
    assert row(two, "a").run_count == 3


def test_a_damaged_claim_changes_no_page_and_stops_no_other(two: Root) -> None:
    before = tree(two.layout.experiments)
    write(two.layout.claim("a", 99), b"garbage")
    assert findings(two) == []
    assert tree(two.layout.experiments) == before
    one_run(two, "b", 0.5)


def test_metrics_that_were_edited_by_hand_are_not_adopted(two: Root) -> None:
    bundle = last_bundle(two, "a")
    write(f"{bundle}/{layout.METRICS}", b'{"value": 0.0001, "loss": 0.0001}')
    assert any("a sealed file was changed" in said for said in findings(two))
    assert row(two, "a").best_value == 0.25
    table = (reading.read(two.layout.page("a", layout.METRICS_LOG)) or b"").splitlines()
    assert json.loads(table[-1])["value"] == 0.75
    assert b"0.0001" not in table[-1]


@pytest.mark.parametrize("text", [b"", b"id: [", b"\xff", b"id: zzz\n", b"id: a\nmetric_direction: up\n", b"- a\n"])
def test_a_spec_edited_into_nonsense_keeps_the_runs_and_says_so(two: Root, text: bytes) -> None:
    sound = reading.read(two.layout.spec("a")) or b""
    others = tree(two.layout.experiment("b"))
    good = tree(two.layout.experiment("a"))
    write(two.layout.spec("a"), text)
    assert any("SPEC.yaml" in said for said in findings(two))
    kept = row(two, "a")
    assert (kept.run_count, kept.best_value, kept.metric_direction) == (3, 0.25, "minimize")
    assert kept.attention
    assert tree(two.layout.experiment("b")) == others
    write(two.layout.spec("a"), sound)
    assert findings(two) == []
    assert tree(two.layout.experiment("a")) == good


def test_a_spec_that_is_gone_keeps_the_runs(two: Root) -> None:
    os.unlink(two.layout.spec("a"))
    assert any("SPEC.yaml is missing" in said for said in findings(two))
    assert row(two, "a").run_count == 3


def test_a_finding_stays_until_it_is_mended(two: Root) -> None:
    seal = f"{last_bundle(two, 'a')}/{layout.SEAL}"
    sound = reading.read(seal) or b""
    write(seal, b"garbage")
    for value in (0.5, 0.6):
        refresh.everything(two)
        one_run(two, "a", value)
        assert row(two, "a").attention
    write(seal, sound)
    assert findings(two) == []
    assert row(two, "a").run_count == 5


def test_a_finding_stays_when_the_tables_are_deleted(two: Root) -> None:
    write(f"{last_bundle(two, 'a')}/{layout.SEAL}", b"garbage")
    refresh.everything(two)
    for name in (layout.METRICS_LOG, layout.RESULTS):
        os.unlink(two.layout.page("a", name))
    one_run(two, "a", 0.5)
    assert refresh.everything(two).written == 0


def test_a_seal_of_the_best_run_that_was_damaged_since_stops_nobody(two: Root) -> None:
    best = row(two, "a").best_run
    write(f"{two.layout.run('a', best)}/{layout.SEAL}", b"garbage")
    os.unlink(two.layout.index)  # so that the next turn reads every experiment
    one_run(two, "b", 0.1)
    one_run(two, "a", 0.1)


@pytest.mark.parametrize("name", [layout.METRICS, layout.RESULT, layout.PARAMS])
def test_a_folder_in_the_place_of_a_sealed_file_is_a_finding(two: Root, name: str) -> None:
    path = f"{two.layout.run('a', row(two, 'a').best_run)}/{name}"
    os.unlink(path)
    os.mkdir(path)
    refresh.everything(two)
    assert row(two, "b").run_count == 3


@pytest.mark.parametrize("name", [layout.STATUS, layout.SUMMARY])
def test_a_folder_in_the_place_of_a_page_stops_no_other_experiment(two: Root, name: str) -> None:
    os.unlink(two.layout.page("a", name))
    os.mkdir(two.layout.page("a", name))
    two.files.discard(two.layout.page("b", layout.SUMMARY))
    refresh.everything(two)
    assert os.path.isfile(two.layout.page("b", layout.SUMMARY))


def test_an_index_never_says_less_than_the_ledger_place_it_names(two: Root) -> None:
    """One process folds its run; before it writes the index another one pauses; the pause must not be lost there."""
    with two.section("a"):
        mine = refresh.catch_up(two, "a")
    told = event.Event(type=event.PHASE_CHANGED, ts=two.now(), experiment="a", phase="paused", reason="stop", actor="b")
    ledger.append(two, told)
    refresh.lab_pages(two, (mine,))
    refresh.lab_pages(two)
    assert row(two, "a").phase == "paused"


def test_a_second_line_of_a_run_counts_nothing(two: Root) -> None:
    """Whether the pages know the run already, or hear of it twice at once."""

    def view(root: Root, name: str) -> View:
        with root.section(name):
            return refresh.catch_up(root, name).view

    runs = view(two, "a").runs
    behind = {name: reading.read(two.layout.place(name)) or b"" for name in derived(two)}
    run_id = one_run(two, "a", 0.75).run.run_id
    told = [entry.line.event for entry in ledger.entries(two) if entry.line and entry.line.event.run_id == run_id]
    ledger.append(two, told[-1])
    assert view(two, "a").runs == runs + 1
    for name, data in behind.items():
        write(two.layout.place(name), data)
    assert view(reopened(two), "a").runs == runs + 1
    ledger.append(two, msgspec.structs.replace(told[-1], seal="1" * 64))
    assert view(two, "a").runs == runs + 1
    assert refresh.everything(two).findings == ()


class Interrupted(Files):
    """At the first step on each of these paths, somebody else does something."""

    def __init__(self, **others: Callable[[], object]) -> None:
        super().__init__(durable=False)
        self.others = others

    def step(self, name: str, path: str) -> None:
        for part in [part for part in self.others if f"/{part}/" in path]:
            self.others.pop(part)()


def test_an_index_made_anew_loses_no_decision_that_was_made_meanwhile(two: Root) -> None:
    os.unlink(two.layout.index)
    os.unlink(two.layout.page("b", layout.SUMMARY))

    def pause() -> None:
        told = event.Event(type=event.PHASE_CHANGED, ts=two.now(), experiment="a", phase="paused", actor="b")
        ledger.append(two, told)

    refresh.lab_pages(reopened(two, Interrupted(b=pause)))
    refresh.lab_pages(two)
    assert row(two, "a").phase == "paused"


def test_a_refresh_of_everything_loses_no_decision_that_was_made_meanwhile(two: Root) -> None:
    def told(name: str) -> Callable[[], object]:
        made = event.Event(type=event.PHASE_CHANGED, ts=two.now(), experiment=name, phase="paused", actor="b")
        return lambda: ledger.append(two, made)

    for name in ("a", "b"):
        os.unlink(two.layout.page(name, layout.SUMMARY))
    at_b = Interrupted()

    def then() -> None:
        told("a")()
        at_b.others["a"] = told("b")  # while `a` is caught up under the pages' section, `b` moves on

    at_b.others["b"] = then
    refresh.everything(reopened(two, at_b))
    refresh.lab_pages(two)
    assert (row(two, "a").phase, row(two, "b").phase) == ("paused", "paused")


def test_an_index_that_missed_another_process_catches_up(two: Root) -> None:
    told = event.Event(type=event.PHASE_CHANGED, ts=two.now(), experiment="a", phase="paused", reason="stop", actor="b")
    ledger.append(two, told)  # that process died before its pages
    one_run(two, "b", 0.5)
    assert row(two, "a").phase == "paused"
    assert refresh.everything(two).written == 0


@pytest.mark.parametrize("damage", [b"", b"[]", b"\xff", b'{"schema_version": 99}'])
def test_a_damaged_index_is_made_again_by_the_next_run(two: Root, damage: bytes) -> None:
    write(two.layout.index, damage)
    one_run(two, "b", 0.5)
    assert row(two, "a").run_count == 3
    assert refresh.everything(two).written == 0


def test_a_new_spec_is_folded_from_the_beginning(two: Root) -> None:
    data = reading.read(two.layout.spec("a")) or b""
    write(two.layout.spec("a"), data + b"priority: high\n")
    one_run(two, "a", 0.5)
    assert row(two, "a").priority == "high"
    assert refresh.everything(two).written == 0


def test_a_spec_by_which_other_runs_would_be_best_is_no_new_one(two: Root) -> None:
    data = reading.read(two.layout.spec("a")) or b""
    before = row(two, "a")
    write(two.layout.spec("a"), data.replace(b"minimize", b"maximize"))
    with pytest.raises(BadInput, match="3 runs have values of loss in the tier proxy, minimized"):
        one_run(two, "a", 0.5)
    refresh.everything(two)
    told = row(two, "a")
    assert (told.best_value, told.metric_direction) == (before.best_value, before.metric_direction)
    assert refresh.everything(two).written == 0
    write(two.layout.spec("a"), data)
    one_run(two, "a", 0.5)
    assert row(two, "a").attention == before.attention
    assert refresh.everything(two).written == 0


def test_a_run_that_ends_under_another_metric_than_it_began_under_is_told_by_its_own(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    running = cycle.begin(root, "a", owner=me())
    data = reading.read(root.layout.spec("a")) or b""
    write(root.layout.spec("a"), data.replace(b"minimize", b"maximize"))
    refresh.everything(root)
    cycle.finish(root, running, ended(0.5))
    assert row(root, "a").metric_direction == "minimize"
    assert refresh.everything(root).written == 0
    with pytest.raises(BadInput, match="was changed"):
        one_run(root, "a", 0.5)


def test_an_experiment_that_was_removed_leaves_the_index(two: Root) -> None:
    an_experiment(two, "c")
    shutil.rmtree(two.layout.experiment("c"))
    refresh.everything(two)
    told = index.parse(reading.read(two.layout.index) or b"")
    assert told is not None
    assert [each.id for each in told.experiments] == ["a", "b"]


def test_a_page_folded_over_a_torn_ledger_line_is_the_page_written_anew(two: Root) -> None:
    with open(two.layout.events, "ab") as file:
        file.write(b'{"format":1,"seq":')
    one_run(two, "a", 0.5)
    one_run(two, "b", 0.5)
    assert row(two, "a").run_count == 4
    assert refresh.everything(two).written == 0


def test_a_cut_that_is_written_down_does_not_keep_the_index_back(tmp_path: Path) -> None:
    """Whatever the lengths of old and new lines are: the index must not go on from a byte of a ledger that is gone."""
    root = a_lab(tmp_path / "lab", "a", "b")
    one_run(root, "a", 0.5)
    os.unlink(root.layout.events)
    watchdog.recover(root)
    told = index.parse(reading.read(root.layout.index) or b"")
    assert told is not None
    assert told.ledger.end == reading.size_of(root.layout.events)
    decisions.pause(root, "b", reason="", actor="ann")
    cuts = [each for each in ledger.entries(root) if each.line and each.line.event.type == event.LEDGER_CUT]
    assert len(cuts) == 1
