"""Workspaces as people have them: what a loop cannot stand on is refused in words, and all else is left alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import BASELINE, DISCARD, KEEP
from lab.core.errors import BadInput
from lab.scheduler import create
from lab.scheduler.step import PROBLEM
from tests.scheduler.loop.live import BRANCH, WORKSPACE, Live, a_loop, git, over, save, sound, trace

if TYPE_CHECKING:
    from collections.abc import Callable

LESS = "echo $(($(cat value) - 10)) > value"


def test_what_is_not_committed_has_no_part_in_it_and_is_told(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    (loop.workspace / "value").write_text("7\n")
    (loop.workspace / "draft").write_text("mine\n")
    git(loop.workspace, "add", "value")
    before = trace(loop.workspace)
    first = loop.change(LESS)
    assert first.candidate_value == 50
    assert any("value" in each and "draft" in each for each in first.remarks), first.remarks
    kept = loop.change(LESS)
    assert (kept.verdict, kept.changed_files) == (KEEP, ("value",))
    assert trace(loop.workspace) == before
    sound(loop)


def test_a_loop_that_wants_a_clean_workspace_does_not_begin_in_another(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="require_clean_workspace: true\n")
    loop.propose(LESS)
    (loop.workspace / "draft").write_text("mine\n")
    with pytest.raises(BadInput, match="not committed: 'draft'"):
        loop.run()
    assert loop.runs() == []
    (loop.workspace / "draft").unlink()
    assert loop.decided(loop.run().run.run_id).candidate.kind == BASELINE
    sound(loop)


def test_an_agent_that_nobody_knows_is_told_and_spends_no_run(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="mutation_command: \nagent_provider: nosuch\n")
    with pytest.raises(BadInput, match=r"agent_provider of loop: .*nosuch"):
        loop.run()
    assert loop.runs() == []
    (told,) = create.experiment(loop.root, str(tmp_path / "loop.yaml"), new_id="other", actor="ann").notes
    assert "nosuch" in told


def test_a_loop_that_nothing_measures_is_told_and_spends_no_run(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec='validation_command: ""\n')
    with pytest.raises(BadInput, match="nothing that measures"):
        loop.run()
    assert loop.runs() == []


def test_a_detached_head_is_as_good_as_a_branch(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    git(loop.workspace, "checkout", "-q", "--detach")
    before = trace(loop.workspace)
    kept = loop.change(LESS, LESS)
    assert kept.verdict == KEEP
    assert loop.git("rev-parse", BRANCH) == kept.candidate.commit
    assert trace(loop.workspace) == before
    sound(loop)


def no_commits(top: Path) -> Path:
    workspace = top / "ws"
    git(workspace, "init", "-q")
    return workspace


def bare(top: Path) -> Path:
    git(top / "ws", "init", "-q")
    save(top / "ws")
    git(top, "clone", "-q", "--bare", "ws", "bare")
    return top / "bare"


def with_submodule(top: Path) -> Path:
    for name in ("inner", "ws"):
        (top / name).mkdir(exist_ok=True)
        git(top / name, "init", "-q")
    (top / "inner" / "file").write_text("x\n")
    save(top / "inner")
    git(top / "ws", "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(top / "inner"), "sub")
    save(top / "ws")
    return top / "ws"


@pytest.mark.parametrize(
    ("make", "why"),
    [(no_commits, "no commits"), (bare, "bare"), (with_submodule, "submodules")],
)
def test_what_a_loop_cannot_stand_on_is_refused_and_left_as_it_was(
    tmp_path: Path, make: Callable[[Path], Path], why: str
) -> None:
    (tmp_path / "ws").mkdir()
    for name, text in WORKSPACE.items():
        (tmp_path / "ws" / name).write_text(text)
    workspace = make(tmp_path)
    loop = over(tmp_path, workspace)
    loop.propose(LESS)
    before = trace(workspace)
    turn = loop.turn()
    turn.take()
    (said,) = turn.steps
    assert said.kind == PROBLEM
    assert why in said.what
    assert loop.runs() == [], "no run was spent"
    (told,) = create.experiment(loop.root, str(tmp_path / "loop.yaml"), new_id="other", actor="ann").notes
    assert told.startswith("it would not run: ")
    assert why in told
    assert trace(workspace) == before
    assert loop.left() == []


def test_code_that_is_not_there_is_told_and_spends_no_run(tmp_path: Path) -> None:
    loop = over(tmp_path, tmp_path / "nowhere")
    loop.propose(LESS)
    for _ in range(2):
        turn = loop.turn()
        turn.take()
        (said,) = turn.steps
        assert said.kind == PROBLEM
        assert said.what.startswith("the workspace of loop is not there (in ")
        assert "workspace_root" in said.fix
    assert loop.runs() == []


@pytest.mark.parametrize("place", ["lab", "ws", "ws/inner", ".", "link"])
def test_no_candidate_may_write_to_what_judges_it(tmp_path: Path, place: str) -> None:
    loop = a_loop(tmp_path)
    (tmp_path / "link").symlink_to(loop.workspace)
    where = {"lab": loop.root.layout.root, "ws": str(loop.workspace), "ws/inner": f"{loop.workspace}/inner"}
    loop.edit("writable_paths", f"[{where.get(place, tmp_path / place)}]")
    with pytest.raises(BadInput, match=r"writable_paths of loop has .* lies there"):
        loop.run()
    with pytest.raises(BadInput, match=r"writable_paths of loop has .* lies there"):
        create.checked(loop.root.layout.spec("loop"), loop.root.layout.root)
    assert loop.runs() == []


def test_the_files_of_submodules_are_taken_in_by_a_copy(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    for name, text in {**WORKSPACE, "measure.sh": 'cat sub/file; echo "METRIC cost=$(cat value)"\n'}.items():
        (tmp_path / "ws" / name).write_text(text)
    loop = over(tmp_path, with_submodule(tmp_path), spec="workspace_mode: copy\n")
    before = trace(loop.workspace)
    assert loop.change(LESS, LESS).candidate_value == 40
    assert trace(loop.workspace) == before
    sound(loop)


def test_files_of_which_git_has_only_a_pointer_are_named(tmp_path: Path) -> None:
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 12345\n"
    files = {".gitattributes": "*.bin filter=lfs -text\n", "big.bin": pointer}
    loop = a_loop(tmp_path, files=files)
    assert any("big.bin" in each and "LFS" in each for each in loop.change(LESS).remarks)
    assert loop.change(LESS).changed_files == ("value",)
    sound(loop)


def test_a_repository_with_other_worktrees_is_used_from_one_of_them(tmp_path: Path) -> None:
    first = a_loop(tmp_path)
    second = tmp_path / "second"
    git(first.workspace, "worktree", "add", "-q", "-b", "side", str(second))
    (second / "value").write_text("20\n")
    git(second, "commit", "-q", "-am", "other")
    before = trace(first.workspace), trace(second)
    listed = git(first.workspace, "worktree", "list", "--porcelain")
    (tmp_path / "more").mkdir()
    loop = over(tmp_path / "more", second, spec="promotion_strategy: branch\n", repository=first.workspace)
    kept = loop.change(LESS, LESS)
    assert (kept.previous_best_value, kept.candidate_value) == (20, 10)
    assert (trace(first.workspace), trace(second)) == before
    assert git(first.workspace, "worktree", "list", "--porcelain") == listed
    sound(loop)


def test_a_branch_that_somebody_has_checked_out_is_not_moved_and_nothing_is_lost(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    loop.change(LESS, LESS)
    git(loop.workspace, "worktree", "add", "-q", str(tmp_path / "look"), "lab/loop")
    there = loop.git("rev-parse", BRANCH)
    kept = loop.change(LESS)
    assert kept.verdict == KEEP
    assert loop.git("rev-parse", BRANCH) == there
    assert git(tmp_path / "look", "status", "--porcelain") == ""
    told = loop.change(":")
    assert any("lab/loop" in each and "checked out" in each for each in told.remarks), told.remarks
    git(loop.workspace, "worktree", "remove", str(tmp_path / "look"))
    loop.change(":")
    assert loop.git("rev-parse", BRANCH) == kept.candidate.commit
    sound(loop)


def test_what_somebody_commits_on_top_of_the_branch_is_kept(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    loop.change(LESS, LESS)
    tree = tmp_path / "theirs"
    git(loop.workspace, "worktree", "add", "-q", "--detach", str(tree), "lab/loop")
    (tree / "mine").write_text("x\n")
    mine = save(tree)
    git(loop.workspace, "update-ref", BRANCH, mine)
    again = loop.change(LESS)
    assert (again.candidate.kind, again.candidate_value, again.candidate.commit) == (BASELINE, 40, mine)
    assert loop.change(LESS).candidate_value == 30
    assert "mine" in loop.git("ls-tree", "--name-only", BRANCH).splitlines()
    sound(loop)


def test_another_command_that_measures_is_another_baseline(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"other.sh": 'echo "METRIC cost=$(($(cat value) + 7))"\n'})
    kept = loop.change(LESS, LESS)
    loop.edit("validation_command", "sh other.sh")
    again = loop.change(LESS)
    assert (again.candidate.kind, again.candidate_value, again.candidate.commit) == (
        BASELINE,
        47,
        kept.candidate.commit,
    )
    better = loop.change(LESS)
    assert (better.candidate.kind, better.previous_best_value, better.candidate_value) == ("improve", 47, 37)
    sound(loop)


def test_a_workspace_below_the_top_of_its_repository_is_all_that_may_change(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, inside="deep/code", spec="promotion_strategy: branch\n")
    (loop.repository / "outside").write_text("x\n")
    save(loop.repository)
    before = trace(loop.repository)
    kept = loop.change(LESS, LESS)
    assert (kept.verdict, kept.changed_files) == (KEEP, ("value",))
    assert loop.git("show", f"{BRANCH}:deep/code/value") == "40"
    outside = loop.change("echo y > ../../outside; " + LESS)
    assert outside.verdict == "checks_failed" or loop.git("show", f"{outside.candidate.commit}:outside") == "x"
    assert trace(loop.repository) == before
    sound(loop)


def test_a_workspace_without_git_is_taken_as_it_is_and_what_its_owner_changes_is_measured_anew(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, under_git=False)
    before = trace(loop.workspace)
    kept = loop.change(LESS, LESS)
    assert (kept.verdict, kept.candidate_value) == (KEEP, 40)
    assert trace(loop.workspace) == before
    worse = loop.change("echo 90 > value")
    assert (worse.verdict, worse.previous_best_value) == (DISCARD, 40)
    (loop.workspace / "measure.sh").write_text('echo "METRIC cost=$(($(cat value) * 2))"\n')
    again = loop.change(LESS)
    assert (again.candidate.kind, again.verdict, again.candidate_value) == (BASELINE, KEEP, 80)
    assert "measure.sh" in again.note
    better = loop.change(LESS)
    assert (better.candidate.kind, better.previous_best_value, better.candidate_value) == ("improve", 80, 60)
    sound(loop)


def test_what_measures_is_changed_in_the_users_commits_and_what_was_kept_stays(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    loop.change(LESS, LESS)
    (loop.workspace / "more").write_text("of mine\n")
    save(loop.workspace)
    assert loop.change(LESS).candidate.kind == "improve"
    (loop.workspace / "measure.sh").write_text('echo "METRIC cost=$(($(cat value) * 2))"\n')
    assert loop.change(LESS).candidate_value == 20, "what is not committed has no part in it"
    save(loop.workspace)
    again = loop.change(LESS)
    assert (again.candidate.kind, again.candidate_value) == (BASELINE, 40)
    assert loop.git("rev-parse", BRANCH) == again.candidate.commit
    assert loop.change(LESS).candidate_value == 20
    assert loop.git("ls-tree", "--name-only", BRANCH).split() == ["measure.sh", "value"]
    sound(loop)


def test_a_lab_that_lies_in_its_own_workspace_is_no_part_of_it(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, lab="ws/lab", under_git=False)
    git(loop.workspace, "init", "-q", "-b", "main")
    git(loop.workspace, "add", *WORKSPACE)
    git(loop.workspace, "commit", "-q", "-m", "as it is")
    loop = Live(loop.root, loop.workspace, loop.proposals, loop.workspace)
    first = loop.change(LESS)
    assert first.remarks == ()
    kept = loop.change(LESS)
    assert (kept.verdict, kept.changed_files) == (KEEP, ("value",))
    assert loop.git("ls-tree", "-r", "--name-only", kept.candidate.commit).splitlines() == sorted(WORKSPACE)
    assert loop.git("status", "--porcelain") == "?? lab/"
    sound(loop)


def test_a_lab_in_a_workspace_without_git_is_not_copied_into_itself(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, lab="ws/lab", under_git=False)
    kept = loop.change(LESS, LESS, LESS)
    assert (kept.verdict, kept.candidate_value) == (KEEP, 30)
    assert loop.git("ls-tree", "-r", "--name-only", kept.candidate.commit).splitlines() == sorted(WORKSPACE)
    sound(loop)


@pytest.mark.parametrize("mode", ["git-worktree", "git-clone", "copy"])
@pytest.mark.parametrize("promotion", ["patch-only", "branch"])
def test_a_users_tree_is_as_it_was_after_many_candidates(tmp_path: Path, mode: str, promotion: str) -> None:
    loop = a_loop(tmp_path, spec=f"workspace_mode: {mode}\npromotion_strategy: {promotion}\n")
    (loop.workspace / "draft").write_text("mine\n")
    (loop.workspace / "value").write_text("51\n")
    git(loop.workspace, "status")
    before, listed = trace(loop.workspace), git(loop.workspace, "worktree", "list")
    changes = (":", LESS, "echo 99 > value", ":", "rm value", "echo x > new; exit 1", LESS)
    loop.change(*changes)
    assert trace(loop.workspace) == before
    assert git(loop.workspace, "worktree", "list") == listed
    sound(loop if mode != "copy" else loop._replace(repository=Path(loop.root.layout.experiment("loop"), "code.git")))
