"""Commits and refs are the lab's, and move only from where they are believed to be."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, Busy, Taken
from tests.store.repository.conftest import everything

if TYPE_CHECKING:
    from lab.store.repository.repository import Repository
    from tests.store.repository.conftest import Ground


@pytest.fixture
def repository(code: Ground) -> Repository:
    return code.open()


def candidate(code: Ground, repository: Repository, text: str = "x = 2\n") -> str:
    return code.candidate(repository, lambda place: (place / "a.py").write_text(text))[0]


def test_a_commit_says_who_made_it_when_and_for_which_run(code: Ground, repository: Repository) -> None:
    base = repository.head()
    trailers = {"Lab-Run": "RUN-1", "Lab-Metric": "val_bpb 0.98\nForged: yes"}
    commit = repository.commit(repository.tree_of(base), base, "tune: less\n\nbecause", trailers)
    assert repository.commit(repository.tree_of(base), base, "tune: less\n\nbecause", trailers) == commit
    assert repository.message(commit) == (
        "tune: less\n\nbecause\n\nLab-Run: RUN-1\nLab-Metric: val_bpb 0.98 Forged: yes"
    )
    assert code.git("log", "-1", "--format=%an %ae %cn %ct %P", commit) == (
        f"labctl labctl@localhost labctl 1795867200 {base}"
    )


def test_a_discard_stays_under_its_ref(code: Ground, repository: Repository) -> None:
    commit = candidate(code, repository)
    repository.put("refs/lab/x/RUN-1", commit, old="")
    assert repository.commit_of("refs/lab/x/RUN-1") == commit
    code.git("gc", "-q", "--prune=now")
    assert code.git("diff", "--stat", "HEAD", "refs/lab/x/RUN-1").startswith("a.py")


def test_a_ref_moves_only_from_where_it_is_believed_to_be(code: Ground, repository: Repository) -> None:
    one, two = candidate(code, repository), candidate(code, repository, "x = 3\n")
    repository.advance("lab/x", one, "")
    with pytest.raises(Taken, match="moved by somebody else"):
        repository.advance("lab/x", two, "")
    with pytest.raises(Taken):
        repository.put("refs/heads/lab/x", two, old=two)
    repository.advance("lab/x", two, one)
    assert repository.commit_of("lab/x") == two
    assert code.git("branch", "--list", "lab/*") == "lab/x"


def test_a_branch_that_somebody_has_checked_out_is_not_moved(code: Ground, repository: Repository) -> None:
    one, two = candidate(code, repository), candidate(code, repository, "x = 3\n")
    repository.advance("lab/x", one, "")
    code.git("worktree", "add", "-q", "../theirs", "lab/x")
    with pytest.raises(BadInput, match="checked out") as told:
        repository.advance("lab/x", two, one)
    assert told.value.where == str(code.folder / "theirs")
    assert repository.commit_of("lab/x") == one


def test_a_branch_named_like_the_folder_of_ours_is_told(code: Ground, repository: Repository) -> None:
    code.git("branch", "lab")
    with pytest.raises(BadInput, match="cannot be made"):
        repository.advance("lab/x", repository.head(), "")
    with pytest.raises(BadInput, match="cannot be made"):
        repository.put("refs/lab/a..b", repository.head())


def test_a_ref_that_is_locked_is_busy(code: Ground, repository: Repository) -> None:
    lock = code.write(".git/refs/lab/x/1.lock", "")
    with pytest.raises(Busy, match="was killed") as told:
        repository.put("refs/lab/x/1", repository.head())
    assert str(lock) in told.value.fix


def test_what_came_from_what_is_told(code: Ground, repository: Repository) -> None:
    base = repository.head()
    one, _ = code.candidate(repository, lambda place: (place / "a.py").write_text("1\n"), base)
    two, _ = code.candidate(repository, lambda place: (place / "a.py").write_text("2\n"), one)
    side, _ = code.candidate(repository, lambda place: (place / "a.py").write_text("3\n"), base)
    assert repository.merge_base(two, side) == base
    assert (repository.lies_under(one, two), repository.lies_under(side, two)) == (True, False)


def test_what_does_not_exist_names_no_commit(repository: Repository) -> None:
    assert [repository.commit_of(name) for name in ("", "nowhere", "-h", "f" * 40)] == [""] * 4


def test_the_users_repository_is_otherwise_as_it_was(code: Ground, repository: Repository) -> None:
    before = everything(code.work)
    commit = candidate(code, repository)
    repository.put("refs/lab/x/1", commit, old="")
    repository.advance("lab/x", commit, "")
    new = {name for name, seen in everything(code.work).items() if before.get(name) != seen}
    assert {name.split("/")[1] for name in new} <= {"objects", "refs", "worktrees", "logs"}
    assert code.git("status", "--porcelain") == ""
