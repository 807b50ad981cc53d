"""What a change may touch, and the copy that it is tried on."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.core.errors import BadInput, NotFound
from lab.executors import sandbox
from lab.store.files import Files

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    place = tmp_path / "ws"
    (place / "src").mkdir(parents=True)
    (place / "src" / "model.py").write_text("LR = 1\n")
    (place / "evaluate.py").write_text("print(1)\n")
    (place / "run.sh").write_text("#!/bin/sh\n")
    (place / "run.sh").chmod(0o755)
    (place / ".git").mkdir()
    (place / ".git" / "config").write_text("[core]\n")
    (place / "src" / "__pycache__").mkdir()
    (place / "src" / "__pycache__" / "model.pyc").write_bytes(b"stale")
    (tmp_path / "outside").mkdir()
    (place / "link").symlink_to(tmp_path / "outside")
    (place / "file-link").symlink_to("evaluate.py")
    return place


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd", "../escape.py", "src/../../escape.py", "src/..", "..", ".", "", "./x", "src//x", "src/", "~/x",
        "C:/x", "src\\..\\x", "a\x00b", "a\nb", "link/x.py", "link", "file-link", "src", "evaluate.py/x", ".git/config",
        ".GIT/hooks/pre-commit", "src/__pycache__/model.pyc", "x" * 300, "a/" * 600 + "b",
    ],
)  # fmt: skip
def test_a_path_that_leaves_the_sandbox_refuses_the_whole_change(workspace: Path, path: str) -> None:
    with pytest.raises(BadInput, match="may not"):
        sandbox.judge(str(workspace), {"src/model.py": "LR = 2\n", path: "x"})
    assert os.listdir(workspace.parent / "outside") == []
    assert (workspace / "src" / "model.py").read_text() == "LR = 1\n"


@pytest.mark.parametrize(
    "path", ["evaluate.py", "EVALUATE.PY", "Evaluate.py", "data/x/y.csv", "conf/a.yaml", "\uff45valuate.py"]
)
def test_what_is_read_only_is_kept_whatever_the_letters(workspace: Path, path: str) -> None:
    with pytest.raises(BadInput, match="read-only"):
        sandbox.judge(str(workspace), {path: "cheat"}, read_only=("./evaluate.py", "data/", "conf/*.yaml"))


def test_only_mutable_paths_may_change_when_they_are_named(workspace: Path) -> None:
    named = ("src/*.py", "conf", f"{workspace}/run.sh")
    good = {"src/model.py": "a", "src/new.py": "b", "conf/deep/x.yaml": "c", "run.sh": "d"}
    assert set(sandbox.judge(str(workspace), good, mutable=named)) == set(good)
    with pytest.raises(BadInput, match="only src"):
        sandbox.judge(str(workspace), {"setup.py": "x"}, mutable=named)


def test_read_only_wins_over_mutable(workspace: Path) -> None:
    with pytest.raises(BadInput, match="read-only"):
        sandbox.judge(str(workspace), {"src/model.py": "x"}, mutable=("src",), read_only=("src/model.py",))


def test_everything_that_is_wrong_is_told_at_once(workspace: Path) -> None:
    with pytest.raises(BadInput) as told:
        sandbox.judge(str(workspace), {"../a": "", "/b": "", "evaluate.py": ""}, read_only=("evaluate.py",))
    assert all(part in told.value.what for part in ("'../a'", "'/b'", "'evaluate.py'"))


@pytest.mark.parametrize("pair", [("a.py", "A.py"), ("a", "a/b")])
def test_two_changes_of_one_file_are_refused(workspace: Path, pair: tuple[str, str]) -> None:
    with pytest.raises(BadInput):
        sandbox.judge(str(workspace), dict.fromkeys(pair, "x"))


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=40) | st.lists(st.sampled_from(["..", ".", "a", "", "link", "src"]), max_size=6).map("/".join))
def test_a_path_that_is_let_through_stays_inside(path: str) -> None:
    here = "/nowhere/ws"
    try:
        found = sandbox.judge(here, {path: "x"})
    except BadInput:
        return
    for name in found:
        assert os.path.normpath(f"{here}/{name}") == f"{here}/{name}"
        assert f"{here}/{name}".startswith(f"{here}/")


def test_the_copy_has_the_files_modes_and_links_and_no_history(workspace: Path, tmp_path: Path) -> None:
    os.mkfifo(workspace / "pipe")
    target = tmp_path / "box"
    sandbox.copy(Files(durable=False), str(workspace), str(target))
    assert (target / "src" / "model.py").read_text() == "LR = 1\n"
    assert os.access(target / "run.sh", os.X_OK)
    assert os.readlink(target / "file-link") == "evaluate.py"
    assert sorted(os.listdir(target)) == ["evaluate.py", "file-link", "link", "run.sh", "src"]
    assert os.listdir(target / "src") == ["model.py"]


def test_a_data_root_inside_the_workspace_is_not_copied_into_itself(workspace: Path) -> None:
    # The peer copied such a data root into itself, 344 folders deep.
    lab = workspace / "lab-data"
    (lab / "scratch" / "sandbox").mkdir(parents=True)
    (workspace / "alias").symlink_to(lab)
    target = lab / "scratch" / "sandbox" / "one"
    sandbox.copy(Files(durable=False), str(workspace), str(target), apart_from=(str(lab),))
    assert not (target / "lab-data").exists() or (target / "lab-data").is_symlink()
    assert (target / "evaluate.py").is_file()


def test_a_workspace_that_is_the_data_root_or_absent_is_refused(workspace: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        sandbox.copy(Files(durable=False), str(workspace), str(tmp_path / "b"), apart_from=(str(workspace),))
    with pytest.raises(NotFound):
        sandbox.copy(Files(durable=False), str(tmp_path / "none"), str(tmp_path / "b"))


def test_a_change_is_written_into_the_copy_alone(workspace: Path, tmp_path: Path) -> None:
    files, box = Files(durable=False), str(tmp_path / "box")
    sandbox.copy(files, str(workspace), box)
    changes = sandbox.judge(str(workspace), {"src/model.py": "LR = 2", "new/deep.py": "x\n", "run.sh": "#!/bin/sh\n"})
    assert sandbox.apply(files, box, changes) == ["new/deep.py", "src/model.py"]
    assert (workspace / "src" / "model.py").read_text() == "LR = 1\n"
    assert not (workspace / "new").exists()
    diff = sandbox.patch(str(workspace), box, ["new/deep.py", "src/model.py"]).decode()
    assert "--- /dev/null\n+++ b/new/deep.py\n" in diff
    assert "-LR = 1\n+LR = 2\n\\ No newline at end of file\n" in diff


def test_an_executable_stays_executable(workspace: Path, tmp_path: Path) -> None:
    files, box = Files(durable=False), str(tmp_path / "box")
    sandbox.copy(files, str(workspace), box)
    sandbox.apply(files, box, {"run.sh": b"#!/bin/sh\ntrue\n"})
    assert os.access(f"{box}/run.sh", os.X_OK)


@pytest.mark.parametrize("data", [b"\x00\x01", b"\xff\xfe", b"a\rb\n", b"", b"no end"])
def test_any_bytes_can_be_told_in_a_patch(workspace: Path, tmp_path: Path, data: bytes) -> None:
    (workspace / "odd").write_bytes(data)
    box = tmp_path / "box"
    sandbox.copy(Files(durable=False), str(workspace), str(box))
    sandbox.apply(Files(durable=False), str(box), {"odd": b"new\n"})
    told = sandbox.patch(str(workspace), str(box), ["odd"])
    assert told.startswith(b"diff --git a/odd b/odd\n")


def test_an_argument_in_the_workspace_is_the_one_in_the_copy() -> None:
    assert sandbox.inside("/box", "/ws", "/ws/a.py") == "/box/a.py"
    assert sandbox.inside("/box", "/ws", "/ws") == "/box"
    assert sandbox.inside("/box", "/ws", "/wsx/a.py") == "/wsx/a.py"
    assert sandbox.inside("/box", "/ws", "a.py") == "a.py"
    assert sandbox.inside("/ws/lab/box", "/ws", "/ws/lab/box/a.py") == "/ws/lab/box/a.py"


def test_a_file_that_vanishes_while_it_is_copied_is_passed_over(workspace: Path, tmp_path: Path) -> None:
    class Vanishing(Files):
        def step(self, name: str, path: str) -> None:
            if name == "open" and path.endswith("evaluate.py"):
                (workspace / "evaluate.py").unlink()

    sandbox.copy(Vanishing(durable=False), str(workspace), str(tmp_path / "copy"))
    assert sorted(os.listdir(tmp_path / "copy")) == ["file-link", "link", "run.sh", "src"]
