"""`status` and `list`: none, one, many; and what other processes wrote since the index."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.scheduler import cycle, decisions, refresh
from lab.store import ledger
from tests.cli.labs import SHIM, a_busy_lab, a_lab, dead, ended, me, one_run, whole_tree
from tests.cli.searches import a_searched_lab
from tests.scheduler.labs import an_experiment

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl

# Lines of a ledger, valid JSON or not, that are no events.
NONSENSE = (
    b"[]",
    b"{" * 5000,
    b"\xff\xfe",
    b'{"event": 3}',
    b'{"event": []}',
    b'{"event": {"type": "run_sealed", "experiment": []}}',
    b'{"event": {"type": "experiment_created", "experiment": {}}}',
    b'{"event": {"type": ["x"], "experiment": "alpha"}}',
    b"[" * 200_000,
)
DAMAGED = (
    b"",
    b"{",
    b"[]",
    b"null",
    b"3",
    b"{}",
    b"\xff\xfe\x00",
    b"[" * 100_000,
    b'{"ledger": {"end": 0}}',
    b'{"ledger": {"end": "x"}, "experiments": [], "alerts": [], "as_of": ""}',
    b'{"ledger": {"end": 0}, "experiments": [{"id": "alpha"}], "alerts": [], "as_of": ""}',
    b'{"ledger": {"end": 0}, "experiments": [[]], "alerts": [], "as_of": ""}',
    b'{"ledger": {"end": 0}, "experiments": {"id": 1}, "alerts": [], "as_of": ""}',
    b'{"ledger": {"end": 0}, "experiments": [{"id": 3, "phase": []}], "alerts": 5, "as_of": ""}',
)


def stale(root: Root, labctl: Labctl) -> Path:
    """A copy of the index as it is now, to be put back after more has happened: another process was killed there."""
    kept = Path(root.layout.root).parent / "index-before"
    shutil.copy2(root.layout.index, kept)
    return kept


def rows_of(data: dict[str, object], key: str) -> list[dict[str, object]]:
    found = data[key]
    assert isinstance(found, list)
    return found


def test_a_lab_with_nothing_in_it(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    said = labctl.done("status")
    lines = said.out.splitlines()
    assert lines[:3] == [f"data_root: {place}", "experiments: 0", "runs: 0"]
    assert lines[3].startswith("free_gb: ")
    assert lines[4:] == ["as of: the beginning"]
    assert said.err == "next: labctl create first-run\n"
    assert labctl.done("list") == (0, "No experiments\n", "next: labctl create first-run\n")
    assert labctl.done("list", "--json").data == {"experiments": [], "left_out": 0}


def test_a_lab_with_one_experiment(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    assert "experiments: 1\n  queued: 1\nruns: 0\n" in labctl.done("status").out
    assert (
        labctl.done("list").out == "alpha\tqueued\ttier=proxy\tclass=default\truns=0\tbest=-\tfind the learning rate\n"
    )
    assert labctl.done("list", "alpha").out == "No runs\n"
    one_run(root, "alpha", 0.25)
    status = labctl.done("status").out
    assert "experiments: 1\n  active: 1\nruns: 1\n" in status
    assert "  alpha  proxy  runs 1  loss 0.25  last success\n" in status


def test_many_experiments_are_all_listed_and_status_stays_on_a_screen(labctl: Labctl, place: Path) -> None:
    root = a_lab(place)
    for number in range(25):
        an_experiment(root, f"e{number:02d}")
        one_run(root, f"e{number:02d}", float(number))
    assert len(labctl.done("list").out.splitlines()) == 25
    status = labctl.done("status").out
    assert "experiments: 25\n  active: 25\nruns: 25\n" in status
    assert "  and 5 more: labctl list\n" in status
    assert len(status.splitlines()) < 40


def test_what_wants_a_person_stands_first(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    for _ in range(5):
        one_run(root, "beta", None, "failed")
    decisions.pause(root, "beta", reason="5 failures in a row", actor="policy")
    lines = labctl.done("status").out.splitlines()
    assert lines[0] == "what wants you (1):"
    assert lines[1].startswith("  beta: paused: 5 failures in a row")
    assert "labctl resume beta" in lines[2]
    labctl.done("archive", "beta")
    assert not labctl.done("status").out.startswith("what wants you")


def test_each_experiment_that_is_not_archived_has_a_line_with_its_phase_and_why(labctl: Labctl, place: Path) -> None:
    """README's path is pause, resume, status: one that was paused vanished from it, reason and all."""
    root = a_lab(place, "alpha", "beta", "gamma", "old")
    one_run(root, "alpha", 0.25)
    one_run(root, "beta", 0.5)
    decisions.pause(root, "beta", reason="no more money", actor="ann")
    labctl.done("complete", "old", "--reason", "done")
    labctl.done("archive", "old")
    out = labctl.done("status").out
    assert "  alpha  proxy  runs 1  loss 0.25  last success\n" in out
    assert "  beta  paused (no more money)  proxy  runs 1  loss 0.5  last success\n" in out
    assert "  gamma  queued  proxy  runs 0\n" in out
    assert "  old" not in out
    decisions.pause(root, "gamma", reason="x" * 300, actor="ann")
    assert f"  gamma  paused ({'x' * 100}...)  proxy" in labctl.done("status").out
    data = labctl.done("status", "--json").data
    assert [row["id"] for row in rows_of(data, "active")] == ["alpha"]
    told = [(row["id"], row["phase"], row["phase_reason"]) for row in rows_of(data, "inactive")]
    assert told == [("beta", "paused", "no more money"), ("gamma", "paused", "x" * 199 + "…")]


