"""`labctl cost`: what an experiment took, in columns that fit a terminal, and as data."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from scripts.bench import seeing_ground
from tests.cli.searches import a_run, a_searched_lab, made, some_runs
from tests.projections.markdown import UNSEEN
from tests.projections.subjects import HOSTILE
from tests.scheduler.labs import a_lab, one_run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

WIDTH = 100


def test_a_line_an_improvement_and_what_came_after_and_all_of_it(labctl: Labctl, place: Path) -> None:
    root = a_searched_lab(place)
    some_runs(root)
    a_run(root, {"lr": 0.5, "depth": 3, "kind": "adam"}, 0.3, origin=made(4), cost=2.0)
    lines = labctl.done("cost", "sweep").out.splitlines()
    assert lines[0] == "sweep, tier proxy: loss, minimize"
    assert lines[1].split() == ["run", "value", "runs", "took", "tokens", "USD", "what", "changed"]
    assert lines[2].split()[:3] == ["1", "0.5", "1"]
    assert lines[3].split()[:3] == ["3", "0.25", "2"]
    assert lines[4].split()[:5] == ["since", "then", "2", "3", "s"]
    assert lines[6].split() == ["all", "5", "7.5", "s", "-", "2.00"]
    assert "4 of 5 runs did not say what they cost" in lines
    data = labctl.done("cost", "sweep", "--json").data
    spending = data["spending"]
    assert isinstance(spending, dict)
    assert spending["total"]["usd"] == 2.0
    assert "tokens" not in spending["total"]


def test_without_an_id_a_line_an_experiment_the_dearest_first(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha", "beta", "gamma")
    one_run(root, "beta", 0.5)
    one_run(root, "beta", None, "crash")
    one_run(root, "alpha", 0.5)
    said = labctl.done("cost")
    lines = [line.split()[0] for line in said.out.splitlines()[:5]]
    assert lines == ["experiment", "beta", "alpha", "gamma", "all"]
    assert "next: labctl cost beta" in said.err
    assert labctl.done("cost", "-n", "1").out.splitlines()[3].startswith("2 more took less")
    data = labctl.done("cost", "--json", "-n", "1").data
    assert [row["id"] for row in data["experiments"]] == ["beta", "alpha", "gamma"]


def test_a_lab_without_experiments_took_nothing(labctl: Labctl, place: Path) -> None:
    a_lab(place)
    assert labctl.done("cost").out == "No experiments\n"


def test_an_experiment_without_runs_took_nothing(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha")
    lines = labctl.done("cost", "alpha").out.splitlines()
    assert lines[2].split()[:3] == ["so", "far", "0"]


@pytest.mark.parametrize("kind", [seeing_ground.SEARCH, seeing_ground.LOOP])
def test_many_improvements_are_cut_and_every_line_fits(labctl: Labctl, place: Path, kind: str) -> None:
    seeing_ground.a_lab(str(place), 400, kind=kind)
    lines = labctl.done("cost", seeing_ground.NAME, "-n", "5").out.splitlines()
    assert "the last 5 of " in lines[1]
    assert max(map(len, lines)) <= WIDTH
    assert [line.split()[0] for line in lines[-6:]].count("all") <= 1
    assert max(map(len, labctl.done("cost").out.splitlines())) <= WIDTH


def test_what_a_run_wrote_cannot_move_the_cursor(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    clean = HOSTILE.encode(errors="replace").decode()
    a_run(root, {clean: clean}, 0.5, name="alpha", note=clean)
    a_run(root, {clean: "another"}, 0.25, name="alpha", note=clean)
    out = labctl.done("cost", "alpha").out
    assert not UNSEEN.search(out.replace("\n", ""))
    assert len(out.splitlines()) < 12


@pytest.mark.parametrize(
    ("words", "code", "fix"),
    [
        (("gone",), 2, "labctl list shows"),
        (("",), 2, "experiment id"),
        (("alpha", "--tier", "finall"), 2, "did you mean final?"),
        (("--tier", "final"), 2, "labctl cost ID --tier final"),
        (("alpha", "-n", "0"), 2, "--last 20"),
    ],
)
def test_what_cannot_be_answered_is_refused_with_what_to_do(
    labctl: Labctl, place: Path, words: tuple[str, ...], code: int, fix: str
) -> None:
    a_lab(place, "alpha")
    said = labctl("cost", *words)
    assert (said.code, said.out) == (code, "")
    assert fix in said.err


def test_a_lab_without_an_index_is_told_how_to_write_it(labctl: Labctl, place: Path) -> None:
    root = a_lab(place, "alpha")
    os.unlink(root.layout.index)
    said = labctl("cost")
    assert said.code == 5
    assert "fix: labctl refresh" in said.err
