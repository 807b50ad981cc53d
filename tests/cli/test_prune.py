"""`labctl prune` at the terminal: asks, says what goes where, and the other verbs know of it."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import a_lab, one_run, runs_of, tree
from tests.cli.searches import a_run, made

if TYPE_CHECKING:
    from lab.store.root import Root
    from tests.cli.labs import Labctl

WITH_NUMPY = pytest.mark.skipif(find_spec("numpy") is None, reason="numpy is not installed: nothing is modelled")


@pytest.fixture
def root(place: Path) -> Root:
    made = a_lab(place, "alpha")
    for value in (9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0):
        one_run(made, "alpha", value)
    return made


def test_old_runs_go_on_a_persons_word_and_come_back(root: Root, labctl: Labctl) -> None:
    before = tree(root.layout.runs("alpha"))
    first = runs_of(root, "alpha")[0]
    assert labctl("prune", "--keep", "5").code == 2  # nobody at the terminal to ask
    planned = labctl.done("prune", "--keep", "5", "--dry-run").out
    assert re.search(r"would archive: 2 runs of alpha, [0-9,]+ bytes of files\n", planned)
    assert tree(root.layout.runs("alpha")) == before
    said = labctl.done("prune", "--keep", "5", "--yes", "--json").data["experiments"]
    assert isinstance(said, list)
    archive = said[0]["archive"]
    assert os.path.isfile(root.layout.archive(archive))
    listed = labctl.done("list", "alpha").out.splitlines()
    assert [line.split("\t")[0] for line in listed if line.endswith("\tarchived")] == said[0]["runs"]
    assert f"archived in backups/{archive}" in labctl.done("show", first).out
    compared = labctl.done("compare", first, runs_of(root, "alpha")[-1]).out
    assert "-value: 9.0" in compared  # of which the seal tells, and no manifest need be there
    assert "seed" not in compared.replace(" seed: -", "")
    assert "in archives, proven by their seals: 2 runs" in labctl.done("verify").out
    assert labctl.done("prune", "--restore", archive).out == f"restored: 2 runs of alpha from {archive}\n"
    assert tree(root.layout.runs("alpha")) == before
    assert "archived" not in labctl.done("list", "alpha").out


def test_nothing_to_do_is_said(root: Root, labctl: Labctl) -> None:
    assert labctl.done("prune", "--older-than", "3000d").out == "nothing is old enough to go\n"


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--keep", "4"),
        ("--older-than", "a while"),
        ("--keep", "9", "--experiment", "nobody"),
        ("--restore", "../../etc/passwd"),
        ("--restore", "x.tar", "--keep", "9"),
    ],
    ids=" ".join,
)
def test_what_makes_no_sense_is_refused_and_nothing_is_written(
    words: tuple[str, ...], root: Root, labctl: Labctl
) -> None:
    before = tree(root.layout.root)
    assert labctl("prune", *words).code == 2
    assert tree(root.layout.root) == before


def a_noisy_lab(place: Path, noise: str) -> Root:
    """A valley with its floor at 0.3, measured with noise; far from it one lucky run, and a few that are no good."""
    space = "search_space:\n  x: {type: float, low: 0.0, high: 1.0}\n"
    root = a_lab(place, "noisy", more=f"{space}noise: {noise}\n")
    rng = Random(5)
    for number in range(40):
        value = -0.3 if number == 33 else (number / 39 - 0.3) ** 2 + rng.gauss(0, 0.05)
        a_run(root, {"x": number / 39}, value, name="noisy", origin=made(number))
    return root


@WITH_NUMPY
def test_the_run_that_best_recommends_stays_and_the_dry_run_says_so(labctl: Labctl, place: Path) -> None:
    """Of a noisy metric it is not the one with the best number, and it is the one that somebody is to take."""
    a_noisy_lab(place, "true")
    taken = labctl.done("best", "noisy", "--json").data
    assert taken["run"] != taken["best_number"]["run"]
    planned = labctl.done("prune", "--keep", "5", "--dry-run").out
    assert f"stays\tnoisy/{taken['run']}: labctl best recommends it, of tier proxy\n" in planned
    assert f"stays\tnoisy/{taken['best_number']['run']}: it is the best of tier proxy\n" in planned
    assert "would archive: 33 runs of noisy" in planned
    labctl.done("prune", "--keep", "5", "--yes")
    said = labctl.done("best", "noisy", "--json")
    assert (said.data["run"], said.envelope["next"]) == (taken["run"], [f"labctl replay {taken['run']}"])
    assert f"{taken['run']}\t" in labctl.done("list", "noisy").out
    assert "archived" not in labctl.done("show", str(taken["run"])).out


@WITH_NUMPY
def test_best_says_how_to_bring_back_a_run_that_was_archived_before_it_was_recommended(
    labctl: Labctl, place: Path
) -> None:
    root = a_noisy_lab(place, "false")
    archive = labctl.done("prune", "--keep", "5", "--yes", "--json").data["experiments"][0]["archive"]
    spec = Path(root.layout.experiment("noisy"), "SPEC.yaml")
    spec.write_text(spec.read_text().replace("noise: false", "noise: true"))
    labctl.done("refresh")
    said = labctl.done("best", "noisy", "--json")
    first = f"labctl prune --restore {archive}"
    assert said.envelope["next"] == [first, f"labctl replay {said.data['run']}"]
    labctl.done(*first.split()[1:])
    assert labctl.done("best", "noisy", "--json").envelope["next"] == [f"labctl replay {said.data['run']}"]