def test_a_list_says_why_an_experiment_is_paused_and_by_whom(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    one_run(root, "alpha", 0.25)
    before = labctl.done("list").out
    assert "because" not in before
    decisions.pause(root, "beta", reason="no more money", actor="ann")
    for behind in (False, True):
        lines = labctl.done("list").out.splitlines()
        assert lines[0] == before.splitlines()[0]
        assert lines[1].endswith("\tbecause no more money (by ann)")
        row = rows_of(labctl.done("list", "--json").data, "experiments")[1]
        assert (row["phase_reason"], row["phase_by"]) == ("no more money", "ann"), behind
        decisions.resume(root, "beta", reason="", actor="bob")
        told = event.Event(
            type=event.PHASE_CHANGED, ts=root.now(), experiment="beta", phase="paused", reason="no more money",
            actor="ann",
        )  # fmt: skip
        ledger.append(root, told)  # which no page knows of yet


def test_what_is_proposed_is_told_with_its_parameters(labctl: Labctl, place: Path, tmp_path: Path) -> None:
    root = a_searched_lab(place)
    (tmp_path / "p.json").write_text(json.dumps({"lr": 0.5, "depth": 3, "kind": "adam"}))
    labctl.done("propose", "sweep", "--params", str(tmp_path / "p.json"), "--reason", "a hunch")
    told = 'asks to run with given parameters (depth=3, kind="adam", lr=0.5): a hunch'
    assert told in labctl.done("status").out
    assert told.replace("_", "\\_") in (place / "LAB-STATUS.md").read_text()
    refresh.everything(root)
    assert told in labctl.done("status").out


def test_of_many_that_are_not_active_the_first_are_shown(labctl: Labctl, place: Path) -> None:
    a_lab(place, *(f"e{number:02d}" for number in range(13)))
    out = labctl.done("status").out
    assert out.count("  queued  proxy  runs 0\n") == 10
    assert "  and 3 more: labctl list\n" in out


def test_a_problem_of_a_spec_says_where_and_that_the_file_was_mended_since(labctl: Labctl, place: Path) -> None:
    """It was told until the next turn, of a file that was whole again: people mended what was not broken."""
    root = a_lab(place, "alpha")
    spec = Path(root.layout.spec("alpha"))
    whole = spec.read_bytes()
    spec.write_bytes(b"metric: [loss\n")
    labctl("run-once")
    told = labctl.done("status").out
    assert "  alpha: this is not YAML" in told
    assert "(in experiments/alpha/SPEC.yaml line 1)" in told
    spec.write_bytes(whole)
    told = labctl.done("status").out
    assert "(so it was; experiments/alpha/SPEC.yaml was edited since)\n    fix: labctl refresh looks again\n" in told
    labctl.done("refresh")
    assert "what wants you" not in labctl.done("status").out


def test_looking_changes_nothing(labctl: Labctl, place: Path) -> None:
    a_busy_lab(place)
    before = whole_tree(place)
    for words in (("status",), ("list",), ("list", "alpha"), ("status", "--json")):
        labctl.done(*words)
    assert whole_tree(place) == before


def test_runs_and_phases_that_the_index_does_not_know_are_counted_in(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta")
    before = stale(root, labctl)
    one_run(root, "alpha", 0.5)
    an_experiment(root, "gamma")
    decisions.pause(root, "beta", reason="", actor="ann")
    shutil.copy2(before, root.layout.index)
    said = labctl.done("status")
    assert "experiments: 3\n  active: 1\n  queued: 1\n  paused: 1\nruns: 1\n" in said.out
    assert "the pages are 3 events behind" in said.err
    assert "labctl refresh" in said.err
    rows = dict(line.split("\t", 1) for line in labctl.done("list").out.splitlines())
    assert "runs=1" in rows["alpha"]
    assert rows["beta"].startswith("paused")
    assert rows["gamma"].startswith("queued")
    labctl.done("refresh")
    assert labctl.done("status", "--json").data["behind"] == 0


def test_a_second_line_of_a_run_is_not_counted_in(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    before = stale(root, labctl)
    run_id = one_run(root, "alpha", 0.5).run.run_id
    told = [entry.line.event for entry in ledger.entries(root) if entry.line and entry.line.event.run_id == run_id]
    ledger.append(root, told[-1])
    assert labctl.done("status", "--json").data["runs"] == 1  # the index knows the run
    shutil.copy2(before, root.layout.index)
    assert labctl.done("status", "--json").data["runs"] == 1  # both of its lines are news
    assert labctl("verify").out.startswith(f"sealed-twice\tregistry/events.jsonl\ta second line says that {run_id} of")


def test_a_line_that_is_being_written_is_no_reason_to_stumble(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    with open(root.layout.events, "ab") as file:
        file.write(b'{"format":1,"seq":9,"ev')
    assert "experiments: 1\n" in labctl.done("status").out
    assert labctl.done("list").out.startswith("alpha\t")


@pytest.mark.parametrize("line", NONSENSE, ids=lambda line: line[:50].decode(errors="replace"))
def test_nonsense_in_the_ledger_is_stepped_over(line: bytes, labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    with open(root.layout.events, "ab") as file:
        file.write(line + b"\n")
    assert "experiments: 1\n" in labctl.done("status").out
    assert labctl.done("list").out.startswith("alpha\t")
    assert labctl("verify").code == 4


@pytest.mark.parametrize("index", DAMAGED, ids=lambda index: index[:60].decode(errors="replace"))
def test_a_damaged_index_is_named_with_its_remedy(index: bytes, labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    whole = Path(root.layout.index).read_bytes()
    Path(root.layout.index).write_bytes(index)
    for words in (("status",), ("list",), ("list", "alpha")):
        said = labctl(*words)
        assert said.code in (4, 5), said
        assert "LAB-INDEX.json" in said.err
        assert "labctl refresh" in said.err
    labctl.done("show", "alpha")
    labctl.done("refresh")
    assert Path(root.layout.index).read_bytes() == whole


def test_a_missing_index_is_written_again_by_any_verb_that_writes(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    Path(root.layout.index).unlink()
    assert labctl("status").code == 5
    labctl.done("pause", "alpha")
    assert "runs: 6\n" in labctl.done("status").out


@pytest.mark.parametrize("table", [b"[1]\n", b"{\n", b"\xff\n", b"null\n", b'{"run_id": 3}\n', b"{}\n"])
def test_a_damaged_table_of_runs_is_named_with_its_remedy(table: bytes, labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    Path(root.layout.page("alpha", "metrics.jsonl")).write_bytes(table)
    for more in ((), ("--outcome", "success"), ("--last", "1")):
        said = labctl("list", "alpha", *more)
        assert said.code in (4, 5), said
        assert "experiments/alpha/metrics.jsonl" in said.err
        assert "labctl refresh" in said.err
    assert len(labctl.done("list", "beta").out.splitlines()) == 3
    labctl.done("refresh")
    assert len(labctl.done("list", "alpha").out.splitlines()) == 3


def test_a_run_that_ends_while_the_index_is_read_is_counted_once(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    running = cycle.begin(root, "alpha", owner=me())
    before = stale(root, labctl)
    cycle.finish(root, running, ended(1.0))
    told = json.loads(Path(root.layout.events).read_text().splitlines()[-1])["event"]["type"]
    assert told == event.RUN_SEALED
    for _ in range(2):
        assert "runs: 1\n" in labctl.done("status").out
    shutil.copy2(before, root.layout.index)
    assert "runs: 1\n" in labctl.done("status").out
    assert labctl.done("status", "--json").data["behind"] == 1
    ledger.append(root, event.Event(type="something_of_a_later_labctl", ts=root.now()))
    assert labctl.done("status", "--json").data["behind"] == 2


def test_what_later_lines_say_of_an_outcome_a_tier_and_a_phase_is_shown_and_the_best_is_marked_as_old(
    labctl: Labctl, place: Path
) -> None:
    root = a_lab(place, "alpha", "beta")
    one_run(root, "alpha", 0.25)
    before = stale(root, labctl)
    as_of = str(labctl.done("status", "--json").data["as_of"])
    one_run(root, "alpha", None, "failed")
    decisions.set_tier(root, "beta", "final", reason="", actor="ann")
    one_run(root, "alpha", 0.125)
    shutil.copy2(before, root.layout.index)
    said = labctl.done("status", "--json")
    assert said.data["behind"] == 3
    assert said.data["behind_experiments"] == ["alpha", "beta"]
    assert str(said.data["as_of"]) > as_of
    active = said.data["active"]
    assert isinstance(active, list)
    (alpha,) = active
    assert (alpha["run_count"], alpha["last_outcome"], alpha["best_value"], alpha["behind"]) == (3, "success", 0.25, 2)
    text = labctl.done("status")
    assert "loss 0.25 (without 2 events)  last success\n" in text.out
    assert (
        "the pages are 3 events behind; phases, tiers and run counts below include them, bests do not: labctl refresh"
    ) in text.err
    listed = labctl.done("list")
    assert "beta\tqueued\ttier=final\t" in listed.out
    assert "bests do not" in listed.err


def test_a_phase_of_a_later_line_brings_or_takes_what_wants_a_person(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    before = stale(root, labctl)
    line = event.Event(type="phase_changed", ts=root.now(), experiment="alpha", phase="awaiting-human", reason="a\x1bb")
    ledger.append(root, line)
    shutil.copy2(before, root.layout.index)
    assert "  alpha: waits for a person: a b\n" in labctl.done("status").out
    ledger.append(root, event.Event(type="phase_changed", ts=root.now(), experiment="alpha", phase="active"))
    assert labctl.done("status", "--json").data["wants_you"] == []


def test_a_best_of_another_tier_is_not_shown_for_the_new_one(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    one_run(root, "alpha", 0.25)
    before = stale(root, labctl)
    decisions.set_tier(root, "alpha", "final", reason="", actor="ann")
    shutil.copy2(before, root.layout.index)
    assert "tier=final\tclass=default\truns=1\tbest=-\t" in labctl.done("list").out


def test_a_research_project_tells_what_it_found_in_the_place_of_a_best(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    row = {"id": "alpha", "phase": "active", "tier": "training", "run_count": 2, "last_outcome": "success"}
    told = {"experiments": [{**row, "found": "8 of 8 runs", "metric": "phases_done"}], "ledger": {"end": 10**9}}
    Path(root.layout.index).write_text(json.dumps({"alerts": [], "as_of": "", **told}))
    assert "  alpha  training  runs 2  8 of 8 runs  last success\n" in labctl.done("status").out
    assert labctl.done("list").out == "alpha\tactive\ttier=training\tclass=default\truns=2\tfound=8 of 8 runs\t\n"


def test_a_clock_that_was_ahead_once_is_told_with_what_may_have_ended_by_it(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    assert "clock" not in labctl.done("status").err
    row = {"id": "alpha", "tier": "default", "phase": "completed", "phase_reason": "hard stop", "as_of": "2262-04-11T0"}
    told = {"experiments": [row], "ledger": {"end": 10**9}, "alerts": [], "as_of": "2262-04-11T0"}
    Path(root.layout.index).write_text(json.dumps(told))
    said = labctl.done("status").err
    assert "a clock was ahead once: `as of` is 2262-04-11T0" in said
    assert "labctl resume alpha" in said


def test_a_run_without_a_value_says_why_in_its_line(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    one_run(root, "alpha", 0.25)
    running = cycle.begin(root, "alpha", owner=me(), params={})
    cycle.finish(root, running, ended(None, "failed", reason="it ended with exit code 5: no such column"))
    good, bad = labctl.done("list", "alpha").out.splitlines()
    assert good.split("\t")[1:] == ["success", "0.25", "tier=proxy", "role=scout"]
    assert bad.split("\t")[1:3] == ["failed", "-"]
    assert bad.split("\t")[-1].startswith("it ended with exit code 5: no such column")


def test_an_experiment_whose_folder_is_gone_is_left_out_and_named(labctl: Labctl, place: Path) -> None:
    root = a_busy_lab(place)
    shutil.rmtree(root.layout.experiment("beta"))
    said = labctl.done("status")
    assert "experiments: 1\n" in said.out
    assert "without a folder, left out: beta" in said.err
    assert "beta" not in labctl.done("list").out


@pytest.mark.parametrize(
    "crafted",
    [
        {"ledger": {"end": -1}},
        *({"experiments": [{"id": name, "phase": "active"}]} for name in ("../x", ".x", "", "a/b", "a\x1b", "a\x00")),
        {"experiments": [{"id": "alpha", "phase": "active", "run_count": -1}]},
        {"experiments": [{"id": "alpha", "phase": "active", "run_count": 10**4000}]},
        {"experiments": [{"id": "alpha", "phase": "active", "best_value": [1]}]},
        {"experiments": [{"id": "alpha", "phase": "active", "best_value": float("inf")}]},
        {"experiments": [{"id": "alpha", "phase": "active", "as_of": 3}]},
        {"experiments": [{"id": "alpha", "phase": "active", "found": 3}]},
    ],
    ids=lambda crafted: str(crafted)[:70],
)
def test_a_crafted_index_is_refused_in_words(crafted: dict[str, object], labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    whole = {"ledger": {"end": 0}, "experiments": [], "alerts": [], "as_of": "", **crafted}
    Path(root.layout.index).write_text(json.dumps(whole))
    for verb in ("status", "list"):
        said = labctl(verb)
        assert said.code == 5
        assert "labctl refresh" in said.err


def test_claims_are_counted_whether_their_holder_lives_or_not(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta", "gamma")
    assert labctl.done("status", "--json").data["claims"] == {}
    cycle.begin(root, "alpha", owner=dead())
    cycle.begin(root, "beta", owner=me())
    one_run(root, "gamma", 0.5)
    assert labctl.done("status", "--json").data["claims"] == {"alpha": 1, "beta": 1}
    assert "under way or to be settled: 2, of alpha, beta (labctl lease show)\n" in labctl.done("status").out
    labctl("watchdog", "--repair")
    assert labctl.done("status", "--json").data["claims"] == {"beta": 1}


def test_an_experiment_of_which_no_turn_can_begin_a_run_wants_you_until_it_is_mended(
    labctl: Labctl, place: Path, tmp_path: Path
) -> None:
    a_lab(place)
    (tmp_path / "s.yaml").write_text("id: c\nmetric: loss\ncadence: 0s\nexecutor_command: echo {params.lrr}\n")
    labctl.done("create", str(tmp_path / "s.yaml"))
    assert labctl("run-once").code == 1
    (wish,) = labctl.done("status", "--json").data["wants_you"]
    assert (wish["experiment"], wish["what"].partition(":")[0]) == ("c", "no run can be begun")
    assert "{params.lrr} has no value" in wish["what"]
    assert "search_space" in wish["fix"]
    assert "no run can be begun: {params.lrr}" in labctl("watchdog").all
    before = whole_tree(place)
    assert labctl("run-once").code == 1  # it is said once, not every ten minutes
    assert whole_tree(place) == before
    pages = [place / "LAB-INDEX.json", place / "experiments/c/STATUS.json"]
    told = [page.read_bytes() for page in pages]
    labctl.done("refresh")
    assert [page.read_bytes() for page in pages] == told
    spec = place / "experiments/c/SPEC.yaml"
    spec.write_text(spec.read_text().replace("{params.lrr}", "METRIC loss=1"))
    assert "no run can be begun" not in labctl("watchdog").all
    labctl.done("run-once")
    assert labctl.done("status", "--json").data["wants_you"] == []


def test_what_was_missing_and_is_there_wants_nobody_as_soon_as_a_run_has_begun(
    labctl: Labctl, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_lab(place)
    look = f"{sys.executable} {SHIM} status --json --data-root {place} > {tmp_path}/seen; echo METRIC value=1"
    (tmp_path / "s.yaml").write_text(f"id: c\ncadence: 0s\nshell: true\nenv: [MINE]\nexecutor_command: '{look}'\n")
    labctl.done("create", str(tmp_path / "s.yaml"))
    assert labctl("run-once").code == 1
    assert len(labctl.done("status", "--json").data["wants_you"]) == 1
    monkeypatch.setenv("MINE", "x")
    labctl.done("run-once")
    assert json.loads((tmp_path / "seen").read_text())["data"]["wants_you"] == []  # while it ran
    assert labctl.done("status", "--json").data["wants_you"] == []


def test_a_burst_that_a_broken_spec_refuses_leaves_that_in_status(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    spec = place / "experiments/alpha/SPEC.yaml"
    spec.write_text(spec.read_text().replace("goal:", "gaol:"))
    assert labctl("burst", "alpha", "-n", "1").code == 2
    (wish,) = labctl.done("status", "--json").data["wants_you"]
    assert wish["experiment"] == "alpha"
    assert "gaol" in wish["what"]


def test_pages_that_are_behind_by_what_somebody_is_at_work_on_are_no_trouble(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    before = stale(root, labctl)
    one_run(root, "alpha", 0.5)
    shutil.copy2(before, root.layout.index)
    assert "the pages are 1 event behind; phases, tiers and run counts below include it" in labctl("status").err
    assert "(without 1 event)" in labctl("status").out
    assert "the pages are behind the ledger" in labctl("watchdog").out
    running = cycle.begin(root, "alpha", owner=me())  # a burst, between two writings of the lab's pages
    shutil.copy2(before, root.layout.index)
    assert "behind" not in labctl.done("status").err + labctl.done("list").err + labctl.done("watchdog").out
    decided = decisions.pause(root, "alpha", reason="", actor="ann")
    assert decided.changed
    an_experiment(root, "beta")
    shutil.copy2(before, root.layout.index)
    assert "the pages are 1 event behind" in labctl.done("status").err  # beta's, which nobody is at
    cycle.finish(root, running, ended(0.25))
