"""A workspace is opened, or refused with what to do about it, before anything was written."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, NotFound, Unavailable
from lab.store.files import Files
from lab.store.repository import git
from lab.store.repository.lying import Clean
from lab.store.repository.repository import opened
from tests.store.repository.conftest import everything, noon

if TYPE_CHECKING:
    from pathlib import Path

    from tests.store.repository.conftest import Ground


def test_a_workspace_in_git_is_worked_on_where_it_is(code: Ground) -> None:
    repository = code.open()
    assert (repository.mode, repository.prefix, repository.is_own) == ("git-worktree", "", False)
    assert repository.head() == code.git("rev-parse", "HEAD")
    assert repository.branch() == "main"


def test_a_folder_of_a_repository_is_a_workspace(code: Ground) -> None:
    repository = code.open(code.work / "src")
    assert repository.prefix == "src"
    assert repository.inside("/t") == "/t/src"


def test_a_detached_head_is_fine(code: Ground) -> None:
    code.git("checkout", "-q", "--detach")
    repository = code.open(clean=True)
    assert repository.branch() == ""
    assert repository.head() == code.git("rev-parse", "HEAD")


def test_a_linked_worktree_of_the_users_is_fine(code: Ground) -> None:
    code.git("worktree", "add", "-q", "-b", "other", "../other")
    repository = code.open(code.folder / "other")
    place = code.tree(repository, repository.head())
    assert code.git("status", "--porcelain", cwd=place) == ""
    assert code.git("rev-parse", "--git-common-dir", cwd=place) == str(code.work / ".git")


def test_a_repository_of_another_format_is_fine(ground: Ground) -> None:
    ground.git("init", "-q", "--object-format=sha256")
    ground.write("a", "1\n")
    base = ground.commit_all()
    assert len(base) == 64
    repository = ground.open()
    commit, _ = ground.candidate(repository, lambda place: (place / "a").write_text("2\n"))
    repository.put("refs/lab/x/1", commit, old="")
    assert [change.path for change in repository.changes(base, commit)] == ["a"]
    clone = ground.tree(repository, commit, "git-clone")
    assert ground.git("status", "--porcelain", cwd=clone) == ""


def test_a_shallow_clone_is_fine(code: Ground) -> None:
    code.write("a.py", "x = 2\n")
    code.commit_all("second")
    code.git("clone", "-q", "--depth", "1", f"file://{code.work}", "../shallow")
    repository = code.open(code.folder / "shallow")
    commit, base = code.candidate(repository, lambda place: (place / "a.py").write_text("x = 3\n"))
    assert repository.lies_under(base, commit)
    assert not repository.lies_under(commit, base)
    assert code.git("log", "--format=%s", cwd=code.tree(repository, commit, "git-clone")) == "a candidate\nsecond"


def test_a_bare_repository_is_refused(code: Ground) -> None:
    code.git("clone", "-q", "--bare", ".", "../bare.git")
    with pytest.raises(BadInput, match="bare repository") as told:
        code.open(code.folder / "bare.git")
    assert "git worktree add" in told.value.fix


def test_a_repository_without_commits_is_refused_unless_it_is_copied(ground: Ground) -> None:
    ground.git("init", "-q")
    ground.write("a", "1")
    with pytest.raises(BadInput, match="no commits"):
        ground.open()
    repository = ground.open(mode="copy")
    assert repository.read(repository.head(), "a") == b"1"


def test_a_workspace_that_is_not_there_is_named(ground: Ground) -> None:
    with pytest.raises(NotFound, match="no workspace"):
        ground.open(ground.folder / "nowhere")


def test_submodules_are_refused_by_name_and_taken_in_by_a_copy(code: Ground) -> None:
    code.git("init", "-q", "../part")
    code.write("../part/p.py", "p = 1\n")
    code.git("add", "-A", cwd=code.folder / "part")
    code.git("commit", "-qm", "part", cwd=code.folder / "part")
    code.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", "../part", "vendor/part")
    code.commit_all("with a submodule")
    with pytest.raises(BadInput, match="vendor/part"):
        code.open()
    repository = code.open(mode="copy")
    assert repository.read(repository.head(), "vendor/part/p.py") == b"p = 1\n"


def test_a_dirty_workspace_is_refused_only_where_the_spec_says_so(code: Ground) -> None:
    for number in range(12):
        code.write(f"new-{number:02d}", "")
    code.write("a.py", "x = 5\n")
    with pytest.raises(BadInput, match=r"'a.py', 'new-00'.*and 3 more"):
        code.open(clean=True)
    assert not code.lab.exists()
    repository = code.open()
    assert "a.py" in repository.uncommitted()
    assert "new-11" in repository.uncommitted()
    assert repository.read(repository.head(), "a.py") == b"x = 1\ny = 2\n"


def test_a_data_root_in_the_workspace_makes_it_neither_dirty_nor_larger(code: Ground) -> None:
    root = code.work / "lab data [1]"
    code.write("lab data [1]/registry/events.jsonl", "{}")
    own = f"{root}/experiments/x/code.git"
    given = {"own": own, "now": noon, "apart": (str(root),)}
    opened(Files(durable=False), str(code.work), mode="auto", clean=Clean(), **given)  # type: ignore[arg-type]
    copied = opened(Files(durable=False), str(code.work), mode="copy", **given)  # type: ignore[arg-type]
    assert not [change.path for change in copied.changes(copied.head(), copied.head())]
    assert sorted(copied.digests(copied.head(), lambda _: True)) == [".gitignore", "a.py", "link", "run.sh", "src/b.py"]


def test_a_folder_without_git_gets_a_repository_of_the_labs_own(ground: Ground) -> None:
    ground.write("a.py", "x = 1\n")
    ground.write("data/big.log", "1\n")
    ground.write(".gitignore", "*.log\n")
    repository = ground.open()
    assert (repository.mode, repository.is_own) == ("copy", True)
    first = repository.head()
    assert repository.head() == first
    ground.write("a.py", "x = 2\n")
    (ground.work / ".gitignore").unlink()
    second = ground.open().head()
    assert repository.lies_under(first, second)
    assert sorted(change.path for change in repository.changes(first, second)) == [".gitignore", "a.py", "data/big.log"]
    assert sorted(os.listdir(ground.work)) == ["a.py", "data"]


def test_a_folder_that_the_repository_around_it_does_not_know_is_copied(code: Ground) -> None:
    code.write("scratch/new/a.py", "1\n")
    assert code.open(code.work / "scratch/new").mode == "copy"
    with pytest.raises(BadInput, match="nothing of the workspace is committed"):
        code.open(code.work / "scratch/new", mode="git-worktree")


def test_a_mode_that_needs_git_is_refused_without_it(ground: Ground) -> None:
    with pytest.raises(BadInput, match="needs a git repository"):
        ground.open(mode="git-clone")


def test_opening_runs_no_program_that_the_repository_names(code: Ground) -> None:
    trap = code.write("../trap.sh", f"#!/bin/sh\ntouch {code.folder}/sprung\ncat\n")
    trap.chmod(0o755)
    code.write(".gitattributes", "*.py filter=trap diff=trap\n")
    code.commit_all("attributes")
    for name in ("filter.trap.clean", "filter.trap.smudge", "filter.trap.process", "diff.trap.textconv"):
        code.git("config", name, str(trap))
    for name in ("core.fsmonitor", "diff.external", "core.pager", "core.sshCommand", "core.alternateRefsCommand"):
        code.git("config", name, str(trap))
    for hook in ("post-checkout", "reference-transaction", "post-index-change", "pre-commit", "post-commit"):
        code.write(f".git/hooks/{hook}", trap.read_bytes()).chmod(0o755)
    for name in ("a.py", "src/b.py"):
        os.utime(code.work / name)  # git has to read them to know
    repository = code.open(clean=True)
    commit, base = code.candidate(repository, lambda place: (place / "a.py").write_text("x = 2\n"))
    repository.put("refs/lab/x/1", commit, old="")
    repository.advance("lab/x", commit, "")
    repository.normalised(base, commit)
    repository.stat(base, commit)
    repository.plain_tree(commit, str(code.new()))
    assert repository.apply(commit, base).paths == ("a.py",)
    assert not (code.folder / "sprung").exists()


def test_nothing_of_the_users_repository_changes_by_opening_it(code: Ground) -> None:
    before = everything(code.work)
    code.open(clean=True)
    assert everything(code.work) == before


def test_pointers_are_named(code: Ground) -> None:
    code.write(".gitattributes", "*.bin filter=lfs diff=lfs merge=lfs -text\n")
    oid = "sha256:" + "0" * 64
    code.write("m.bin", f"version https://git-lfs.github.com/spec/v1\noid {oid}\nsize 12345678\n")
    head = code.commit_all()
    repository = code.open()
    assert repository.pointers(head) == ("m.bin",)
    place = code.new()
    repository.plain_tree(head, str(place))
    assert (place / "m.bin").read_text().startswith("version https://git-lfs")


def test_without_git_it_says_what_to_install(code: Ground, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    git.found.cache_clear()
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="none on PATH") as told:
        code.open()
    assert "git 2.30" in told.value.fix
    old = code.write("../git", "#!/bin/sh\necho git version 2.25.1\n")
    old.chmod(0o755)
    with pytest.raises(Unavailable, match=r"too old.*2\.25\.1"):
        code.open()
    git.found.cache_clear()
