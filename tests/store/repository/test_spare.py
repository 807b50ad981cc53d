"""A tree becomes the next one, and brings nothing along."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.store.repository import noted
from tests.store.repository.conftest import edit_unseen, everything, until_later

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from lab.store.repository.repository import Repository
    from tests.store.repository.conftest import Ground


@pytest.fixture
def many(code: Ground) -> Ground:
    for number in range(60):
        code.write(f"many/{number % 6}/f{number}.py", f"n = {number}\n")
    code.commit_all("many")
    return code


def folder_to_link(place: Path) -> None:
    shutil.rmtree(place / "many/1")
    (place / "many/1").symlink_to("0")


def file_to_folder(place: Path) -> None:
    (place / "a.py").unlink()
    (place / "a.py").mkdir()
    (place / "a.py/x").write_text("x")


def compiled(place: Path) -> None:
    (place / "__pycache__").mkdir()
    (place / "__pycache__/a.pyc").write_text("evil")


def nested(place: Path) -> None:
    (place / "many/0/.git").mkdir()
    (place / "many/0/.git/config").write_text("evil")


def locked(place: Path) -> None:
    (place / "many/2").chmod(0)


def replaced(place: Path) -> None:
    (place / "many/3/new").write_bytes((place / "many/3/f3.py").read_bytes())
    (place / "many/3/new").rename(place / "many/3/f3.py")


EDITS: dict[str, Callable[[Path], object]] = {
    "nothing": lambda place: None,
    "same size and time": lambda place: edit_unseen(place / "many/0/f6.py", "n = 7\n"),
    "mode": lambda place: (place / "many/0/f0.py").chmod(0o755),
    "new files": lambda place: (place / "many/0/sitecustomize.py").write_text("evil"),
    "compiled": compiled,
    "ignored": lambda place: (place / "noise.log").write_text("evil"),
    "removed": lambda place: (place / "many/5/f5.py").unlink(),
    "swapped": lambda place: ((place / "a.py").rename(place / "t"), (place / "many/0/f0.py").rename(place / "a.py")),
    "folder to link": folder_to_link,
    "file to folder": file_to_folder,
    "locked": locked,
    "folder's mode": lambda place: (place / "many").chmod(0o777),
    "own mode": lambda place: place.chmod(0o777),
    "hard link": lambda place: os.link(place / "a.py", place.parent / "elsewhere"),
    "pipe": lambda place: os.mkfifo(place / "pipe"),
    "deep": lambda place: (place / "/".join("d" * 60)).mkdir(parents=True),
    "git": nested,
    "replaced": replaced,
}


CASES = [*((name, "plain") for name in EDITS), *(("swapped", mode) for mode in ("git-worktree", "git-clone", "copy"))]


@pytest.mark.parametrize(("edit", "mode"), CASES)
def test_nothing_of_a_tree_is_left_in_the_next_one(
    many: Ground, edit: str, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noted, "_TICK_NS", -1)  # nothing is written anew for being new
    repository = many.open()
    base = repository.head()
    commit, _ = many.candidate(repository, lambda place: (place / "many/4/f4.py").write_text("n = 44\n"), base)
    repository.drop_spares(str(many.lab / "scratch"))

    def made(commit: str) -> Path:
        if mode != "plain":
            return many.tree(repository, commit, mode)
        place = many.new()
        repository.plain_tree(commit, str(place))
        return place

    first = made(base)
    until_later(first / "src/b.py", many.folder / "probe")
    EDITS[edit](first)
    repository.remove_tree(str(first))
    assert not first.exists()
    second = made(commit)
    fresh = many.new()
    repository.plain_tree(commit, str(fresh))
    found = {name: seen for name, seen in everything(second).items() if name.split("/")[0] != ".git"}
    assert found == everything(fresh)
    if mode.startswith("git-"):
        assert many.git("status", "--porcelain", cwd=second) == ""
    if mode != "plain":
        (second / "many/0/f12.py").write_text("n = 99\n")
        assert [change.path for change in repository.harvest(str(second), commit).changes] == ["many/0/f12.py"]


@pytest.fixture
def repository(many: Ground) -> Repository:
    return many.open()


def test_what_was_not_touched_is_not_written_again(many: Ground, repository: Repository) -> None:
    base = repository.head()
    first = many.tree(repository, base)
    newest = max(path.stat().st_ctime_ns for path in first.rglob("*.py"))
    old = [path for path in (first / "many").rglob("*.py") if path.stat().st_ctime_ns < newest - 10_000_000]
    kept = {path.relative_to(first): path.stat().st_ino for path in old}
    os.utime(first / "a.py", (1, 1))
    repository.remove_tree(str(first))
    second = many.tree(repository, base)
    assert {name: (second / name).stat().st_ino for name in kept} == kept
    assert (second / "a.py").stat().st_mtime > 1


def test_other_rules_for_the_ends_of_lines_make_a_tree_anew(many: Ground, repository: Repository) -> None:
    repository.remove_tree(str(many.tree(repository, repository.head())))
    many.write(".gitattributes", "*.py text eol=crlf\n")
    many.git("add", "-A")
    many.git("commit", "-qm", "attributes")
    second = many.tree(repository, repository.head())
    assert (second / "a.py").read_bytes() == b"x = 1\r\ny = 2\r\n"
    repository.remove_tree(str(second))
    many.git("config", "core.eol", "lf")
    many.git("config", "core.autocrlf", "input")
    assert (many.tree(many.open(), repository.head()) / "a.py").read_bytes() == b"x = 1\r\ny = 2\r\n"


def test_only_two_trees_are_kept_and_none_when_there_is_no_later(many: Ground, repository: Repository) -> None:
    places = [many.tree(repository, repository.head()) for _ in range(4)]
    for place in places:
        repository.remove_tree(str(place))
    scratch = many.lab / "scratch"
    assert sorted(os.listdir(scratch)) == [".spare-0", ".spare-1"]
    assert repository.sweep() == []
    assert many.git("worktree", "list").count("\n") == 0
    repository.drop_spares(str(many.lab / "scratch"))
    assert os.listdir(scratch) == []
    assert os.listdir(many.lab / "code.git/trees") == []


def test_a_tree_that_is_no_spare_one_is_gone_at_once(many: Ground, repository: Repository) -> None:
    repository.remove_tree(str(many.tree(repository, repository.head())), is_spare=False)
    assert os.listdir(many.lab / "scratch") == []


def test_a_moved_tree_can_still_become_the_next_one(many: Ground, repository: Repository) -> None:
    place, best = many.new(), many.new("best")
    repository.plain_tree(repository.head(), str(place))
    repository.move_tree(str(place), str(best), repository.head())
    assert repository.strayed(str(best), repository.head()) == ()
    repository.remove_tree(str(best))
    assert os.listdir(many.lab / "scratch") == [".spare-0"]


@pytest.mark.parametrize("is_spare", [True, False])
def test_a_tree_of_which_a_power_cut_left_an_empty_note_is_removed(
    many: Ground, repository: Repository, is_spare: bool
) -> None:
    place = many.tree(repository, repository.head())
    (note,) = (many.lab / "code.git/trees").glob("*.seen")
    note.write_bytes(b"")
    repository.remove_tree(str(place), is_spare=is_spare)
    assert os.listdir(many.lab / "scratch") == []
    assert os.listdir(many.lab / "code.git/trees") == []


TAKER = """
import os
import sys
from tests.store.repository.conftest import noon
from lab.store.files import Files
from lab.store.repository.repository import opened
work, own, place = sys.argv[1:]
repository = opened(Files(durable=False), work, own=own, now=noon)
for number in range(6):
    repository.plain_tree(repository.head(), f"{place}-{number}")
    assert sum(len(names) for _, _, names in os.walk(f"{place}-{number}")) == 65
    assert repository.strayed(f"{place}-{number}", repository.head()) == ()
    repository.remove_tree(f"{place}-{number}")
"""


def test_processes_that_take_from_the_same_trees_do_not_meet(many: Ground, repository: Repository) -> None:
    words = [sys.executable, "-c", TAKER, str(many.work), f"{many.lab}/code.git"]
    children = [subprocess.Popen([*words, f"{many.lab}/scratch/{name}"]) for name in "abc"]
    assert [child.wait() for child in children] == [0, 0, 0]
    assert set(os.listdir(many.lab / "scratch")) <= {".spare-0", ".spare-1"}
