"""`labctl skills install` on machines that stop, lack links or locks, and beside another install."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from lab.core.errors import Busy
from lab.core.skills import clients
from lab.store import sections, skill_copies, skills
from lab.store.files import Files
from lab.store.root import Root
from lab.testing.files import a_root
from tests.cli.labs import SHIM
from tests.skills.followed import NAMES
from tests.skills.test_install import CENTRAL, ONE, body


class NoLinks(Files):
    """A file system that knows no symbolic links."""

    def point(self, path: str, target: str) -> None:
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), path)


class Stopped(Exception):
    """The machine stops here."""


class Stopping(Files):
    """A machine that stops before the n-th change of the disk."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def step(self, name: str, path: str) -> None:
        self.left -= 1
        if self.left < 0:
            raise Stopped(name)


def placed(folder: Path, files: Files, spot: skill_copies.Spot, *, force: bool = False) -> skill_copies.Placed:
    made = a_root(folder / "lab")
    root = Root(made.layout.root, made.world, files=files)
    (skill,) = [skills.read(place) for place in skills.bundled() if place.name == ONE]
    return skill_copies.install(root, skill, spot, force=force, dry_run=False)


class Watched(Files):
    """Whether the folder of skills is ours alone at each change in it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder_of_skills = folder
        self.alone: list[bool] = []

    def step(self, name: str, path: str) -> None:
        if path.startswith(f"{self.folder_of_skills}/"):
            try:
                with sections.hold_folder(str(self.folder_of_skills), wait_s=0):
                    self.alone.append(False)
            except Busy:
                self.alone.append(True)


def test_an_install_has_the_folder_of_skills_for_itself_while_it_writes(tmp_path: Path) -> None:
    spot = skill_copies.Spot(client="agents", scope="project", path=str(tmp_path / CENTRAL))
    watched = Watched(tmp_path / ".agents/skills")
    placed(tmp_path, watched, spot)
    assert len(watched.alone) >= 8
    assert all(watched.alone)


def test_installs_at_the_same_time_take_turns_and_all_of_them_end_well(project: Path) -> None:
    words = [sys.executable, SHIM, "skills", "install", "--dest", str(project / "mine")]
    started = [
        subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ})
        for _ in range(4)
    ]
    said = [(each.communicate(timeout=60)[0], each.returncode) for each in started]
    assert [code for _, code in said] == [0] * 4, said
    assert sum(text.count("created: ") for text, _ in said) == len(NAMES)  # each of them by one of the four
    assert sorted(os.listdir(project / "mine")) == NAMES
    for name in NAMES:
        assert sorted(os.listdir(project / "mine" / name)) == [clients.MARKER, "SKILL.md"]


def test_where_a_folder_cannot_be_locked_a_file_in_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock

    def as_on_nfs(descriptor: int, how: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", as_on_nfs)
    with sections.hold_folder(str(tmp_path)), pytest.raises(Busy), sections.hold_folder(str(tmp_path), wait_s=0):
        pytest.fail("two at once")
    with sections.hold_folder(str(tmp_path), wait_s=0):
        assert os.listdir(tmp_path) == [".section.lock"]


def test_where_links_fail_a_copy_is_made_and_renewed(tmp_path: Path) -> None:
    central = skill_copies.Spot(client="agents", scope="project", path=str(tmp_path / CENTRAL))
    link = skill_copies.Spot(
        client="claude", scope="project", path=str(tmp_path / ".claude/skills" / ONE), link=central.path
    )
    placed(tmp_path, NoLinks(), central)
    assert placed(tmp_path, NoLinks(), link).deed == "created"
    assert (Path(link.path) / "SKILL.md").read_bytes() == body()
    assert placed(tmp_path, NoLinks(), link).deed == "unchanged"


def test_a_machine_that_stops_anywhere_leaves_a_place_that_install_can_go_on_from(tmp_path: Path) -> None:
    """Nothing, or a whole copy, or a person's own: never a half that nobody can tell from a change of theirs."""
    for steps in range(100):
        spot = skill_copies.Spot(client="agents", scope="project", path=str(tmp_path / str(steps) / "skills" / ONE))
        placed(tmp_path, Files(), spot)
        Path(spot.path, "NOTES.md").write_text("mine\n")
        try:
            placed(tmp_path, Stopping(steps), spot, force=True)
            break
        except Stopped:
            pass
        kept = list(Path(tmp_path, str(steps)).rglob("NOTES.md"))
        assert len(kept) == 1, steps
        assert placed(tmp_path, Files(), spot, force=True).state in ("missing", "modified", "current")
        assert Path(spot.path, "SKILL.md").read_bytes() == body()
        assert len(list(Path(tmp_path, str(steps)).rglob("NOTES.md"))) == 1
        assert os.listdir(Path(spot.path).parent) == [ONE]  # no draft is left
    else:
        pytest.fail("it never came to its end")
    assert steps > 8
