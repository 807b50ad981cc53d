"""What was changed in a tree is found, whatever was done there to hide it; and what it is, is said."""

from __future__ import annotations

import os
import shutil
import socket
from typing import TYPE_CHECKING

import pytest
from msgspec import structs

from lab.core.errors import BadInput
from lab.store.repository import harvest, noted
from tests.store.repository.conftest import edit_unseen, everything, until_later

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.repository.changed import Harvest
    from lab.store.repository.repository import Repository
    from tests.store.repository.conftest import Ground


class Work:
    """A tree under way."""

    def __init__(self, ground: Ground, mode: str = "") -> None:
        self.ground = ground
        self.repository: Repository = ground.open()
        self.base = self.repository.head()
        self.place: Path = ground.tree(self.repository, self.base, mode)

    def harvest(self) -> Harvest:
        return self.repository.harvest(str(self.place), self.base)

    def told(self) -> list[tuple[str, str]]:
        return sorted((change.status, change.path) for change in self.harvest().changes)


@pytest.fixture
def work(code: Ground) -> Work:
    return Work(code)


def test_nothing_changed_is_no_change(work: Work) -> None:
    for name in ("a.py", "src/b.py"):
        os.utime(work.place / name)
    found = work.harvest()
    assert (found.changes, found.tree) == ((), work.repository.tree_of(work.base))


def test_new_changed_and_removed_files_are_all_found(work: Work) -> None:
    (work.place / "a.py").write_text("x = 1\ny = 3\nz = 4\n")
    (work.place / "new folder").mkdir()
    (work.place / "new folder/n.py").write_text("n\n")
    (work.place / "run.sh").unlink()
    (work.place / "noise.log").write_text("ignored\n")
    found = work.harvest()
    assert sorted((change.status, change.path) for change in found.changes) == [
        ("A", "new folder/n.py"),
        ("D", "run.sh"),
        ("M", "a.py"),
    ]
    assert (found.added, found.removed, found.files) == (3, 2, 3)
    assert {change.path: change.size for change in found.changes}["a.py"] == 18


def test_a_change_that_is_too_much_is_told_by_what_was_changed(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "_TICK_NS", 1 << 60)  # all that git just wrote is looked at again
    monkeypatch.setattr(harvest, "MOST_BYTES", 100)
    for name in ("a.py", "new.bin"):
        (work.place / name).write_text("x" * 60)
    with pytest.raises(BadInput, match=r"the change has 2 files with 0\.0 MiB"):
        work.harvest()


def test_it_can_be_harvested_again_after_more_work(work: Work) -> None:
    (work.place / "a.py").write_text("x = 2\ny = 2\n")
    first = work.harvest()
    (work.place / "a.py").write_text("x = 3\ny = 2\n")
    second = work.harvest()
    assert first.tree != second.tree
    (work.place / "a.py").write_text("x = 1\ny = 2\n")
    assert work.harvest().changes == ()


def test_an_edit_of_the_same_size_with_its_old_time_is_found(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "_TICK_NS", -1)  # nothing is read for being new: the stamps alone must tell
    until_later(work.place / "a.py", work.ground.folder / "probe")
    edit_unseen(work.place / "a.py", "x = 9\ny = 2\n")
    assert work.told() == [("M", "a.py")]


def test_an_edit_in_the_very_tick_in_which_the_tree_was_made_is_found(work: Work) -> None:
    seen = noted.seen_in(work.repository.site, str(work.place))
    edit_unseen(work.place / "a.py", "x = 9\ny = 2\n")
    stamp = noted.stamp_of(str(work.place / "a.py"))
    assert stamp is not None
    noted.write(work.repository.site, structs.replace(seen, files=seen.files | {"a.py": stamp}))
    assert work.told() == [("M", "a.py")]


def test_an_edit_hidden_in_the_trees_own_index_is_found(work: Work) -> None:
    work.ground.git("update-index", "--assume-unchanged", "a.py", cwd=work.place)
    work.ground.git("update-index", "--skip-worktree", "src/b.py", cwd=work.place)
    (work.place / "a.py").write_text("x = 9\ny = 2\n")
    (work.place / "src/b.py").unlink()
    assert work.told() == [("D", "src/b.py"), ("M", "a.py")]


def test_a_commit_made_in_the_tree_is_part_of_the_change(work: Work) -> None:
    (work.place / "a.py").write_text("x = 9\n")
    work.ground.git("commit", "-qam", "mine", cwd=work.place)
    assert work.told() == [("M", "a.py")]


