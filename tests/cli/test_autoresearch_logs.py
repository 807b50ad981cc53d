"""`labctl autoresearch import`, `report` and `export`: another harness's history goes on here, as claims."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.candidate import BASELINE, KEEP, Candidate
from lab.core.candidate import IMPORTED as CLAIMED
from lab.core.run import CLAIMED as CLAIMS
from lab.core.run import SUCCESS
from lab.scheduler import cycle
from lab.scheduler.loop import imported
from lab.scheduler.loop.settings import Settings
from lab.store import bundles, reading
from lab.testing.files import BEGINNING, Crash, CrashingFiles, a_root
from tests import peers
from tests.cli.labs import me, runs_of, whole_tree
from tests.core.test_peers_log import AUTORESEARCH_MLS, KARPATHYS, OPEN_ORGS, PIS
from tests.scheduler.labs import a_lab, ended, reopened, tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.seal import Seal
    from lab.store.root import Root
    from tests.cli.labs import Labctl

FLAGS = ("--edit", "train.py", "--measure", "python3 train.py", "--id", "loop")
GIT = {
    "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_AUTHOR_NAME": "ann", "GIT_AUTHOR_EMAIL": "a@b.c",
    "GIT_COMMITTER_NAME": "ann", "GIT_COMMITTER_EMAIL": "a@b.c",
}  # fmt: skip


def git(place: Path, *words: str) -> str:
    done = subprocess.run(
        ["git", *words], cwd=place, env={**os.environ, **GIT}, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.strip()


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A repository with one commit."""
    place = tmp_path / "code"
    place.mkdir()
    (place / "train.py").write_text("print('METRIC val_bpb=1.0')\n")
    git(place, "init", "-q", "-b", "main")
    git(place, "add", "train.py")
    git(place, "commit", "-q", "-m", "as it was")
    return place


def seals(root: Root) -> list[Seal]:
    found = [bundles.load_seal(root.layout.run("loop", run_id)) for run_id in runs_of(root, "loop")]
    return [each[0] for each in found if each is not None]


def page(place: Path, name: str) -> str:
    return (place / "experiments/loop" / name).read_text()


