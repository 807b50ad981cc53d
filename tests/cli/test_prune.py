"""`labctl prune` at the terminal: asks, says what goes where, and the other verbs know of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import a_lab, one_run, runs_of, tree

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root
    from tests.cli.labs import Labctl


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
    assert "would archive: 2 runs of alpha" in labctl.done("prune", "--keep", "5", "--dry-run").out
    assert tree(root.layout.runs("alpha")) == before
    said = labctl.done("prune", "--keep", "5", "--yes", "--json").data["experiments"]
    assert isinstance(said, list)
    archive = said[0]["archive"]
    assert os.path.isfile(root.layout.archive(archive))
    listed = labctl.done("list", "alpha").out.splitlines()
    assert [line.split("\t")[0] for line in listed if line.endswith("\tarchived")] == said[0]["runs"]
    assert f"archived in backups/{archive}" in labctl.done("show", first).out
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
