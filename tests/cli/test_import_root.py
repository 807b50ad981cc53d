"""Moving in from hermes-lab: what was measured comes over, what never was does not, and the old root stays as it is."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.api.home import Lab
from lab.core.run import CLAIMED
from lab.store import bundles, ledger
from lab.testing.files import a_root
from tests.cli import hermes_root
from tests.cli.hermes_root import EXPECTED, FALSE_VALUES, LEFT_RUNNING, RUNS, TRUNCATED, VALLEY, a_hermes_root
from tests.cli.labs import CHECKOUT, whole_tree
from tests.scheduler.labs import tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.seal import Seal
    from tests.cli.labs import Labctl

KILLED = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
from lab.core.world import World
from lab.scheduler import import_root
from lab.store.files import Files
from lab.testing.files import a_root

class Killed(Files):
    steps = 0
    def step(self, name, path):
        self.steps += 1
        if self.steps == int(sys.argv[4]):
            os.kill(os.getpid(), signal.SIGKILL)

files = Killed(durable=False)
import_root.import_root(a_root(sys.argv[2], files), sys.argv[3], actor="ann")
print(files.steps)
"""


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return a_hermes_root(tmp_path / "old")


def seals(place: Path, experiment: str) -> dict[str, Seal]:
    root = a_root(place)
    found = {}
    for run_id in bundles.names(root, experiment):
        seal = bundles.load_seal(root.layout.run(experiment, run_id))
        assert seal is not None
        found[run_id] = seal[0]
    return found


def values(place: Path) -> dict[str, dict[str, tuple[str, float | None]]]:
    return {
        name: {run_id: (seal.run.outcome, seal.run.value) for run_id, seal in seals(place, name).items()}
        for name in EXPECTED
    }


def canonical(place: Path) -> set[str]:
    """What makes history, by name."""
    return {name for name in tree(str(place)) if "/runs/" in name or name.endswith("SPEC.yaml")}


def cut_short(place: Path, old: Path, at: int) -> subprocess.CompletedProcess[str]:
    """Import in a process that kills itself before its n-th step on the disk."""
    command = [sys.executable, "-c", KILLED, str(CHECKOUT), str(place), str(old), str(at)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=15)


def test_every_finished_run_becomes_a_sealed_bundle_with_what_was_measured(
    labctl: Labctl, place: Path, old: Path
) -> None:
    labctl.done("init")
    said = labctl.done("import-root", str(old))
    assert f"imported: 2 experiments, {RUNS} runs from {old}\n" in said.out
    assert f"dropped: {FALSE_VALUES}\n" in said.out
    assert values(place) == EXPECTED
    for experiment in EXPECTED:
        for seal in seals(place, experiment).values():
            assert seal.imported_from == str(old)
            assert seal.run.started_at.endswith("Z")
    assert labctl.done("verify").out.startswith(f"all as it was sealed: {RUNS} runs")