def test_a_table_becomes_sealed_claims_without_a_value(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    head = git(code, "rev-parse", "HEAD")
    (code / "results.tsv").write_text(KARPATHYS.replace("a1b2c3d", head[:7]))
    before = whole_tree(code)
    said = labctl.done("autoresearch", "import", "code/results.tsv", *FLAGS)
    assert said.out.startswith("imported: 4 runs (2 kept, as tsv says) into loop\ncommits: 1 are in the repository, 3")
    made = seals(a_root(place))
    assert [each.run.value for each in made] == [None] * 4
    assert [each.run.verdict for each in made] == ["keep", "keep", "discard", "crash"]
    about = [each.run.candidate for each in made if each.run.candidate]
    assert [each.claimed for each in about] == [0.9979, 0.9932, 1.005, None]
    assert {each.kind for each in about} == {CLAIMED}
    assert [each.commit for each in about] == [head, "", "", ""]
    assert all(each.imported_from.endswith("code/results.tsv") for each in made)
    assert whole_tree(code) == before
    assert "all as it was sealed: 4 runs" in labctl.done("verify").out


def test_a_claim_is_read_where_one_looks_and_goes_back_with_its_commit(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text(KARPATHYS)
    labctl.done("autoresearch", "import", "code/results.tsv", *FLAGS)
    listed = [line.split("\t") for line in labctl.done("list", "loop").out.splitlines()]
    assert [row[2] for row in listed] == ["claimed 0.9979", "claimed 0.9932", "claimed 1.005", "-"]
    told = [line.split("\t") for line in KARPATHYS.splitlines()[1:]]
    assert [row[-1] for row in listed] == [row[-1] for row in told]  # the words of the other harness
    shown = labctl.done("show", listed[0][0]).out
    assert "claimed: 0.9979 (minimize), by another harness; not measured here" in shown
    assert "trial 0" not in shown
    labctl.done("autoresearch", "export", "loop", "-o", "out.tsv")
    back = (code.parent / "out.tsv").read_text().splitlines()[1:]
    assert [row.split("\t")[0] for row in back] == [row[0] for row in told]


def test_claims_are_counted_as_neither_successes_nor_failures_of_ours(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text(KARPATHYS)
    labctl.done("autoresearch", "import", "code/results.tsv", *FLAGS)
    assert f": 4 {CLAIMS}\n" in page(place, "SUMMARY.md")
    assert f"(4 {CLAIMS})" in (place / "LAB-STATUS.md").read_text()
    assert labctl.done("cost", "--json").data["experiments"][0]["failed"] == 0


@pytest.mark.parametrize(
    ("name", "text", "metric", "way"),
    [
        ("results.tsv", KARPATHYS, "val_bpb", "minimize"),
        ("results.tsv", AUTORESEARCH_MLS, "val_bpb", "minimize"),
        ("results.tsv", OPEN_ORGS, "accuracy", "maximize"),
        ("autoresearch.jsonl", PIS, "fps", "maximize"),
        (".auto/log.jsonl", PIS, "fps", "maximize"),
    ],
)
def test_the_log_of_every_peer_is_found_in_its_folder_and_gone_on_from(  # what lies where, and what comes of it
    name: str, text: str, metric: str, way: str, labctl: Labctl, place: Path, code: Path
) -> None:
    labctl.done("init")
    (code / name).parent.mkdir(exist_ok=True)
    (code / name).write_text(text)
    data = labctl.done("autoresearch", "import", "code", *FLAGS, "--json").data
    assert data["source"] == str(code / name)
    spec = page(place, layout.SPEC)
    assert f'metric: "{metric}"\nmetric_direction: {way}\n' in spec
    assert f'workspace_root: "{code}"' in spec
    assert f"max_iterations_total: {20 + int(str(data['runs']))}" in spec


def test_the_first_thing_that_goes_on_is_our_own_baseline_and_no_claim_is_its_best(
    labctl: Labctl, place: Path, code: Path
) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text(KARPATHYS)
    labctl.done("autoresearch", "import", "code", *FLAGS)
    status = json.loads(page(place, layout.STATUS))
    assert (status["best_run"], status["best_metric_value"], status["failure_streak"]) == (None, None, 0)
    assert "the unchanged code was not measured yet" in labctl.done("autoresearch", "report", "loop").out
    root = reopened(a_root(place))
    running = cycle.begin(root, "loop", owner=me())
    made = Candidate(kind=BASELINE, commit="f" * 40, values=(1.0, 1.1, 0.9))
    cycle.finish(root, running, ended(1.0, SUCCESS, verdict=KEEP, candidate=made))
    assert json.loads(page(place, layout.STATUS))["best_metric_value"] == 1.0
    session = peers.pis_reader(page(place, layout.PEERS_LOG))
    assert [row.segment for row in session.rows] == [0, 0, 0, 0, 1]
    assert peers.pis_best(session) == 1.0
    assert peers.karpathys_best(page(place, layout.RESULTS)) == 1.0


def test_importing_again_brings_what_is_new_and_nothing_twice(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text(KARPATHYS)
    labctl.done("autoresearch", "import", "code", *FLAGS)
    again = labctl.done("autoresearch", "import", "code", *FLAGS, "--json").data
    assert (again["runs"], again["known"], again["made"]) == (0, 4, False)
    (code / "results.tsv").write_text(KARPATHYS + "e5f6071\t0.99\t44.0\tkeep\tone more\n")
    more = labctl.done("autoresearch", "import", "code", *FLAGS, "--json").data
    assert (more["runs"], more["known"]) == (1, 4)
    assert len(page(place, layout.RESULTS).splitlines()) == 6


def test_a_log_that_cannot_be_understood_is_refused_whole_with_its_lines(
    labctl: Labctl, place: Path, code: Path
) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text(KARPATHYS + "x\t0x1\t1\tkeep\ty\n")
    before = tree(str(place))
    said = labctl("autoresearch", "import", "code", *FLAGS)
    assert said.code == 2
    assert "line 6: val_bpb is '0x1', which is no decimal number" in said.err
    assert tree(str(place)) == before


def test_what_the_log_does_not_say_has_to_be_said(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "results.tsv").write_text("commit\tthing\tstatus\tdescription\nbaseline\t1\tkeep\tx\n")
    before = tree(str(place))
    said = labctl("autoresearch", "import", "code", *FLAGS)
    assert (said.code, "--direction lower" in said.err) == (2, True)
    unmeasured = labctl("autoresearch", "import", "code", "--edit", "train.py", "--direction", "lower")
    assert (unmeasured.code, "--measure" in unmeasured.err) == (2, True)
    assert tree(str(place)) == before
    labctl.done("autoresearch", "import", "code", *FLAGS, "--direction", "lower")
    assert "metric_direction: minimize" in page(place, layout.SPEC)


def test_an_experiment_about_something_else_is_not_filled_with_it(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    labctl.done("create", "autoresearch-generic", "--id", "loop")
    (code / "results.tsv").write_text(OPEN_ORGS)
    said = labctl("autoresearch", "import", "code", *FLAGS)
    assert said.code == 2
    assert "there is an experiment loop already" in said.err


def test_a_dry_run_reads_all_and_writes_nothing(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "autoresearch.jsonl").write_text(PIS)
    before = tree(str(place))
    said = labctl.done("autoresearch", "import", "code", *FLAGS, "--dry-run")
    assert said.out.startswith("would import: 3 runs (1 kept, as jsonl says) into loop\n")
    assert tree(str(place)) == before


def test_what_was_imported_is_exported_in_the_forms_of_its_peers(labctl: Labctl, place: Path, code: Path) -> None:
    labctl.done("init")
    (code / "autoresearch.jsonl").write_text(PIS)
    labctl.done("autoresearch", "import", "code", *FLAGS)
    log = labctl.done("autoresearch", "export", "loop", "--format", "jsonl").out
    assert log == page(place, layout.PEERS_LOG)
    session = peers.pis_reader(log)
    assert [row.metric for row in session.rows] == [3818.0, 0, 61.5]
    assert [row.segment for row in session.rows] == [0, 0, 1]
    assert session.rows[1].asi == {"hypothesis": "shorter", "odd": [1]}
    assert session.direction == "higher"
    labctl.done("autoresearch", "export", "loop", "-o", "out.tsv")
    assert (code.parent / "out.tsv").read_text() == page(place, layout.RESULTS)
    again = labctl("autoresearch", "export", "loop", "-o", "out.tsv")
    assert (again.code, "this file is there already" in again.err) == (2, True)
    summary = labctl.done("autoresearch", "export", "loop", "--format", "summary").out
    assert summary == page(place, layout.LOOP_SUMMARY)
    assert labctl.done("autoresearch", "report", "loop").out == summary
    told = labctl.done("autoresearch", "report", "loop", "--json").data
    assert (told["recommendation"], told["gain"], told["ranked"]) == ("do not merge", None, [])


@pytest.mark.parametrize("action", ["report", "export"])
def test_an_experiment_that_is_no_loop_has_nothing_to_report(action: str, labctl: Labctl, place: Path) -> None:
    a_lab(place, "plain")
    said = labctl("autoresearch", action, "plain")
    assert said.code == 2
    assert "plain is no code loop" in said.err
    assert labctl("autoresearch", action, "nowhere").code == 2
    assert labctl("autoresearch", action).code == 2


def bring(root: Root, code: Path) -> None:
    source = imported.read(str(code), "")
    said = Settings(workspace="", edit=("train.py",), measure="true", new_id="loop")
    imported.bring(root, source, imported.settings(source, said), actor="ann")


@pytest.mark.parametrize("step", range(2, 118, 12))
def test_an_import_that_is_killed_goes_on_and_brings_each_run_once(step: int, tmp_path: Path, code: Path) -> None:
    (code / "autoresearch.jsonl").write_text(PIS)
    lab = a_lab(tmp_path / "lab").layout.root
    root = a_root(lab, CrashingFiles(at=step), start=BEGINNING.replace(minute=30))
    with pytest.raises(Crash):
        bring(root, code)
    bring(reopened(root), code)
    made = seals(root)
    told = [each.run.candidate.claimed for each in made if each.run.candidate]
    assert sorted(told, key=str) == [3818.0, 61.5, None]
    assert sum(os.path.isfile(f"{root.layout.run('loop', each.run.run_id)}/{layout.ASI}") for each in made) == 1
    assert len((reading.read(root.layout.page("loop", layout.RESULTS)) or b"").splitlines()) == 4
