"""Which paths of a command follow a workspace into its copy, and which commands cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput
from lab.core.spec import Spec
from lab.scheduler.results.elsewhere import Elsewhere

if TYPE_CHECKING:
    from pathlib import Path


def moved(command: str, where: str, there: str, written: str = "") -> str:
    spec = Spec(id="one", executor_command=command)
    made = Elsewhere(where, there, written or where, lambda path: path.partition("/")[0] != "data")
    return made.spec(spec, spec).executor_command


@pytest.mark.parametrize(
    ("command", "wanted"),
    [
        ("python3 {ws}/train.py", "python3 {copy}/train.py"),
        ("sh -c 'cd {ws} && python3 train.py'", "sh -c 'cd {copy} && python3 train.py'"),
        ("cd {ws};make", "cd {copy};make"),
        ("{ws}", "{copy}"),
        ('cd "{ws}/"', 'cd "{copy}/"'),
        ("cc -I{ws}/include a.c", "cc -I{copy}/include a.c"),
        ("run --data={ws}/x:{ws}:/y", "run --data={copy}/x:{copy}:/y"),
        ("ls {ws}-old {ws}.txt {ws}2 /mnt{ws}", "ls {ws}-old {ws}.txt {ws}2 /mnt{ws}"),
        ("python3 train.py {run_dir} {params.lr}", "python3 train.py {run_dir} {params.lr}"),
    ],
)
def test_a_path_follows_and_nothing_that_only_looks_like_it(command: str, wanted: str, tmp_path: Path) -> None:
    ws, copy = f"{tmp_path}/ws", f"{tmp_path}/lab/copy"
    (tmp_path / "ws").mkdir()

    def filled(text: str) -> str:
        return text.replace("{ws}", ws).replace("{copy}", copy)

    assert moved(filled(command), ws, copy) == filled(wanted)


def test_a_copy_inside_the_workspace_is_no_part_of_it(tmp_path: Path) -> None:
    ws = str(tmp_path)
    assert moved(f"cd {ws}/a", ws, f"{ws}/lab/copy") == f"cd {ws}/lab/copy/a"


def test_the_spelling_of_the_spec_follows_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ws").mkdir()
    assert moved("cd ~/ws && make", f"{tmp_path}/ws", "/copy", "~/ws") == "cd /copy && make"


@pytest.mark.parametrize(
    "command", ["cd $HOME/ws/a", "cd ${HOME}/ws", "cd {up}/ws/../ws", "cc -I{up}/link/x", "x @{up}/link"]
)
def test_what_names_the_workspace_otherwise_is_refused(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ws").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "ws")
    (tmp_path / "above").mkdir()
    for folder in ("a", "x"):
        (tmp_path / "ws" / folder).mkdir()
    with pytest.raises(BadInput, match="cannot follow an old commit"):
        moved(command.replace("{up}", f"{tmp_path}/above/.."), f"{tmp_path}/ws", "/copy")


def test_a_copy_whose_name_would_fall_apart_is_refused(tmp_path: Path) -> None:
    assert moved("python3 train.py", str(tmp_path), "/my lab/copy") == "python3 train.py"
    with pytest.raises(BadInput, match="reads otherwise"):
        moved(f"python3 {tmp_path}/train.py", str(tmp_path), "/my lab/copy")


def test_what_git_does_not_follow_stays_where_it_is(tmp_path: Path) -> None:
    ws, copy = f"{tmp_path}/ws", f"{tmp_path}/lab/copy"
    (tmp_path / "ws/data").mkdir(parents=True)
    (tmp_path / "ws/new.py").touch()  # newer than the commit: not there, and to be missed
    (tmp_path / "link").symlink_to(ws)
    command = f"{ws}/new.py {ws}/data {tmp_path}/link/data {ws}/out"
    assert moved(command, ws, copy) == f"{copy}/new.py {ws}/data {tmp_path}/link/data {copy}/out"
    (tmp_path / "lab/copy/data").mkdir(parents=True)
    assert moved(f"{ws}/data", ws, copy) == f"{copy}/data"
