"""The names that a loop takes in somebody's repository, and who has them already."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli.main import main
from lab.core.candidate import KEEP
from lab.core.errors import BadInput
from lab.scheduler import create
from lab.scheduler.loop import branches, trying
from lab.scheduler.step import PROBLEM
from tests.scheduler.labs import me
from tests.scheduler.loop.live import BEST, BRANCH, NAME, Live, a_loop, git, over, sound

LESS = "echo $(($(cat value) - 10)) > value"
SPEC = "promotion_strategy: branch\n"


def told(loop: Live) -> tuple[str, ...]:
    return branches.of_experiment(loop.root, NAME)


def refused(loop: Live) -> str:
    """What is said where no run begins."""
    turn = loop.turn()
    turn.take()
    (said,) = turn.steps
    assert said.kind == PROBLEM
    return said.what


def test_a_name_that_git_does_not_take_is_refused_before_there_is_an_experiment(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"git knows no branch by the name lab/x\.lock"):
        a_loop(tmp_path, spec=f"{SPEC}loop_tag: x.lock\n")
    with pytest.raises(BadInput, match="git knows no branch"):
        create.checked(str(tmp_path / "loop.yaml"), str(tmp_path / "lab"))
    assert not (tmp_path / "lab/experiments/loop").exists()


@pytest.mark.parametrize("other", ["lab", "lab/loop/deeper", "lab/loop"])
def test_a_branch_in_the_way_is_told_before_a_run_is_spent(tmp_path: Path, other: str) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    loop.propose(LESS)
    (loop.workspace / "mine").write_text("x\n")
    git(loop.workspace, "checkout", "-q", "-b", other)
    git(loop.workspace, "add", "-A")
    git(loop.workspace, "commit", "-q", "-m", "mine")
    git(loop.workspace, "checkout", "-q", "main")
    mine = loop.git("rev-parse", other)
    assert other in refused(loop)
    assert loop.runs() == []
    assert loop.git("rev-parse", other) == mine
    with pytest.raises(BadInput, match=other):
        create.checked(NAME, loop.root.layout.root)
    git(loop.workspace, "branch", "-q", "-D", other)
    assert loop.change(LESS).verdict == KEEP
    assert told(loop) == ()
    create.checked(NAME, loop.root.layout.root)  # its own branch is in nobody's way


def test_a_branch_that_is_not_at_the_best_is_told_while_it_is_so(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    loop.change(":", LESS)
    assert told(loop) == ()
    git(loop.workspace, "worktree", "add", "-q", str(tmp_path / "look"), "lab/loop")
    best = loop.change(LESS).candidate.commit
    (said,) = told(loop)
    assert f"checked out in {tmp_path / 'look'}" in said
    assert best[:12] in said
    git(loop.workspace, "worktree", "remove", str(tmp_path / "look"))
    git(loop.workspace, "branch", "-D", "lab/loop")
    git(loop.workspace, "branch", "lab/loop/deeper")
    assert "no branch lab/loop: there is a branch lab/loop/deeper" in told(loop)[0]
    git(loop.workspace, "branch", "-D", "lab/loop/deeper")
    git(loop.workspace, "checkout", "-q", "-b", "lab/loop")
    git(loop.workspace, "commit", "-q", "--allow-empty", "-m", "elsewhere")
    git(loop.workspace, "checkout", "-q", "main")
    assert "commits that this loop did not make" in told(loop)[0]


@pytest.mark.parametrize(
    "words", [("burst", NAME, "-n", "1"), ("autoresearch", "report", NAME), ("try", NAME, "-d", "less")]
)
def test_each_verb_that_names_the_branch_says_so(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], words: tuple[str, ...]
) -> None:
    loop = a_loop(tmp_path, spec=SPEC)
    loop.change(":", LESS)
    git(loop.workspace, "worktree", "add", "-q", str(tmp_path / "look"), "lab/loop")
    loop.change(LESS)
    if words[0] == "try":
        begun = trying.begin(loop.root, NAME, owner=me(), tell=lambda _: None, interrupted=lambda: "")
        Path(begun.tree, "value").write_text("1\n")
    assert main(["--data-root", loop.root.layout.root, *words]) == 0
    assert "the branch lab/loop is checked out in" in capfd.readouterr().err


def test_two_labs_do_not_share_the_refs_of_one_id(tmp_path: Path) -> None:
    one = a_loop(tmp_path)
    one.change(":")
    (tmp_path / "more").mkdir()
    with pytest.raises(BadInput, match="another lab has a loop loop in this repository"):
        over(tmp_path / "more", one.workspace, repository=one.workspace)
    assert one.change(LESS).verdict == KEEP
    sound(one)
    one.git("update-ref", "-d", BEST)
    two = over(tmp_path / "more", one.workspace, repository=one.workspace)
    assert two.change(":", LESS).verdict == KEEP


def test_two_labs_whose_loops_were_made_before_either_ran_do_not_share_refs(tmp_path: Path) -> None:
    one = a_loop(tmp_path)
    (tmp_path / "more").mkdir()
    two = over(tmp_path / "more", one.workspace, repository=one.workspace)
    one.change(":")
    two.propose(LESS)
    assert "another lab has a loop loop" in refused(two)
    assert two.runs() == []


def test_a_branch_in_a_workspace_without_git_is_nobodys_business(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=SPEC, under_git=False)
    assert loop.change(":", LESS).verdict == KEEP
    assert loop.git("rev-parse", BRANCH) == loop.state().best.commit  # type: ignore[union-attr]
    assert told(loop) == ()
