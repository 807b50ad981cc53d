"""The pages of a code loop: grown run by run, they are those that a refresh writes anew."""

from __future__ import annotations

import json
import os
import shutil
from random import Random
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.candidate import BASELINE, CRASHED, DISCARD, IMPROVE, KEEP, Candidate
from lab.core.run import CANCELLED, FAILED, SUCCESS
from lab.projections import autoresearch_log
from lab.scheduler import briefed, cycle, prune, refresh
from lab.scheduler.results import table
from lab.store import reading
from lab.testing.files import BEGINNING, a_root
from tests import peers
from tests.scheduler.labs import a_lab, derived, ended, me, one_run, reopened, tree, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

LOOP = "executor: reference\nworkspace_root: /nowhere\nvalidation_command: 'true'\n"
COMMITS = [f"{number:040x}" for number in range(1, 200)]


def a_candidate(root: Root, number: int, value: float | None, verdict: str = KEEP, *, kind: str = IMPROVE) -> None:
    """One sealed candidate, with notes of its proposer."""
    values = (value, value + 0.01, value - 0.01) if value is not None else ()
    made = Candidate(
        kind=kind, commit=COMMITS[number], values=values, gain=0.1 if verdict == KEEP else -0.1, p=0.01, alpha=0.02,
        rule="confirmed", added=3, removed=1, memory_mb=512.0,
    )  # fmt: skip
    running = cycle.begin(root, "a", owner=me())
    place = f"{root.layout.run('a', running.manifest.run_id)}/{layout.ASI}"
    root.files.folder(os.path.dirname(place))
    root.files.create(place, json.dumps({"hypothesis": f"idea {number}"}).encode())
    outcome = FAILED if value is None else SUCCESS
    told = ended(value, outcome, verdict=verdict, note=f"idea {number}", candidate=made)
    cycle.finish(root, running, told)


def a_history(root: Root, count: int, luck: Random) -> None:
    a_candidate(root, 1, 10.0, kind=BASELINE)
    for number in range(2, count + 1):
        match luck.randrange(6):
            case 0:
                a_candidate(root, number, None, CRASHED)
            case 1 | 2:
                a_candidate(root, number, 10.0 - luck.random(), DISCARD)
            case 3 if number > 9:
                a_candidate(root, number, 9.5, kind=BASELINE)
            case _:
                a_candidate(root, number, 10.0 - number / 10)


