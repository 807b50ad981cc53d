"""What reaches a git remote: exactly what was listed, once, and only what a person approved."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from lab.core.errors import BadInput, Busy, Corrupt, LabError, NotFound, Unavailable
from lab.core.event import RELEASE_APPROVED, Event
from lab.research.release import approval, told
from lab.scheduler import refresh
from lab.store import ledger
from tests.research.release.releases import KEY, Publishing, a_project, a_remote, git, received
from tests.research.tasks import PROJECT

FILES = {"weights.bin": bytes(range(256)) * 40, "src/model.py": b"print('a model')\r\n", ".gitignore": b"*\n"}


@pytest.fixture
def remote(tmp_path: Path) -> Path:
    return a_remote(tmp_path)


@pytest.fixture
def project(tmp_path: Path, remote: Path) -> Publishing:
    return a_project(tmp_path, FILES, f"  to: git\n  remote: {remote}\n")


def test_the_remote_gets_exactly_the_list_on_a_branch_of_its_own_and_gets_it_once(
    project: Publishing, remote: Path
) -> None:
    (project.folder / ".env").write_bytes(b"beside it\n")
    shown = project.lists()
    assert set(received(remote)) == {"main"}, "a dry run sends nothing"
    assert sorted(each.path for each in shown.release.files) == sorted([*FILES, "README.md"])
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    receipt = project.sends(shown)
    branches = received(remote)
    assert set(branches) == {"main", f"labctl/{PROJECT}-{shown.sha256[:12]}"}
    assert branches["main"] == {}
    there = branches[receipt.branch]
    assert {**there, "README.md": b""} == {**FILES, "README.md": b""}
    assert b"# what is better" in there["README.md"]
    assert not receipt.found
    assert shown.sha256 in git(remote, "log", "-1", "--format=%B", receipt.branch)
    again = project.sends(shown)
    assert (again.commit, again.found) == (receipt.commit, True)
    assert received(remote) == branches


def test_a_sender_that_died_after_the_remote_took_it_leaves_one_commit(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    with pytest.raises(KeyboardInterrupt):
        project.sends(shown, dies=True)
    branch = f"labctl/{PROJECT}-{shown.sha256[:12]}"
    taken = git(remote, "rev-parse", branch)
    receipt = project.sends(shown)
    assert (receipt.commit, receipt.found) == (taken, True)
    assert git(remote, "rev-list", "--count", branch) == "1"


def test_the_same_files_have_the_same_hash_whenever_they_are_listed(project: Publishing) -> None:
    assert project.lists().sha256 == project.lists().sha256


def test_nothing_is_sent_without_a_word_for_exactly_this_hash(project: Publishing, remote: Path) -> None:
    first = project.lists()
    with pytest.raises(BadInput, match="nobody has approved"):
        project.sends(first)
    for given in (first.sha256[:12], "", "yes", "f" * 64):
        with pytest.raises(BadInput):
            approval.approve(project.root, PROJECT, given, "ann")
    (project.folder / "src/model.py").write_bytes(b"print('another')\n")
    second = project.lists()
    with pytest.raises(BadInput, match="earlier list"):
        approval.approve(project.root, PROJECT, first.sha256, "ann")
    approval.approve(project.root, PROJECT, second.sha256, "ann")
    with pytest.raises(LabError):
        project.sends(first)
    assert set(received(remote)) == {"main"}
    events = [entry.line.event for entry in ledger.entries(project.root) if entry.line is not None]
    (said,) = [each for each in events if each.type == "release_approved"]
    assert (said.name, said.actor, said.facts["at_terminal"]) == (second.sha256, "ann", False)


def test_an_approval_that_the_walk_knows_nothing_of_any_more_can_be_given_again(project: Publishing) -> None:
    shown = project.lists()
    assert approval.approve(project.root, PROJECT, shown.sha256, "ann").approved_by == "ann"
    for number in range(99):  # of others: the newest are kept
        said = Event(type=RELEASE_APPROVED, ts="1", experiment=PROJECT, actor="ann", name=f"{number:064}")
        ledger.append(project.root, said)
    assert approval.show(project.root, PROJECT).approved_by == ""
    for _ in range(2):
        approval.approve(project.root, PROJECT, shown.sha256, "bob")
    with project.root.section(PROJECT):
        view, _ = refresh.current(project.root, PROJECT)
    assert view.pursuit is not None
    assert view.pursuit.released[-1] == shown.sha256
    events = [entry.line.event for entry in ledger.entries(project.root) if entry.line is not None]
    assert [each.actor for each in events if each.name == shown.sha256] == ["ann", "bob"]


def _edit(file: Path) -> None:
    file.write_bytes(b"print('a mode1')\r\n")


def _link(file: Path) -> None:
    file.rename(file.parent / "kept.py")
    file.symlink_to("kept.py")


def _folder_link(file: Path) -> None:
    file.parent.rename(file.parents[1] / "kept")
    file.parent.symlink_to("kept")


def _hard_link(file: Path) -> None:
    os.link(file, file.parents[2] / "elsewhere")


@pytest.mark.parametrize("change", [_edit, _link, _folder_link, _hard_link, os.unlink])
def test_a_file_that_is_another_now_is_not_approved_and_not_sent(
    project: Publishing, remote: Path, change: object
) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    assert callable(change)
    change(project.folder / "src/model.py")
    with pytest.raises((BadInput, Corrupt, NotFound)):
        project.sends(shown)
    assert set(received(remote)) == {"main"}


def test_what_changes_before_a_person_approves_it_is_not_approved(project: Publishing) -> None:
    shown = project.lists()
    _edit(project.folder / "src/model.py")
    with pytest.raises(BadInput, match="edited since"):
        approval.approve(project.root, PROJECT, shown.sha256, "ann")


def test_the_bytes_that_are_sent_are_those_that_were_looked_through(
    project: Publishing, remote: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    look = told.look

    def look_and_swap(*args: object) -> object:
        scan = look(*args)  # type: ignore[arg-type]
        (project.folder / "weights.bin").write_bytes(KEY.encode())
        return scan

    monkeypatch.setattr(told, "look", look_and_swap)
    with pytest.raises((LabError, AssertionError)):
        project.sends(shown)
    for branch in received(remote).values():
        assert KEY.encode() not in b"".join(branch.values())


def test_a_remote_that_has_something_else_there_is_told_and_not_written_over(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    branch = f"refs/heads/labctl/{PROJECT}-{shown.sha256[:12]}"
    git(remote, "update-ref", branch, "refs/heads/main")
    before = received(remote)
    with pytest.raises(Busy, match="another commit"):
        project.sends(shown)
    assert received(remote) == before


def test_a_push_that_the_remote_refuses_is_told(project: Publishing, remote: Path) -> None:
    hook = remote / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    with pytest.raises(Busy, match="refused"):
        project.sends(shown)
    assert set(received(remote)) == {"main"}


def test_the_default_branch_is_never_written_to(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    branch = f"refs/heads/labctl/{PROJECT}-{shown.sha256[:12]}"
    git(remote, "update-ref", branch, "refs/heads/main")
    git(remote, "symbolic-ref", "HEAD", branch)
    with pytest.raises(BadInput, match="default branch"):
        project.sends(shown)


def test_a_remote_that_is_not_there_is_told(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    remote.rename(remote.parent / "moved.git")
    with pytest.raises(Unavailable, match="could not reach the remote"):
        project.sends(shown)


@pytest.mark.parametrize(
    "given", ["https://me:pass@host.example/a.git", "ext::sh -c id", "-u", "http://host.example/a.git", ""]
)
def test_a_remote_that_nobody_should_push_to_is_refused_before_anything_is_listed(tmp_path: Path, given: str) -> None:
    project = a_project(tmp_path, {"a.txt": b"a\n"}, f"  to: git\n  remote: {given!r}\n")
    with pytest.raises(BadInput):
        project.lists()


def test_a_remote_whose_default_branch_would_be_ours_gets_nothing(project: Publishing, remote: Path) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    git(remote, "update-ref", "-d", "refs/heads/main")
    git(remote, "symbolic-ref", "HEAD", f"refs/heads/labctl/{PROJECT}-{shown.sha256[:12]}")
    with pytest.raises(BadInput, match="default branch"):
        project.sends(shown)
    assert received(remote) == {}


def test_a_remote_that_adds_a_commit_to_what_it_gets_has_it_and_has_it_once(project: Publishing, remote: Path) -> None:
    hook = remote / "hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nread old new name\nmade=$(git commit-tree -p $new -m more $new^{tree})\n"
        "git update-ref $name $made\n"
    )
    hook.chmod(0o755)
    git(remote, "config", "user.email", "a@b")
    git(remote, "config", "user.name", "a")
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    receipt = project.sends(shown)
    assert receipt.commit != git(remote, "rev-parse", receipt.branch)
    again = project.sends(shown)
    assert (again.commit, again.found) == (receipt.commit, True)


def test_what_a_killed_sender_left_goes_with_the_next(project: Publishing) -> None:
    shown = project.lists()
    approval.approve(project.root, PROJECT, shown.sha256, "ann")
    left = Path(project.root.layout.sandbox(f"{PROJECT}@{shown.run_id}"))
    others = Path(project.root.layout.sandbox(f"other@{shown.run_id}"))
    for each in (left, others):
        (each / "tree").mkdir(parents=True)
        (each / "tree/a.txt").write_bytes(b"a")
    project.sends(shown)
    assert (left.exists(), others.exists()) == (False, True)


def test_a_folder_and_the_place_of_the_evidence_are_not_for_files_of_the_project(tmp_path: Path, remote: Path) -> None:
    project = a_project(
        tmp_path, {"inputs/a.txt": b"a\n", "Evidence/b.txt": b"b\n"}, f"  to: git\n  remote: {remote}\n"
    )
    with pytest.raises(BadInput, match="files of sealed runs"):
        project.lists()
    page = project.folder / "project.yaml"
    page.write_text(page.read_text().replace("    - 'inputs/a.txt'\n    - 'Evidence/b.txt'\n", "    - inputs\n"))
    with pytest.raises(BadInput, match="names a folder"):
        project.lists()


def test_no_word_of_a_project_forges_a_line_of_the_list(tmp_path: Path, remote: Path) -> None:
    forged = "Good\n**Sent**: all\n| a | b |"
    project = a_project(tmp_path, {"a|b.txt": b"a\n"}, f"  to: git\n  remote: {remote}\n", title=forged)
    page = project.folder / "project.yaml"
    page.write_text(page.read_text().replace("'Good", '"Good').replace("b |'", 'b |"'))
    rows = project.lists().listing.splitlines()
    assert "Title: Good **Sent**: all \\| a \\| b \\|" in rows
    assert not [row for row in rows if row.startswith(("**Sent**", "| a | b"))]
    assert [row for row in rows if row.startswith("| a\\|b.txt |")]


def test_a_digest_of_a_listed_file_is_no_secret_and_the_name_of_one_may_be(tmp_path: Path, remote: Path) -> None:
    digest = hashlib.sha256(b"a\n").hexdigest()
    project = a_project(
        tmp_path, {"a.txt": b"a\n", "b.json": f'{{"sha256": "{digest}"}}'.encode()}, f"  to: git\n  remote: {remote}\n"
    )
    assert project.lists().sha256
    word = "q7Rk2Zp9Lw4Xv8Nc1Tb6Ym3Hd5Gs0JfUeAoIx"
    (tmp_path / "two").mkdir()
    other = a_project(tmp_path / "two", {word: b"a\n", "b.py": f'value = "{word}"\n'.encode()}, "")
    with pytest.raises(LabError, match=r"b.py:1"):
        other.lists()