def test_what_did_not_come_over_is_named_with_its_reason(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    said = labctl.done("import-root", str(old))
    assert f"{LEFT_RUNNING}: it never finished" in said.out
    assert f"{TRUNCATED}: its manifest is missing or damaged" in said.out
    assert said.out.count("skipped: ") == 2


def test_the_best_is_the_best_that_was_measured(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    told = labctl.done("list", "--json").data["experiments"]
    assert isinstance(told, list)
    assert {row["id"]: row["best_value"] for row in told} == {"valley": 0.75, "reader": 7.0}
    assert {row["id"]: row["run_count"] for row in told} == {name: len(runs) for name, runs in EXPECTED.items()}


def test_what_hermes_lab_claims_is_no_success_of_ours(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    theirs = f"{RUNS} {CLAIMED}"
    assert f"- Runs: {RUNS} ({theirs})" in (place / "LAB-STATUS.md").read_text()
    summary = (place / "experiments/valley/SUMMARY.md").read_text()
    assert f"7 of at most 40: 7 {CLAIMED}" in summary
    assert f"| 0 and 5 {CLAIMED} |" in summary
    rows = {row["id"]: row for row in labctl.done("list", "--json").data["experiments"]}
    assert rows["valley"]["claimed"] == {"failed": 1, "success": 5, "timeout": 1}
    for page, runs in (("valley", 7), ("", RUNS)):
        labctl.done("report", *filter(None, [page]), "-o", str(old.parent / "page.html"), "--yes")
        told = (old.parent / "page.html").read_text()
        assert f"{runs} {CLAIMED}" in told
        assert "5 success" not in told
    assert {row["kind"] for row in Lab(place)["valley"].table()} == {"imported"}
    run = next(iter(VALLEY))
    assert "outcome: success, as another harness claims" in labctl.done("show", run).out


def test_phase_and_creation_are_kept(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    told = labctl.done("show", "valley", "--json").data
    assert (told["phase"], told["created_at"]) == ("paused", "2026-03-19T08:00:00.000000Z")
    assert "5 consecutive failures" in str(told)


def test_the_old_files_are_in_the_bundle_as_they_were(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    run = list(EXPECTED["valley"])[-1]
    there, here = old / "experiments/valley/runs" / run, place / "experiments/valley/runs" / run
    for name in ("stdout.log", "stderr.log", "RESULT.md", "metrics.json", "plan.md", "artifacts/diff.patch"):
        assert (here / name).read_bytes() == (there / name).read_bytes()
    assert (here / "manifest.hermes.json").read_bytes() == (there / "manifest.json").read_bytes()
    assert not (here / "artifacts/workspace").exists()
    assert (place / "experiments/valley/SPEC.yaml").read_text() == hermes_root.SPECS["valley"]


def test_the_old_root_is_not_touched(labctl: Labctl, place: Path, old: Path) -> None:
    before = whole_tree(old)
    labctl.done("init")
    labctl.done("import-root", str(old))
    assert whole_tree(old) == before


def test_a_dry_run_counts_the_same_and_writes_nothing(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    before = whole_tree(place)
    would = labctl.done("import-root", str(old), "--dry-run", "--json").data
    assert whole_tree(place) == before
    done = labctl.done("import-root", str(old), "--json").data
    assert {**would, "dry_run": False} == done


def test_a_second_import_brings_nothing_twice(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    before, index = canonical(place), labctl.done("list").out
    again = labctl.done("import-root", str(old), "--json").data
    assert (again["runs"], again["false_values_dropped"]) == (0, 0)
    assert canonical(place) == before
    assert labctl.done("list").out == index
    assert values(place) == EXPECTED


def test_runs_that_were_made_since_come_over_with_the_next_import(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("import-root", str(old))
    hermes_root._run(old / "experiments/reader", "RUN-20260401-100000-000002-scout", "success", {"value": 9}, 3)
    assert labctl.done("import-root", str(old), "--json").data["runs"] == 1
    assert "best=9.0" in labctl.done("list").out
    assert labctl.done("verify").code == 0


def test_a_spec_that_labctl_refuses_is_imported_and_named(labctl: Labctl, place: Path, old: Path) -> None:
    hermes_root.refuse_spec(old)
    labctl.done("init")
    labctl.done("import-root", str(old))
    assert values(place) == EXPECTED
    status = labctl.done("status").out
    assert status.startswith("what wants you")
    assert "reader: " in status
    refused = labctl("validate", "reader")
    assert refused.code == 2
    assert "line " in refused.err
    assert "valley" not in labctl.done("status", "--json").data["wants_you"][0]["experiment"]


def test_an_id_that_is_taken_here_is_left_alone_and_named(labctl: Labctl, place: Path, old: Path) -> None:
    labctl.done("init")
    labctl.done("create", "autoresearch-generic", "--id", "valley")
    said = labctl.done("import-root", str(old))
    assert "skipped: experiments/valley: there is an experiment of this id here" in said.out
    assert bundles.names(a_root(place), "valley") == []
    assert len(bundles.names(a_root(place), "reader")) == 2


@pytest.mark.parametrize("wrong", ["nowhere", "plain.txt", "empty"])
def test_what_is_no_hermes_root_is_refused(wrong: str, labctl: Labctl, place: Path, tmp_path: Path) -> None:
    (tmp_path / "plain.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    labctl.done("init")
    before = whole_tree(place)
    said = labctl("import-root", wrong)
    assert said.code == 5
    assert "this is not a hermes-lab data root" in said.err
    assert whole_tree(place) == before


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_an_import_that_is_killed_anywhere_is_finished_by_the_next(
    labctl: Labctl, place: Path, old: Path, tmp_path: Path
) -> None:
    labctl.done("init")
    whole = cut_short(tmp_path / "whole", old, at=-1)
    assert whole.returncode == 0, whole.stderr
    steps = int(whole.stdout)
    assert steps > 100
    for at in range(3, steps - 8, steps // 12):  # how many steps it takes differs by a few: drafts, clocks
        target = tmp_path / f"cut-{at}"
        labctl.done("init", "--data-root", str(target))
        assert cut_short(target, old, at).returncode == -signal.SIGKILL
        labctl.done("import-root", str(old), "--data-root", str(target))
        assert values(target) == EXPECTED, at
        assert labctl.done("verify", "--data-root", str(target)).out.startswith(f"all as it was sealed: {RUNS} runs")
        assert not [name for name in tree(str(target)) if "/runs/." in name], at


@pytest.mark.parametrize("more", [{"error": ["x"]}, {"metric": {"name": "score"}}], ids=str)
def test_a_measured_value_comes_over_whatever_stands_beside_it(
    more: dict[str, object], labctl: Labctl, place: Path, old: Path
) -> None:
    run = "RUN-20260401-100000-000002-scout"
    hermes_root._run(old / "experiments/reader", run, "success", {"value": 9, **more}, 3)
    labctl.done("init")
    labctl.done("import-root", str(old))
    assert values(place)["reader"][run] == ("success", 9.0)


def _cut_after_creation(place: Path, old: Path) -> None:
    """Kill the import of `valley` between its first runs: it has been created, and its phase is not written."""
    for at in range(3, 2000, 3):
        cut_short(place, old, at)
        kinds = [entry.line.event.type for entry in ledger.entries(a_root(place)) if entry.line]
        if kinds.count("experiment_created") == 2:
            return


@pytest.mark.heavy
@pytest.mark.timeout(120)
def test_an_import_that_was_killed_before_the_phase_still_brings_the_phase_over(
    labctl: Labctl, place: Path, old: Path
) -> None:
    labctl.done("init")
    _cut_after_creation(place, old)
    labctl.done("import-root", str(old))
    assert labctl.done("show", "valley", "--json").data["phase"] == "paused"