def page(root: Root, name: str) -> str:
    return (reading.read(root.layout.page("a", name)) or b"").decode()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Twenty-three runs of a code loop, made once."""
    root = a_lab(tmp_path_factory.mktemp("made") / "lab", "a", more=LOOP)
    a_history(root, 23, Random(7))
    return root.layout.root


@pytest.fixture
def loop(made: str, tmp_path: Path) -> Root:
    """The same, to be changed."""
    shutil.copytree(made, tmp_path / "lab", copy_function=shutil.copy2)
    return a_root(tmp_path / "lab", start=BEGINNING.replace(minute=30))


def test_every_page_of_a_loop_comes_back_byte_for_byte(loop: Root) -> None:
    before = tree(loop.layout.root)
    assert {f"experiments/a/{name}" for name in layout.LOOP_PAGES} <= set(before)
    assert refresh.everything(reopened(loop)).written == 0
    for name in derived(loop):
        os.unlink(loop.layout.place(name))
    refresh.everything(reopened(loop))
    assert tree(loop.layout.root) == before


@pytest.mark.parametrize("name", [layout.RESULTS, layout.PEERS_LOG, layout.LOOP_PROGRESS])
@pytest.mark.parametrize("damage", [b"", b"\0" * 400, b"torn"])
def test_a_damaged_table_of_a_loop_is_written_again_by_the_next_run(loop: Root, name: str, damage: bytes) -> None:
    write(loop.layout.page("a", name), damage)
    a_candidate(loop, 24, 5.0)
    grown = tree(loop.layout.root)
    assert refresh.everything(reopened(loop)).written == 0
    assert tree(loop.layout.root) == grown
    assert len(page(loop, layout.RESULTS).splitlines()) == 25


def test_the_tables_of_a_loop_are_those_that_its_peers_read(loop: Root) -> None:
    metric, rows = peers.karpathys_reader(page(loop, layout.RESULTS))
    session = peers.pis_reader(page(loop, layout.PEERS_LOG))
    assert metric == "loss"
    assert len(rows) == len(session.rows) == 23
    assert [row.commit for row in rows] == [commit[:7] for commit in COMMITS[1:24]]
    assert [row.status for row in rows] == [row.status for row in session.rows]
    assert session.direction == "lower"
    assert [row.asi for row in session.rows] == [{"hypothesis": f"idea {number}"} for number in range(1, 24)]


def test_a_line_of_the_log_names_the_segment_that_its_reader_counts(loop: Root) -> None:
    told = [json.loads(line) for line in page(loop, layout.PEERS_LOG).splitlines()]
    counted = [row.segment for row in peers.pis_reader(page(loop, layout.PEERS_LOG)).rows]
    assert [each["segment"] for each in told if "run" in each] == counted
    assert max(counted) > 0
    assert [each["run"] for each in told if "run" in each] == list(range(1, 24))


def test_progress_is_told_after_every_ten_runs_and_not_changed_later(loop: Root) -> None:
    before = page(loop, layout.LOOP_PROGRESS)
    assert [line for line in before.splitlines() if line.startswith("## ")] == ["## After 10 runs", "## After 20 runs"]
    for number in range(24, 31):
        a_candidate(loop, number, 5.0)
    after = page(loop, layout.LOOP_PROGRESS)
    assert after.startswith(before)
    assert after.count("## After 30 runs") == 1


def test_the_log_goes_on_while_old_runs_lie_in_an_archive(loop: Root) -> None:
    names = (layout.RESULTS, layout.PEERS_LOG, layout.LOOP_PROGRESS)
    before = [page(loop, name) for name in names]
    prune.prune(loop, "a", prune.Wish(keep=3))
    refresh.everything(reopened(loop))
    assert [page(loop, name) for name in names] == before


def test_an_experiment_that_is_no_loop_has_its_own_table_and_none_of_these_pages(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a")
    one_run(root, "a")
    assert page(root, layout.RESULTS).startswith("run\tloss\tstatus\t")
    assert not any(os.path.exists(root.layout.page("a", name)) for name in layout.LOOP_PAGES)


@pytest.mark.parametrize("first", [0, 1, 3])
def test_a_loop_whose_spec_names_another_executor_is_known_by_its_first_candidate(tmp_path: Path, first: int) -> None:
    root = a_lab(tmp_path / "lab", "a")
    for _ in range(first):
        one_run(root, "a", None, FAILED)
    a_candidate(root, 1, 10.0, kind=BASELINE)
    one_run(root, "a", None, CANCELLED)
    grown = tree(root.layout.root)
    assert page(root, layout.RESULTS).startswith("commit\tloss\tmemory_gb\t")
    assert len(page(root, layout.RESULTS).splitlines()) == first + 3
    refresh.everything(reopened(root))
    assert tree(root.layout.root) == grown


def test_another_executor_in_the_spec_changes_the_tables_whole_and_back(loop: Root) -> None:
    before = tree(loop.layout.root)
    spec = loop.layout.spec("a")
    with open(spec, encoding="utf-8") as file:
        text = file.read()
    write(spec, text.replace("executor: reference", "executor: command").encode())
    a_candidate(loop, 24, 5.0)
    assert page(loop, layout.RESULTS).startswith("commit\t")  # its runs are candidates all the same
    assert refresh.everything(reopened(loop)).written == 0
    write(spec, text.encode())
    refresh.everything(a_root(loop.layout.root))
    assert page(loop, layout.RESULTS).startswith(before["experiments/a/results.tsv"].decode())


def test_the_summary_says_what_came_of_it_and_how_sure_that_is(loop: Root) -> None:
    said = page(loop, layout.LOOP_SUMMARY)
    for heading in (
        "Baseline and best",
        "What was kept, best first",
        "What did not work",
        "How much of it may be luck",
    ):
        assert f"\n## {heading}\n" in said
    assert "95% interval" in said
    assert "are to be expected to be luck" in said
    assert "\n## Merge: " in said


def test_a_briefing_quotes_what_the_last_candidates_said(loop: Root) -> None:
    lines = table.read(loop, "a").lines
    said = briefed.told(loop, "a", 5, lines=lines)
    assert said == {line.run_id: f"idea {number}" for number, line in list(enumerate(lines, start=1))[-5:]}


def test_a_loop_that_kept_nothing_is_not_to_be_merged(tmp_path: Path) -> None:
    root = a_lab(tmp_path / "lab", "a", more=LOOP)
    assert "## Merge: do not merge" in page(root, layout.LOOP_SUMMARY)
    a_candidate(root, 1, 10.0, kind=BASELINE)
    a_candidate(root, 2, 11.0, DISCARD)
    said = page(root, layout.LOOP_SUMMARY)
    assert "## Merge: do not merge\n\n- nothing was kept since the baseline" in said
    assert "discard: idea 2" in said


def test_the_log_is_written_anew_where_its_end_tells_no_segment(loop: Root) -> None:
    place = loop.layout.page("a", layout.PEERS_LOG)
    data = reading.read(place) or b""
    write(place, data[:-20] + b"x" * 19 + b"\n")
    a_candidate(loop, 24, 5.0)
    assert autoresearch_log.last_place(reading.read(place) or b"") == autoresearch_log.Place(run=24, segment=3)
    assert refresh.everything(reopened(loop)).written == 0