def test_modes_links_and_types_are_told(work: Work) -> None:
    (work.place / "a.py").chmod(0o755)
    (work.place / "link").unlink()
    (work.place / "link").write_text("a.py")
    (work.place / "run.sh").unlink()
    (work.place / "run.sh").symlink_to("/etc/passwd")
    found = {change.path: change for change in work.harvest().changes}
    assert found["a.py"].old_mode != found["a.py"].new_mode
    assert (found["link"].status, found["link"].is_link) == ("T", True)
    assert (found["run.sh"].status, found["run.sh"].is_link) == ("T", True)


def test_a_rename_is_the_old_path_gone_and_the_new_one_with_its_source(work: Work) -> None:
    (work.place / "src/b.py").rename(work.place / "src/B.py")  # by case alone
    found = {change.path: change for change in work.harvest().changes}
    assert found["src/b.py"].status == "D"
    assert (found["src/B.py"].status, found["src/B.py"].source) == ("R", "src/b.py")


def test_a_file_may_become_a_folder_and_a_folder_a_file(work: Work) -> None:
    (work.place / "a.py").unlink()
    (work.place / "a.py").mkdir()
    (work.place / "a.py/inside").write_text("1\n")
    shutil.rmtree(work.place / "src")
    (work.place / "src").write_text("2\n")
    assert work.told() == [("A", "a.py/inside"), ("A", "src"), ("D", "a.py"), ("D", "src/b.py")]


def test_a_folder_that_became_a_link_is_not_followed(work: Work) -> None:
    shutil.rmtree(work.place / "src")
    (work.place / "src").symlink_to(work.ground.work / "src")
    assert work.told() == [("A", "src"), ("D", "src/b.py")]


def test_names_of_any_kind_are_kept(work: Work) -> None:
    names = [
        "with space",
        "new\nline",
        '"quoted"',
        "tab\tbed",
        "back\\slash",
        "*.py",
        ":(top)x",
        os.fsdecode(b"caf\xe9"),
    ]
    for name in names:
        (work.place / name).write_text(f"{name!a}\n")
    assert work.told() == sorted(("A", name) for name in names)
    found = work.harvest()
    commit = work.repository.commit(found.tree, work.base, "names", {})
    place = work.ground.new()
    work.repository.plain_tree(commit, str(place))
    assert set(names) < set(os.listdir(place))
    assert {path for path, _, _ in work.repository.lines(work.base, commit)} == set(names)
    assert set(work.repository.apply(commit, work.base).paths) == set(names)
    assert set(names) < set(os.listdir(work.ground.work))


def test_binary_files_are_kept_to_the_byte(work: Work) -> None:
    data = bytes(range(256)) * 40
    (work.place / "m.bin").write_bytes(data)
    found = work.harvest()
    assert found.changes[0].is_binary
    assert (found.added, found.files) == (0, 1)
    commit = work.repository.commit(found.tree, work.base, "binary", {})
    assert work.repository.read(commit, "m.bin") == data
    assert work.repository.apply(commit, work.base).paths == ("m.bin",)
    assert (work.ground.work / "m.bin").read_bytes() == data


def test_what_python_compiled_is_no_change(work: Work) -> None:
    (work.place / "__pycache__").mkdir()
    (work.place / "__pycache__/a.cpython-311.pyc").write_bytes(b"\0")
    assert work.told() == []


def test_pipes_and_sockets_are_named_and_not_waited_for(work: Work) -> None:
    os.mkfifo(work.place / "pipe")
    (work.place / "a.py").unlink()
    os.mkfifo(work.place / "a.py")
    with socket.socket(socket.AF_UNIX) as listening:
        here = os.open(work.place, os.O_RDONLY)
        listening.bind(f"/proc/self/fd/{here}/socket")
        os.close(here)
    found = work.harvest()
    assert [(change.status, change.path) for change in found.changes] == [("D", "a.py")]
    assert found.unkept == ("a.py",)


def test_a_repository_in_the_tree_is_told_as_a_submodule(work: Work) -> None:
    work.ground.git("init", "-q", "nested", cwd=work.place)
    (work.place / "nested/n.py").write_text("1\n")
    work.ground.git("add", "-A", cwd=work.place / "nested")
    work.ground.git("commit", "-qm", "n", cwd=work.place / "nested")
    (work.place / ".gitmodules").write_text('[submodule "nested"]\n\tpath = nested\n\turl = ext::touch sprung\n')
    found = work.harvest()
    assert {change.path: change.is_submodule for change in found.changes} == {".gitmodules": False, "nested": True}
    assert found.unkept == ("nested",)
    assert "nested/n.py" not in work.repository.digests(found.tree, lambda _: True)


