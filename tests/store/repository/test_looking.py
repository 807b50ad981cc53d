"""A difference between two commits, seen without opening the repository: nothing is written, nothing is believed."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from lab.store.repository import looking
from tests.scheduler.labs import identities
from tests.scheduler.loop.live import NAME, a_loop

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.decided import Decided
    from lab.store.repository.looking import Patch
    from tests.scheduler.loop.live import Live

LIMIT = 10_000


def seen(loop: Live, made: Decided, *, limit_bytes: int = LIMIT) -> Patch | None:
    own = f"{loop.root.layout.experiment(NAME)}/code.git"
    tried = made.candidate
    return looking.patch(own, str(loop.workspace), tried.base, tried.commit, limit_bytes=limit_bytes)


@pytest.mark.parametrize("under_git", [True, False])
def test_it_is_there_for_code_under_git_and_without(tmp_path: Path, under_git: bool) -> None:
    loop = a_loop(tmp_path, under_git=under_git)
    made = loop.change(":", "echo 40 > value")
    before = identities(str(tmp_path))
    found = seen(loop, made)
    assert found is not None
    assert b"\n-50\n+40\n" in found.data
    assert not found.cut
    assert identities(str(tmp_path)) == before


def test_a_long_one_is_cut_and_a_lost_one_is_none(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    made = loop.change(":", "seq 100000 > value; seq 100000 > other")
    found = seen(loop, made)
    assert found is not None
    assert (found.cut, len(found.data)) == (True, LIMIT)
    shutil.rmtree(loop.workspace / ".git")
    assert seen(loop, made) is None
    shutil.rmtree(loop.workspace)
    assert seen(loop, made) is None


def test_what_is_no_commit_of_it_is_none(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    commit = loop.change(":").candidate.base
    own = f"{loop.root.layout.experiment(NAME)}/code.git"
    words = ("", "HEAD", "--output=here", "a..b", "f" * 39, "F" * 40, "f" * 40)
    for pair in (pair for word in words for pair in ((word, commit), (commit, word))):
        assert looking.patch(own, str(loop.workspace), *pair, limit_bytes=LIMIT) is None
    assert looking.patch(f"{own}x", str(loop.workspace), commit, commit, limit_bytes=LIMIT) is None


def test_settings_and_programs_of_the_workspace_have_no_part_in_it(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    made = loop.change(":", "echo 40 > value")
    (loop.workspace / ".gitattributes").write_text("* diff=evil\n")
    for name in ("diff.external", "diff.evil.command", "diff.evil.textconv", "core.fsmonitor"):
        loop.git("config", name, f"touch {tmp_path}/ran #")
    found = seen(loop, made)
    assert found is not None
    assert b"+40" in found.data
    assert not (tmp_path / "ran").exists()
