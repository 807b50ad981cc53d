"""Trees of a commit: one to work in, one to measure, and nothing left of either."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from tests.store.repository.conftest import everything

if TYPE_CHECKING:
    from tests.store.repository.conftest import Ground

CHECKOUT = Path(__file__).resolve().parents[3]
MODES = ("git-worktree", "git-clone", "copy")


@pytest.mark.parametrize("mode", MODES)
def test_a_tree_holds_what_git_would_check_out(code: Ground, mode: str) -> None:
    repository = code.open()
    place = code.tree(repository, repository.head(), mode)
    ours = {name: seen for name, seen in everything(place).items() if name.split("/")[0] != ".git"}
    assert ours == {name: seen for name, seen in everything(code.work).items() if name.split("/")[0] != ".git"}
    assert (place / ".git").exists() == (mode != "copy")


@pytest.mark.parametrize("mode", ["git-worktree", "git-clone"])
def test_git_works_in_a_tree_as_its_user_expects(code: Ground, mode: str) -> None:
    repository = code.open()
    place = code.tree(repository, repository.head(), mode)
    assert code.git("status", "--porcelain", cwd=place) == ""
    (place / "a.py").write_text("x = 7\n")
    assert code.git("diff", "--stat", cwd=place).startswith("a.py")
    assert code.git("log", "--format=%s", cwd=place) == "begin"


def test_a_clone_shares_no_refs_with_the_users_repository(code: Ground) -> None:
    repository = code.open()
    before = everything(code.work)
    place = code.tree(repository, repository.head(), "git-clone")
    (place / "a.py").write_text("x = 7\n")
    code.git("commit", "-qam", "mine", cwd=place)
    code.git("branch", "mine", cwd=place)
    assert everything(code.work) == before


def test_a_linked_tree_is_locked_and_says_why(code: Ground) -> None:
    repository = code.open()
    place = code.tree(repository, repository.head())
    listed = code.git("worktree", "list", "--porcelain")
    assert f"worktree {place}\nHEAD {repository.head()}\ndetached\nlocked labctl works in it" in listed
    code.git("worktree", "prune")
    assert code.git("status", "--porcelain", cwd=place) == ""


def test_a_plain_tree_has_no_git_and_only_what_was_committed(code: Ground) -> None:
    repository = code.open()
    place = code.new()
    repository.plain_tree(repository.head(), str(place))
    assert sorted(os.listdir(place)) == [".gitignore", "a.py", "link", "run.sh", "src"]
    assert stat.S_IMODE((place / "run.sh").stat().st_mode) & stat.S_IXUSR


def test_ends_of_lines_are_those_that_git_would_give(code: Ground) -> None:
    code.write(".gitattributes", "*.bat text eol=crlf\n*.py text\n")
    code.write("run.bat", "one\r\ntwo\r\n")
    code.commit_all()
    code.git("config", "core.autocrlf", "true")
    repository = code.open()
    place = code.tree(repository, repository.head())
    code.git("clone", "-q", "-c", "core.autocrlf=true", ".", "../clone")
    for name in ("run.bat", "a.py", "src/b.py"):
        assert (place / name).read_bytes() == (code.folder / "clone" / name).read_bytes()
    assert b"\r\n" in (place / "a.py").read_bytes()
    assert repository.harvest(str(place), repository.head()).changes == ()


def test_a_sparse_checkout_does_not_make_a_tree_smaller(code: Ground) -> None:
    code.git("sparse-checkout", "set", "--no-cone", "/a.py")
    assert not (code.work / "src").exists()
    repository = code.open()
    place = code.tree(repository, repository.head())
    assert (place / "src/b.py").exists()
    assert code.git("status", "--porcelain", cwd=place) == ""


@pytest.mark.parametrize("mode", MODES)
def test_a_removed_tree_leaves_nothing_behind(code: Ground, mode: str) -> None:
    repository = code.open()
    before = everything(code.work)
    place = code.tree(repository, repository.head(), mode)
    (place / "new").mkdir()
    (place / "new").chmod(0)
    repository.remove_tree(str(place))
    repository.remove_tree(str(place))
    assert not place.exists()
    assert os.listdir(code.lab / "code.git/trees") == []
    shutil.rmtree(code.work / ".git/worktrees", ignore_errors=True)  # the empty folder
    assert everything(code.work) == before


def test_a_link_in_the_place_of_a_tree_is_removed_and_not_what_it_leads_to(code: Ground) -> None:
    repository = code.open()
    place = code.tree(repository, repository.head())
    shutil.rmtree(place)
    place.symlink_to(code.work)
    repository.remove_tree(str(place))
    assert not place.is_symlink()
    assert (code.work / "a.py").exists()


def test_a_folder_that_is_no_tree_is_not_removed(code: Ground) -> None:
    repository = code.open()
    with pytest.raises(BadInput, match="no tree of the lab's"):
        repository.remove_tree(str(code.work))
    assert (code.work / "a.py").exists()


def test_a_tree_is_never_made_over_something(code: Ground) -> None:
    repository = code.open()
    with pytest.raises(BadInput, match="already"):
        repository.mutation_tree(repository.head(), str(code.work))


def test_sweeping_forgets_trees_that_are_gone_and_no_others(code: Ground) -> None:
    repository = code.open()
    code.git("worktree", "add", "-q", "--detach", "../lab-theirs")
    code.git("worktree", "add", "-q", "--detach", "../users")
    kept, gone = (code.tree(repository, repository.head()) for _ in range(2))
    shutil.rmtree(gone)
    shutil.rmtree(code.folder / "users")
    assert repository.sweep() == [str(gone)]
    listed = code.git("worktree", "list", "--porcelain")
    assert str(kept) in listed
    assert str(gone) not in listed
    assert "/users" in listed  # the user's own: gone, but theirs to prune


KILLED = """
import os, sys
from datetime import datetime, UTC
from lab.store.files import Files
from lab.store.repository.repository import opened