def test_a_hostile_git_file_or_folder_in_the_tree_is_not_looked_at(work: Work) -> None:
    trap = f"touch {work.ground.folder}/sprung; cat"
    (work.place / ".git").unlink()
    work.ground.git("init", "-q", cwd=work.place)
    for name in ("core.fsmonitor", "filter.t.clean", "filter.t.smudge", "core.editor", "diff.external"):
        work.ground.git("config", name, trap, cwd=work.place)
    (work.place / ".gitattributes").write_text("* filter=t\n")
    (work.place / ".git/index.lock").write_text("")
    (work.place / "a.py").write_text("x = 9\ny = 2\n")
    assert work.told() == [("A", ".gitattributes"), ("M", "a.py")]
    commit = work.repository.commit(work.harvest().tree, work.base, "m", {})
    place = work.ground.new()
    work.repository.plain_tree(commit, str(place))
    assert (place / "a.py").read_text() == "x = 9\ny = 2\n"
    assert not (work.ground.folder / "sprung").exists()


def test_settings_planted_in_the_users_repository_start_nothing(work: Work) -> None:
    trap = f"touch {work.ground.folder}/sprung; cat"
    for name in ("filter.t.clean", "filter.t.smudge", "core.fsmonitor", "diff.t.textconv"):
        work.ground.git("config", name, trap, cwd=work.place)
    (work.place / ".gitattributes").write_text("* filter=t diff=t\n")
    (work.place / "a.py").write_text("x = 9\n")
    commit = work.repository.commit(work.harvest().tree, work.base, "m", {})
    work.repository.plain_tree(commit, str(work.ground.new()))
    work.repository.patch(work.base, commit)
    work.repository.put("refs/lab/x/1", commit)
    assert not (work.ground.folder / "sprung").exists()


def test_a_lock_planted_on_an_index_stops_nothing(work: Work) -> None:
    (work.ground.work / ".git/index.lock").write_text("")
    (work.place / "a.py").write_text("x = 9\n")
    assert work.told() == [("M", "a.py")]
    assert not work.ground.open().uncommitted()


def test_a_change_that_is_too_large_is_refused_with_its_largest_file(work: Work) -> None:
    with open(work.place / "weights.bin", "wb") as file:
        file.truncate(200 << 20)
    with pytest.raises(BadInput, match=r"200\.0 MiB.*weights\.bin"):
        work.harvest()


def test_outside_of_the_workspace_is_named_so_that_no_rule_allows_it(code: Ground) -> None:
    repository = code.open(code.work / "src")
    base = repository.head()
    place = code.tree(repository, base)
    (place / "src/b.py").write_text("b\n")
    (place / "a.py").write_text("a\n")
    changes = repository.harvest(str(place), base).changes
    assert sorted(change.path for change in changes) == ["../a.py", "b.py"]


def test_a_tree_that_was_replaced_by_a_link_is_refused(work: Work) -> None:
    shutil.rmtree(work.place)
    work.place.symlink_to(work.ground.work)
    with pytest.raises(BadInput, match="link stands in its place"):
        work.harvest()


@pytest.mark.parametrize("mode", ["git-worktree", "git-clone", "copy"])
def test_the_users_tree_is_the_same_after_many_candidates(code: Ground, mode: str) -> None:
    before = {name: seen for name, seen in everything(code.work).items() if "/objects" not in name}
    work = Work(code, mode)
    for number in range(5):
        (work.place / "a.py").write_text(f"x = {number}\n")
        work.repository.commit(work.harvest().tree, work.base, "m", {})
    work.repository.remove_tree(str(work.place))
    shutil.rmtree(code.work / ".git/worktrees", ignore_errors=True)
    assert {name: seen for name, seen in everything(code.work).items() if "/objects" not in name} == before


def test_a_kept_run_costs_only_what_it_changed(code: Ground) -> None:
    for number in range(20):
        code.write(f"data/{number}.bin", os.urandom(1 << 20))
    code.commit_all("20 MB")

    def size() -> int:
        return sum(
            path.stat().st_size for folder in (code.lab, code.work) for path in folder.rglob("*") if path.is_file()
        )

    repository = code.open()
    before = size()
    place = code.tree(repository, repository.head())
    (place / "a.py").write_text("x = 3\n")
    commit = repository.commit(repository.harvest(str(place), repository.head()).tree, repository.head(), "m", {})
    repository.put("refs/lab/x/1", commit, old="")
    repository.remove_tree(str(place))
    assert size() - before < 20_000
