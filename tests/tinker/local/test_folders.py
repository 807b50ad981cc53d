"""Folders outside the server's own: whole or not there, and what a killed process left of them goes."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.tinker import folders

if TYPE_CHECKING:
    from pathlib import Path


def killed_while_it_wrote(folder: Path) -> None:
    """A process that is gone in the middle of a folder."""
    program = (
        "import os, sys\n"
        "from lab.tinker import folders\n"
        "with folders.whole(sys.argv[1]) as draft:\n"
        "    folders.write(f'{draft}/half', b'half')\n"
        "    os._exit(9)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, folder], check=False).returncode == 9


def test_what_a_killed_process_left_goes_with_the_next_try(tmp_path: Path) -> None:
    killed_while_it_wrote(tmp_path / "mine")
    killed_while_it_wrote(tmp_path / "mine-2")
    assert len(os.listdir(tmp_path)) == 2
    with folders.whole(str(tmp_path / "mine")) as draft:
        folders.write(f"{draft}/file", b"whole")
    left, mine = sorted(os.listdir(tmp_path))
    assert (mine, left.startswith(".mine-2.")) == ("mine", True), "the draft of another name is not ours to take"
    assert os.listdir(tmp_path / "mine") == ["file"]


def test_the_draft_of_a_process_that_lives_stays(tmp_path: Path) -> None:
    with folders.whole(str(tmp_path / "mine")) as draft:
        program = "import sys; from lab.tinker import folders\nwith folders.whole(sys.argv[1]): pass"
        subprocess.run([sys.executable, "-c", program, tmp_path / "mine"], check=True)
        assert os.path.isdir(draft)


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").write_text("old")
    with pytest.raises(BadInput, match="already there"), folders.whole(str(tmp_path / "mine")):
        pass
    assert (tmp_path / "mine" / "file").read_text() == "old"


def test_a_folder_whose_making_fails_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), folders.whole(str(tmp_path / "a" / "mine")):
        1 // 0  # noqa: B018  # to fail
    assert os.listdir(tmp_path / "a") == []