class Last(Files):
    left = int(sys.argv[4])
    def step(self, name, path):
        if self.left == 0:
            os.kill(os.getpid(), 9)
        self.left -= 1

files = Last(durable=False)
repository = opened(files, sys.argv[1], own=sys.argv[2], now=lambda: datetime(2026, 11, 28, tzinfo=UTC))
repository.mutation_tree(repository.head(), sys.argv[3])
repository.remove_tree(sys.argv[3])
print("whole")
"""


def test_killed_at_any_step_a_tree_can_be_removed_and_made_again(code: Ground) -> None:
    """Every few steps: each is a write of ours, and git's own lie in between."""
    place = code.lab / "scratch/m"
    step = 0
    while True:
        words = [sys.executable, "-c", KILLED, str(code.work), f"{code.lab}/code.git", str(place), str(step)]
        done = subprocess.run(words, cwd=CHECKOUT, capture_output=True, text=True, check=False)
        repository = code.open()
        repository.remove_tree(str(place))
        repository.sweep()
        assert not place.exists()
        assert "lab-" not in code.git("worktree", "list")
        repository.mutation_tree(repository.head(), str(place))
        assert repository.harvest(str(place), repository.head()).changes == ()
        repository.remove_tree(str(place))
        if done.returncode == 0:
            assert done.stdout == "whole\n"
            break
        assert done.returncode == -9
        step += 7
    assert step > 20


def test_two_candidates_at_once_do_not_meet(code: Ground) -> None:
    repository, other = code.open(), code.open()
    one, two = code.tree(repository, repository.head()), code.tree(other, other.head())
    (one / "a.py").write_text("x = 11\n")
    (two / "a.py").write_text("x = 22\n")
    commits = [
        repository.commit(repository.harvest(str(place), repository.head()).tree, (), "m", {}) for place in (one, two)
    ]
    assert [repository.read(commit, "a.py") for commit in commits] == [b"x = 11\n", b"x = 22\n"]
