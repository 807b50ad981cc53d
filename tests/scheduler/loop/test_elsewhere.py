"""A workspace or a lab that was moved or copied: a loop goes on where it can, and nowhere else."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import KEEP
from lab.scheduler import decisions
from lab.scheduler.step import PROBLEM
from tests.scheduler.loop.live import NAME, Live, a_lab_at, a_loop, sound

if TYPE_CHECKING:
    from collections.abc import Callable

LESS = "echo $((40 - LAB_RUN_ITERATION)) > value"
MANY = {f"part/{number}": f"{number}\n" for number in range(60)}  # enough for a tree to be kept for later


@pytest.mark.parametrize("given", [".", "ws"])
def test_a_workspace_that_was_moved_away_is_gone_and_no_other_is_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    (tmp_path / "typed/ws").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "typed")
    loop = a_loop(tmp_path / "made", spec=f"workspace_root: {given}\n", lab=str(tmp_path / "lab"))
    (tmp_path / "made").rename(tmp_path / "away")
    turn = loop.turn()
    turn.take()
    (said,) = turn.steps
    assert said.kind == PROBLEM
    assert said.what.startswith("the workspace of loop is not there (in ")
    assert loop.runs() == []
    assert not Path(loop.root.layout.experiment(NAME), "code.git").exists()


@pytest.mark.parametrize("how", [shutil.move, shutil.copytree])
@pytest.mark.parametrize("under_git", [True, False])
def test_a_lab_that_was_moved_or_copied_goes_on_with_its_loops(
    tmp_path: Path, how: Callable[[str, str], object], *, under_git: bool
) -> None:
    loop = a_loop(tmp_path, files=MANY, under_git=under_git)
    loop.change(":", LESS)
    old, new = Path(loop.root.layout.root), tmp_path / "elsewhere/lab"
    new.parent.mkdir()
    how(str(old), str(new))
    there = sorted(str(each.relative_to(old)) for each in old.rglob("*"))
    loop = Live(
        a_lab_at(new), loop.workspace, loop.proposals,
        loop.workspace if under_git else new / f"experiments/{NAME}/code.git",
    )  # fmt: skip
    kept = loop.change("echo 99 > value", LESS)
    assert (kept.verdict, kept.candidate_value) == (KEEP, 36)
    spares = [each.name for each in (new / f"scratch/loops/{NAME}").iterdir() if each.name.startswith(".spare-")]
    assert spares
    sound(loop)
    decisions.complete(loop.root, NAME, reason="enough", actor="ann")
    assert list((new / f"scratch/loops/{NAME}").iterdir()) == []
    assert sorted(str(each.relative_to(old)) for each in old.rglob("*")) == there
