"""What a picture is made from: everything that is there is in it, and what is missing keeps nobody from the rest."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from lab.core import event, job, layout
from lab.core.errors import BadInput, Unavailable
from lab.core.origin import Origin
from lab.core.view import Spent
from lab.projections.picture import whole
from lab.projections.picture.given import LOST, RUNNING, WAITING, AskTook
from lab.scheduler import cycle, refresh
from lab.scheduler.results import costs, pictured, present
from lab.scheduler.search.asking import asks
from lab.store import experiments, ledger
from scripts.bench import seeing_ground
from tests.cli.handed import handed, seen, started
from tests.cli.searches import a_run, a_searched_lab, some_runs
from tests.scheduler.labs import a_lab, dead, identities, me, one_run, write
from tests.scheduler.loop import live

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab", "a", more="max_parallel: 9\n")


def ask(root: Root, number: int, **more: object) -> asks.Asked:
    made = asks.Asked(
        ask=asks.name(number), experiment="a", tier="proxy", number=number, seen=0, seed=1, of="", transport="openai",
        model="m", template="", asked_at="", answered_at="", **more,  # type: ignore[arg-type]
    )  # fmt: skip
    asks.keep(root, made, durable=False)
    return made


def test_ended_runs_are_read_with_when_and_where_they_ran(root: Root) -> None:
    made = one_run(root, "a", 0.5)
    given = pictured.read(root, "a")
    (line,) = given.lines
    assert (line.run_id, line.value, line.ran.wall_s) == (made.run.run_id, 0.5, 1.5)
    assert line.ran.worker == me().host.partition("/")[0]
    assert (given.warnings, given.findings, given.under_way) == ((), (), ())


def test_reading_changes_nothing(root: Root) -> None:
    one_run(root, "a", 0.5)
    cycle.begin(root, "a", owner=me())
    before = identities(root.layout.root)
    pictured.read(root, "a")
    pictured.lab(root)
    costs.of_lab(root)
    assert identities(root.layout.root) == before


def test_runs_under_way_say_where_they_are_and_who_is_gone(root: Root) -> None:
    here = cycle.begin(root, "a", owner=me())
    gone = cycle.begin(root, "a", owner=dead())
    waits, runs = handed(root, "a", number="7"), handed(root, "a", number="8")
    seen(root, waits, job.WAITING, why="Resources")
    started(root, runs, host="n3")
    told = {each.run_id: each for each in pictured.read(root, "a").under_way}
    assert list(told) == [each.manifest.run_id for each in (here, gone, waits, runs)]
    states = {run_id: each.state for run_id, each in told.items()}
    assert list(states.values()) == [RUNNING, LOST, WAITING, RUNNING]
    mine = told[here.manifest.run_id]
    assert (mine.tier, mine.began) == ("proxy", here.manifest.started_at)
    assert mine.worker == me().host.partition("/")[0]
    queued, placed = told[waits.manifest.run_id], told[runs.manifest.run_id]
    assert queued.worker == ""
    assert queued.where.endswith(": Resources")
    assert placed.worker == "n3"
    assert placed.where.startswith("running at slurm (job 8) on n3")
    (wanted,) = whole.of(pictured.read(root, "a")).wants
    assert wanted.what == f"the holder of {gone.manifest.run_id} is gone, and nobody sealed it"
    assert wanted.fix.startswith("labctl watchdog --repair")


def test_a_run_that_is_sealed_and_not_given_back_yet_is_not_under_way(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    write(f"{running.path}/{layout.SEAL}", b"{}")
    assert pictured.read(root, "a").under_way == ()


def test_a_claim_that_cannot_be_read_is_a_warning(root: Root) -> None:
    cycle.begin(root, "a", owner=me())
    write(root.layout.claim("a", 1), b"\0\0")
    given = pictured.read(root, "a")
    assert given.under_way == ()
    assert given.warnings == ("claims that cannot be read: 1; labctl lease show a",)


def test_a_manifest_that_is_damaged_leaves_the_run_under_way(root: Root) -> None:
    running = cycle.begin(root, "a", owner=me())
    write(f"{running.path}/{layout.MANIFEST}", b"{")
    (told,) = pictured.read(root, "a").under_way
    assert (told.run_id, told.state) == (running.manifest.run_id, RUNNING)


def test_what_questions_took_is_read_and_damage_is_named(root: Root) -> None:
    one_run(root, "a", 0.5)
    ask(root, 1, calls=2, usd=0.25, sent=100, answered=20)
    ask(root, 2, calls=1)
    ask(root, 4, calls=1, usd=0.5)
    write(root.layout.ask("a", asks.name(4)), b'{"calls": "many"}')
    view = pictured.read(root, "a").view
    assert pictured._asked(root, view) == ({}, ())  # nobody asked, says the ledger, and no file is looked at
    view.model = Spent(asks=4, calls=4)
    found, warnings = pictured._asked(root, view)
    assert found == {
        "ASK-000001": AskTook(calls=2, tokens=120, usd=0.25),
        "ASK-000002": AskTook(calls=1, tokens=None, usd=None),
    }
    assert warnings == ("ASK-000004 cannot be read, and what was asked there is not counted: labctl verify",)


def test_of_very_many_questions_the_newest_are_read_and_that_is_said(
    root: Root, monkeypatch: pytest.MonkeyPatch
) -> None:
    one_run(root, "a", 0.5)
    for number in range(1, 6):
        ask(root, number, calls=1)
    monkeypatch.setattr(pictured, "MOST_ASKS", 2)
    view = pictured.read(root, "a").view
    view.model = Spent(asks=5)
    found, warnings = pictured._asked(root, view)
    assert list(found) == ["ASK-000004", "ASK-000005"]
    assert warnings == ("of 5 questions to models, what the last 2 took was read",)


def test_a_space_that_cannot_be_used_is_a_finding(tmp_path: Path) -> None:
    root = a_searched_lab(tmp_path / "lab")
    some_runs(root)
    assert len(pictured.read(root, "sweep").lines) == 4
    assert pictured.read(root, "sweep").space is not None
    place = root.layout.spec("sweep")
    with open(place, encoding="utf-8") as file:
        text = file.read()
    write(place, text[: text.index("search_space:")].encode() + b"search_space: gone.json\n")
    refresh.everything(root)
    given = pictured.read(root, "sweep")
    assert given.space is None
    assert any("gone.json" in f"{each.what}{each.where}" for each in given.findings)
    assert len(whole.of(given).rows) == 4


def test_a_spec_that_cannot_be_read_is_told_among_what_wants_somebody_and_once(root: Root) -> None:
    one_run(root, "a", 0.5)
    with open(root.layout.spec("a"), "ab") as file:
        file.write(b"metric: [\n")
    for _ in range(2):  # before the pages know of it, and after
        given = pictured.read(root, "a")
        picture = whole.of(given)
        told = [each for each in picture.wants if "'metric' is here twice" in each.what]
        assert [each.fix for each in told] == ["keep one of them"]
        assert not [each for each in picture.warnings if "metric" in each]
        assert present.read(root, "a").wants == picture.wants
        refresh.everything(root)


def test_pages_that_are_behind_are_said(root: Root) -> None:
    one_run(root, "a", 0.5)
    before = {name: (root.layout.page("a", name)) for name in (layout.STATUS, layout.METRICS_LOG, layout.RESULTS)}
    kept = {}
    for name, path in before.items():
        with open(path, "rb") as file:
            kept[name] = file.read()
    one_run(root, "a", 0.25)
    for name, path in before.items():
        write(path, kept[name])
    given = pictured.read(root, "a")
    assert len(given.lines) == 1
    assert given.warnings == ("the pages are behind what was sealed or decided since: labctl refresh",)


@pytest.mark.parametrize("name", [layout.STATUS, layout.METRICS_LOG])
def test_without_its_pages_there_is_no_picture_and_the_fix_is_told(root: Root, name: str) -> None:
    one_run(root, "a", 0.5)
    os.unlink(root.layout.page("a", name))
    with pytest.raises(Unavailable) as refused:
        pictured.read(root, "a")
    assert "labctl refresh" in refused.value.fix


def test_the_lab_is_its_index_and_without_it_the_fix_is_told(root: Root) -> None:
    one_run(root, "a", 0.5)
    assert [(row.id, row.run_count) for row in pictured.lab(root).experiments] == [("a", 1)]
    write(root.layout.index, b"{")
    with pytest.raises(Unavailable, match="damaged") as refused:
        pictured.lab(root)
    assert "labctl refresh" in refused.value.fix
    os.unlink(root.layout.index)
    with pytest.raises(Unavailable, match="missing"):
        pictured.lab(root)


# -- what the best of a code loop changed -----------------------------------------------------------------------------


def test_the_diff_of_a_loops_best_is_against_the_baseline_also_when_it_was_made_in_several_steps(
    tmp_path: Path,
) -> None:
    loop = live.a_loop(tmp_path)
    first = loop.change(":", "echo 40 > value")
    given = pictured.read(loop.root, live.NAME)
    assert "-50\n+40\n" in given.diff
    second = loop.change("echo 30 > value")
    assert (first.verdict, second.verdict) == ("keep", "keep")
    given = pictured.read(loop.root, live.NAME)
    assert (given.diff_cut, given.warnings) == (False, ())
    assert "-50\n+30\n" in given.diff  # and not from 40, which the last step began at
    best = whole.of(given).best
    assert best is not None
    assert best.diff == given.diff
    assert pictured.read(loop.root, live.NAME, with_diff=False).diff == ""
    # Where the repository is gone, the last step is shown, and what it is is said.
    shutil.rmtree(loop.workspace)
    shutil.rmtree(f"{loop.root.layout.experiment(live.NAME)}/code.git", ignore_errors=True)
    given = pictured.read(loop.root, live.NAME)
    assert "-40\n+30\n" in given.diff
    assert any(f"is shown against {first.run_id}, not against the baseline" in each for each in given.warnings)
    # And where that was tampered with, nothing is.
    write(f"{loop.root.layout.run(live.NAME, second.run_id)}/artifacts/diff.patch", b"+lies\n")
    given = pictured.read(loop.root, live.NAME)
    assert given.diff == ""
    assert any("cannot be shown" in each for each in given.warnings)


# -- what it took -----------------------------------------------------------------------------------------------------


def test_the_cost_of_the_lab_is_that_of_its_experiments(root: Root) -> None:
    a_run(root, {"lr": 0.1}, 0.5, name="a", cost=1.5)
    one_run(root, "a", None, "crash")
    cost, warnings = costs.of(root, "a")
    told, more = costs.of_lab(root)
    (row,) = told.experiments
    assert (warnings, more) == ((), ())
    assert row.took == cost.spending.total == told.total
    assert (row.id, row.failed, row.since_best, row.took.usd) == ("a", 1, 1, 1.5)
    assert (cost.best, cost.tier, cost.metric, cost.direction) == (0.5, "proxy", "loss", "minimize")


def test_an_experiment_whose_page_is_damaged_is_told_from_the_index(root: Root) -> None:
    one_run(root, "a", 0.5)
    write(root.layout.status("a"), b"{}")
    told, warnings = costs.of_lab(root)
    took = told.experiments[0].took
    assert took.runs == 1
    assert took.hours == pytest.approx(1.5 / 3600, abs=1e-6)
    assert "the pages of a are missing or damaged" in warnings[0]


def test_a_tier_that_is_not_there_is_refused(root: Root) -> None:
    one_run(root, "a", 0.5)
    assert costs.of(root, "a", "final")[0].spending.improvements == ()
    with pytest.raises(BadInput, match="no tier 'finall'") as refused:
        costs.of(root, "a", "finall")
    assert refused.value.fix == "did you mean final?"


def test_questions_to_models_are_in_the_cost_of_the_experiment_and_of_the_lab(root: Root) -> None:
    answered: dict[str, str | int | float | bool | None] = {"calls": 2, "usd": 0.25, "tokens": 120}
    for number, facts in ((1, answered), (2, None)):
        name = asks.name(number)
        aside = event.Event(
            type=event.MODEL_ASKED, ts=root.now(), experiment="a", name=name, facts={"calls": 2, "usd": 3.0}
        )
        ledger.append(root, aside)
        if facts:
            ask(root, number, calls=2, usd=0.25, sent=100, answered=20)
            ledger.append(
                root, event.Event(type=event.MODEL_ANSWERED, ts=root.now(), experiment="a", name=name, facts=facts)
            )
    a_run(root, {"lr": 0.1}, 0.5, name="a", cost=1.5, origin=Origin(strategy="llm", ask="ASK-000001"))
    cost, _ = costs.of(root, "a")
    (step,) = cost.spending.improvements
    assert (step.took.tokens, step.took.usd) == (120, 1.75)
    assert any("the 3 USD that were set aside are in no sum" in remark for remark in cost.spending.remarks)
    told, _ = costs.of_lab(root)
    assert told.total == cost.spending.total
    assert any("the 3 USD that were set aside are in no sum" in remark for remark in told.remarks)


# -- the ground that speed is measured on -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [seeing_ground.SEARCH, seeing_ground.LOOP])
def test_the_pages_of_a_bench_are_those_that_labctl_writes(tmp_path: Path, kind: str) -> None:
    short = seeing_ground.a_lab(str(tmp_path / "short"), 40, kind=kind)
    whole_one = seeing_ground.a_lab(str(tmp_path / "whole"), 40, kind=kind, bundles=True)
    for name in (layout.METRICS_LOG, layout.RESULTS, layout.SUMMARY):
        with open(short.layout.page(seeing_ground.NAME, name), "rb") as file:
            made = file.read()
        with open(whole_one.layout.page(seeing_ground.NAME, name), "rb") as file:
            assert file.read() == made, name
    assert experiments.load(short, seeing_ground.NAME).problem is None
    pictures = [whole.of(pictured.read(each, seeing_ground.NAME, with_diff=False)) for each in (short, whole_one)]
    assert whole.encode(pictures[0]) == whole.encode(pictures[1])
