"""apply-on-accept: what was kept comes into the user's own files, whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.core.candidate import KEEP
from lab.core.errors import BadInput
from lab.scheduler.loop import branches
from tests.scheduler.loop.live import a_loop, git, sound

APPLY = "promotion_strategy: apply-on-accept\n"
BOTH = "echo $((40 - LAB_RUN_ITERATION)) > value; echo $LAB_RUN_ITERATION > other"


def test_what_is_kept_is_in_the_users_files_and_not_in_the_index(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=APPLY, files={"other": "0\n", "mine": "a\n"})
    (loop.workspace / "mine").write_text("b\n")
    head = git(loop.workspace, "rev-parse", "HEAD")
    loop.change(":", BOTH, "echo 99 > value", BOTH)
    assert (loop.workspace / "value").read_text() == "36\n"
    assert (loop.workspace / "other").read_text() == "4\n"
    assert (loop.workspace / "mine").read_text() == "b\n"
    assert git(loop.workspace, "rev-parse", "HEAD") == head
    assert git(loop.workspace, "diff", "--cached", "--name-only") == ""
    assert git(loop.workspace, "symbolic-ref", "HEAD") == "refs/heads/main"
    sound(loop)


def test_what_does_not_fit_is_kept_and_waits_until_the_way_is_free(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=APPLY, files={"other": "0\n"})
    loop.change(":")
    (loop.workspace / "value").write_text("mine\n")
    kept = loop.change(BOTH)
    assert (kept.verdict, kept.candidate_value) == (KEEP, 38)
    assert (loop.workspace / "value").read_text() == "mine\n"
    assert (loop.workspace / "other").read_text() == "0\n"
    assert "not applied" in loop.page(kept.run_id)
    (word,) = branches.of_experiment(loop.root, "loop")
    assert "not applied to the workspace" in word
    assert kept.candidate.commit[:12] in word
    again = loop.change(BOTH)
    assert (again.verdict, again.candidate_value) == (KEEP, 37)
    assert (loop.workspace / "other").read_text() == "0\n"
    for told in (kept, again):  # once, and in the decision too: a remark on a page alone is found by no program
        assert len([each for each in told.remarks if "not applied" in each]) == 1
        assert loop.page(told.run_id).count("not applied") == 1
    (loop.workspace / "value").write_text("50\n")
    loop.change(":")
    assert (loop.workspace / "value").read_text() == "37\n"
    assert (loop.workspace / "other").read_text() == "3\n"
    assert branches.of_experiment(loop.root, "loop") == ()
    sound(loop)


def test_a_change_that_its_owner_took_over_already_is_no_conflict(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=APPLY, files={"other": "0\n"})
    loop.change(":")
    (loop.workspace / "value").write_text("38\n")
    kept = loop.change(BOTH)
    assert kept.verdict == KEEP
    assert (loop.workspace / "other").read_text() == "2\n"
    assert "not applied" not in loop.page(kept.run_id)
    sound(loop)


def test_a_workspace_without_git_gets_what_is_kept_too(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=APPLY, under_git=False)
    loop.change(":", "echo 40 > value; echo x > new")
    assert (loop.workspace / "value").read_text() == "40\n"
    assert (loop.workspace / "new").read_text() == "x\n"
    kept = loop.change("echo 30 > value; rm new")
    assert kept.verdict == KEEP
    assert (loop.workspace / "value").read_text() == "30\n"
    assert not (loop.workspace / "new").exists()
    sound(loop)


@pytest.mark.parametrize("under_git", [True, False])
def test_whoever_goes_back_to_where_the_loop_began_gets_all_of_it_with_the_next_keep(
    tmp_path: Path, *, under_git: bool
) -> None:
    loop = a_loop(tmp_path, spec=APPLY, under_git=under_git, files={"other": "0\n"})
    loop.change(":", BOTH, BOTH)
    assert (loop.workspace / "value").read_text() == "37\n"
    (loop.workspace / "value").write_text("50\n")
    (loop.workspace / "other").write_text("0\n")
    kept = loop.change(BOTH)
    assert (loop.workspace / "value").read_text() == "36\n"
    assert (loop.workspace / "other").read_text() == "4\n"
    assert "not applied" not in loop.page(kept.run_id)
    sound(loop)


MANY = """
echo $((40 - LAB_RUN_ITERATION)) > value; echo "$LAB_RUN_ITERATION" > other; chmod +x other
mkdir -p new/folder; printf 'a\\377\\n' > new/folder/blob; rm -f gone
"""
CLEAN = APPLY + "require_clean_workspace: true\n"


@pytest.mark.parametrize("mode", ["git-worktree", "git-clone", "copy"])
def test_what_the_lab_applied_does_not_make_the_workspace_unclean_for_its_next_run(tmp_path: Path, mode: str) -> None:
    loop = a_loop(tmp_path, spec=f"{CLEAN}workspace_mode: {mode}\n", files={"other": "0\n", "gone": "x\n"})
    kept = loop.change(":", MANY, MANY, MANY)
    assert (kept.verdict, kept.candidate_value) == (KEEP, 36)
    assert (loop.workspace / "value").read_text() == "36\n"
    assert (loop.workspace / "new/folder/blob").read_bytes() == b"a\xff\n"
    assert not (loop.workspace / "gone").exists()
    (loop.workspace / "new/draft").write_text("mine\n")  # beside what the lab brought, in a folder that is new
    loop.propose(MANY)
    before = loop.runs()
    with pytest.raises(BadInput, match=r"not committed: 'new/draft'\n"):
        loop.run()
    (loop.workspace / "new/draft").unlink()
    (loop.workspace / "other").write_text("mine\n")  # over what the lab brought
    with pytest.raises(BadInput, match=r"not committed: 'other'\n"):
        loop.run()
    assert loop.runs() == before
    git(loop.workspace, "checkout", "-q", "--", ".")
    git(loop.workspace, "clean", "-qfd")
    assert loop.change(MANY).verdict == KEEP
    sound(loop._replace(repository=Path(loop.root.layout.experiment("loop"), "code.git")) if mode == "copy" else loop)


def test_what_a_kill_left_half_applied_is_still_the_labs_own(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec=CLEAN, files={"other": "0\n"})
    loop.change(":", BOTH)
    before = loop.git("rev-parse", "refs/lab/loop/applied")
    loop.change(BOTH)
    loop.git("update-ref", "refs/lab/loop/applied", before)
    (loop.workspace / "value").write_text("38\n")  # the one file was written when the lab ended, the other was not
    assert loop.change(BOTH).verdict == KEEP
    assert (loop.workspace / "value").read_text() == "36\n"
    sound(loop)
