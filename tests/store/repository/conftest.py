"""Repositories that tests work on: real git, and nothing of the settings of whoever runs the tests."""

from __future__ import annotations

import os
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from lab.store.files import Files
from lab.store.repository.lying import Clean
from lab.store.repository.repository import Repository, opened

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WHO = {
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "a user",
    "GIT_AUTHOR_EMAIL": "user@example.org",
    "GIT_COMMITTER_NAME": "a user",
    "GIT_COMMITTER_EMAIL": "user@example.org",
}


def noon() -> datetime:
    return datetime(2026, 11, 28, 12, 0, tzinfo=UTC)


class Ground:
    """A user's folder with git, and a place for the lab beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.lab = folder / "lab"
        self.work.mkdir()
        self.trees = 0

    def git(self, *words: str, cwd: Path | None = None, given: bytes | None = None) -> str:
        command = ["git", *words]
        environ = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")} | WHO
        done = subprocess.run(command, cwd=cwd or self.work, env=environ, input=given, capture_output=True, check=False)
        assert done.returncode == 0, (words, done.stderr)
        return os.fsdecode(done.stdout).strip()

    def write(self, name: str, text: str | bytes, *, tree: Path | None = None) -> Path:
        path = (tree or self.work) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def commit_all(self, message: str = "begin") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    def open(self, workspace: Path | None = None, *, mode: str = "auto", clean: bool = False) -> Repository:
        place = str(workspace or self.work)
        return opened(
            Files(durable=False),
            place,
            own=f"{self.lab}/code.git",
            mode=mode,
            clean=Clean() if clean else None,
            now=noon,
        )

    def new(self, name: str = "tree") -> Path:
        self.trees += 1
        return self.lab / "scratch" / f"{name}-{self.trees}"

    def tree(self, repository: Repository, commit: str, mode: str = "") -> Path:
        place = self.new("m")
        repository.mutation_tree(commit, str(place), mode)
        return place

    def candidate(self, repository: Repository, edit: Callable[[Path], object], base: str = "") -> tuple[str, str]:
        """A commit of what an edit made of a tree, and what it began from."""
        base = base or repository.head()
        place = self.tree(repository, base)
        edit(place)
        return repository.commit(repository.harvest(str(place), base).tree, base, "a candidate", {}), base


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.fixture
def code(ground: Ground) -> Ground:
    """A repository with a few files and one commit."""
    ground.git("init", "-q", "-b", "main")
    ground.write("a.py", "x = 1\ny = 2\n")
    ground.write("src/b.py", "def f():\n    return 1\n\n\ndef g():\n    return 1\n")
    ground.write("run.sh", "#!/bin/sh\n").chmod(0o755)
    (ground.work / "link").symlink_to("a.py")
    ground.write(".gitignore", "*.log\n")
    ground.commit_all()
    return ground


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """All that lies in a folder, bytes and modes, to be compared with what lies there later."""
    found = {}
    for path in sorted(folder.rglob("*")):
        mode = path.lstat().st_mode
        data = os.fsencode(os.readlink(path)) if path.is_symlink() else path.read_bytes() if path.is_file() else b""
        found[os.fsdecode(bytes(path.relative_to(folder)))] = (mode, data)
    return found


def until_later(path: Path, probe: Path) -> None:
    """Wait until the clock of the file system has gone on since a file was written: it does so in ticks."""
    probe.touch()
    while probe.stat().st_mtime_ns <= path.stat().st_ctime_ns:
        probe.touch()


def edit_unseen(path: Path, text: str) -> None:
    """Change a file, and set back all that can be set back."""
    before = path.stat()
    assert len(text) == before.st_size
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
