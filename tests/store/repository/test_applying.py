"""A change is brought into the user's tree whole, or not at all; and two changes into one tree."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Unavailable
from tests.store.repository.conftest import everything

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.repository.repository import Repository
    from tests.store.repository.conftest import Ground


@pytest.fixture
def repository(code: Ground) -> Repository:
    return code.open()


def edit(place: Path) -> None:
    (place / "a.py").write_text("x = 5\ny = 2\n")
    (place / "new").mkdir()
    (place / "new/n.py").write_text("n\n")
    (place / "run.sh").unlink()


def files(code: Ground) -> dict[str, tuple[int, bytes]]:
    return {name: seen for name, seen in everything(code.work).items() if not name.startswith(".git/")}


def test_an_applied_change_is_in_the_files_and_nowhere_else(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, edit)
    index, head = (code.work / ".git/index").read_bytes(), repository.head()
    assert sorted(repository.apply(commit, base).paths) == ["a.py", "new/n.py", "run.sh"]
    assert (code.work / "a.py").read_text() == "x = 5\ny = 2\n"
    assert not (code.work / "run.sh").exists()
    assert ((code.work / ".git/index").read_bytes(), repository.head()) == (index, head)
    assert code.git("diff", "--cached", "--name-only") == ""


def test_what_is_there_already_is_fine(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, edit)
    repository.apply(commit, base)
    before = files(code)
    assert repository.apply(commit, base).already
    assert files(code) == before


def test_what_the_user_changed_elsewhere_stays(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, edit)
    code.write("src/b.py", "mine\n")
    code.write("untracked", "mine\n")
    assert repository.apply(commit, base).conflicts == ()
    assert (code.work / "src/b.py").read_text() == "mine\n"


@pytest.mark.parametrize(("name", "text"), [("a.py", "x = 77\n"), ("new/n.py", "another\n"), ("new", "a file\n")])
def test_what_the_user_changed_there_stands_in_the_way_of_all_of_it(
    code: Ground, repository: Repository, name: str, text: str
) -> None:
    commit, base = code.candidate(repository, edit)
    code.write(name, text)
    before = files(code)
    found = repository.apply(commit, base)
    assert [path for path in found.conflicts if path.startswith(name)]
    assert not found.paths
    assert files(code) == before


def test_nothing_is_written_through_a_link(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, edit)
    outside = code.folder / "outside"
    outside.mkdir()
    (code.work / "new").symlink_to(outside)
    assert "new/n.py" in repository.apply(commit, base).conflicts
    assert os.listdir(outside) == []


def test_what_a_kill_left_half_done_is_done_to_its_end(code: Ground, repository: Repository) -> None:
    commit, base = code.candidate(repository, edit)
    code.write("new/n.py", "n\n")
    (code.work / "run.sh").unlink()
    assert repository.apply(commit, base).paths == ("a.py",)
    assert repository.apply(commit, base).already


@pytest.mark.needs_user
def test_what_the_disk_refuses_half_way_is_taken_back(code: Ground, repository: Repository) -> None:
    def change(place: Path) -> None:
        (place / "a.py").write_text("x = 5\ny = 2\n")
        (place / "src/b.py").write_text("changed\n")

    commit, base = code.candidate(repository, change)
    (code.work / "src").chmod(0o555)
    before = files(code)
    with pytest.raises(Unavailable):
        repository.apply(commit, base)
    assert files(code) == before
    (code.work / "src").chmod(0o755)


def test_ends_of_lines_are_those_of_the_users_tree(code: Ground) -> None:
    code.git("config", "core.autocrlf", "true")
    for name in ("a.py", "src/b.py"):
        (code.work / name).unlink()
    code.git("checkout", "-q", "--", ".")
    repository = code.open()
    commit, base = code.candidate(repository, lambda place: (place / "a.py").write_bytes(b"x = 5\r\ny = 2\r\n"))
    assert repository.apply(commit, base).paths == ("a.py",)
    assert (code.work / "a.py").read_bytes() == b"x = 5\r\ny = 2\r\n"


def test_a_folder_without_git_is_applied_to_as_well(ground: Ground) -> None:
    ground.write("a.py", "x = 1\ny = 2\n")
    ground.write("run.sh", "")
    repository = ground.open()
    commit, base = ground.candidate(repository, edit)
    assert repository.apply(commit, base).conflicts == ()
    assert repository.tree_of(repository.head()) == repository.tree_of(commit)


def test_two_changes_come_together(code: Ground, repository: Repository) -> None:
    one, base = code.candidate(repository, lambda place: (place / "a.py").write_text("x = 5\ny = 2\n"))
    other, _ = code.candidate(repository, lambda place: (place / "new.py").write_text("n\n"))
    later, _ = code.candidate(repository, lambda place: (place / "a.py").write_text("x = 6\ny = 2\n"))
    both = repository.merge_tree(one, other, base)
    assert both.conflicts == ()
    assert {change.path for change in repository.changes(base, both.tree)} == {"a.py", "new.py"}
    assert repository.merge_tree(one, later, base).conflicts == ("a.py",)


def test_an_old_git_says_that_it_cannot(code: Ground, repository: Repository) -> None:
    repository.site.git.version = (2, 30)
    with pytest.raises(Unavailable, match=r"git 2\.30 cannot"):
        repository.merge_tree(repository.head(), repository.head(), repository.head())
