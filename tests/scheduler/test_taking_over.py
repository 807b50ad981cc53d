"""Whatever is killed, and however full the disk is: a person's file is there whole, as it was or as it is to be."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.errors import Interrupted
from lab.llm import exchange
from lab.llm.agents.running import Ran
from lab.scheduler import change, mutation, taking_over
from lab.scheduler.agents.process import AgentProcess
from lab.scheduler.change import MODIFIED, NEW, REMOVED, Change
from lab.scheduler.mutation import Mutation, Order
from lab.store import machine
from lab.store.files import Files
from lab.testing.files import NEVER, Crash, CrashingFiles, FullDisk, a_root

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.llm.agents.adapter import Adapter, Task

RECORDED = Path(__file__).resolve().parents[1] / "llm" / "agents" / "recorded"
OLD = {"f1.py": "old 1\n", "f2.py": "old 2\n", "f3.py": "old 3\n", "gone.py": "old 4\n", "kept.py": "kept\n"}
FRESH = {**OLD, "f1.py": "new 1\n", "f2.py": "new 2\n", "f3.py": "new 3\n", "sub/more.py": "new 5\n"}
NEW_TREE = {path: text for path, text in FRESH.items() if path != "gone.py"}
WRITTEN = sorted(set(NEW_TREE) - {"kept.py"})


class Hand(AgentProcess):
    """An agent that works without a process: what it does is a call."""

    does: Callable[[Path], None]

    def __call__(self, agent: Adapter, task: Task, *, until: float, stop: Callable[[], bool]) -> Ran:
        del agent, until, stop
        self.does(Path(task.folder))
        return Ran(argv=("codex",), code=0, stdout=(RECORDED / "codex-answer.jsonl").read_bytes())


def works(folder: Path) -> None:
    tree(folder, NEW_TREE)
    (folder / "gone.py").unlink()


def tree(folder: Path, contents: dict[str, str]) -> Path:
    for path, text in contents.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def seen(folder: Path) -> dict[str, str]:
    """What a person finds: all but drafts, which are nobody's files."""
    files = (path for path in folder.rglob("*") if path.is_file() and not layout.is_draft(path.name))
    return {str(path.relative_to(folder)): path.read_text() for path in files}


def is_whole(folder: Path) -> bool:
    """Each file of the workspace as it was or as it is to be: none half, none lost."""
    found = seen(folder)
    return all(found.get(path) in {OLD.get(path), NEW_TREE.get(path)} for path in {*OLD, *NEW_TREE, *found})


def mutated(
    place: Path, files: Files, does: Callable[[Path], None] = works, *, exclusive: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Mutation:  # fmt: skip
    root = a_root(place / "lab", files)
    hand = Hand(root)
    hand.does = does
    order = Order(workspace=str(place / "project"), prompt="", provider="codex", exclusive=exclusive)
    return mutation.mutate(root, hand, order, stop=stop)


def names(found: tuple[Change, ...]) -> list[str]:
    return [each.path for each in found]


def test_a_crash_before_any_write_of_a_mutation_leaves_every_file_whole(tmp_path: Path) -> None:
    at, place = 0, tmp_path
    for at in itertools.count(1):
        place = tmp_path / str(at)
        tree(place / "project", OLD)
        files = CrashingFiles(at=at)
        try:
            mutated(place, files)
        except Crash:
            assert is_whole(place / "project"), files.log[-1]
            continue
        break
    assert seen(place / "project") == NEW_TREE
    assert at > len(WRITTEN) * 4


def test_a_crash_before_any_write_of_putting_back_leaves_every_file_whole(tmp_path: Path) -> None:
    project = tmp_path
    for at in itertools.count(1):
        place = tmp_path / str(at)
        project = tree(place / "project", OLD)
        files = CrashingFiles(at=at)

        def past(folder: Path, project: Path = project) -> None:
            del folder
            (project / "f1.py").write_text(FRESH["f1.py"])
            (project / "f2.py").unlink()

        try:
            mutated(place, files, past, exclusive=True)
        except Crash:
            found = seen(project)
            assert found["f1.py"] in {OLD["f1.py"], FRESH["f1.py"]}
            assert found.get("f2.py") in {None, OLD["f2.py"]}
            continue
        break
    assert seen(project) == OLD


def test_on_a_full_disk_all_comes_over_or_nothing_and_the_copy_is_kept(tmp_path: Path) -> None:
    whole = FullDisk()
    box, project = tree(tmp_path / "box", NEW_TREE), tree(tmp_path / "project", OLD)
    before = change.look(str(project))
    changes = [*(Change(path=path, kind=MODIFIED) for path in WRITTEN), Change(path="gone.py", kind=REMOVED)]
    assert taking_over.take_over(whole, str(project), str(box), before, changes).why == ""
    for at in range(1, whole.steps + 1):
        project = tree(tmp_path / str(at), OLD)
        taken = taking_over.take_over(FullDisk(at=at), str(project), str(box), before, changes)
        assert (taken.why, taken.done) == (os.strerror(28), ())
        assert seen(project) == OLD
        assert not [path for path in project.rglob("*") if layout.is_draft(path.name)]


class RefusesTheSecondName(CrashingFiles):
    """A disk that fails in the middle of the renames."""

    def step(self, name: str, path: str) -> None:
        if name == "rename" and path.endswith("/project/f2.py"):
            raise OSError(5, os.strerror(5), path)


def test_what_came_over_before_the_disk_failed_is_told_and_the_copy_is_kept(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", OLD)
    found = mutated(tmp_path, RefusesTheSecondName(at=NEVER))
    assert names(found.changed) == ["f1.py"]
    assert names(found.refused) == ["f2.py", "f3.py", "gone.py", "sub/more.py"]
    assert found.broke_off == os.strerror(5)
    assert seen(project) == {**OLD, "f1.py": FRESH["f1.py"]}
    assert seen(Path(found.kept)) == NEW_TREE
    again = mutated(tmp_path, Files(durable=False))
    assert (again.kept, seen(project), seen(Path(found.kept))) == ("", NEW_TREE, NEW_TREE)


class APersonSaves(CrashingFiles):
    """Somebody saves two files while the change is on its way over, and renews the times of a third."""

    def step(self, name: str, path: str) -> None:
        project = Path(path).parent
        if name == "open" and path.endswith(".draft") and project.name == "project" and ".f1.py." in path:
            tree(project, {"f1.py": "by hand\n", "sub/more.py": "by hand\n"})
            (project / "f2.py").touch()


def test_what_a_person_saves_at_the_last_moment_stays(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", OLD)
    found = mutated(tmp_path, APersonSaves(at=NEVER))
    assert {each.path: each.why for each in found.refused} == dict.fromkeys(
        ("f1.py", "sub/more.py"), "it was changed in the workspace meanwhile"
    )
    assert (found.broke_off, found.kept) == ("", "")
    assert seen(project) == {**NEW_TREE, "f1.py": "by hand\n", "sub/more.py": "by hand\n"}
    assert not [path for path in project.rglob("*") if layout.is_draft(path.name)]


def test_a_file_that_cannot_be_put_back_is_told_and_its_bytes_are_kept(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", OLD)

    def past(folder: Path) -> None:
        del folder
        (project / "f1.py").unlink()
        tree(project / "f1.py", {"inside.py": "x"})
        (project / "f2.py").write_text("cheat")

    found = mutated(tmp_path, Files(durable=False), past, exclusive=True)
    assert "f1.py was changed past the copy, and cannot be put back" in " ".join(found.behind)
    assert (project / "f2.py").read_text() == OLD["f2.py"]
    assert seen(Path(found.kept))["f1.py"] == OLD["f1.py"]


KILLED = """
import os, signal, sys
from lab.scheduler import change, taking_over
from lab.scheduler.change import MODIFIED, Change
from lab.store.files import Files
class Killed(Files):
    def step(self, name, path):
        if name == "rename" and path.endswith("f2.py"):
            os.kill(os.getpid(), signal.SIGKILL)
changes = [Change(path=path, kind=MODIFIED) for path in ("f1.py", "f2.py", "f3.py")]
taking_over.take_over(Killed(), sys.argv[1], sys.argv[2], change.look(sys.argv[1]), changes)
"""


def test_after_a_kill_the_next_mutation_tells_of_it_and_clears_the_drafts(tmp_path: Path) -> None:
    project, box = tree(tmp_path / "project", OLD), tree(tmp_path / "box", NEW_TREE)
    done = subprocess.run([sys.executable, "-c", KILLED, str(project), str(box)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert is_whole(project)
    (project / ".mine.draft").write_text("a person's own")
    found = mutated(tmp_path, Files(durable=False))
    told = [line for line in found.behind if "was killed here before" in line]
    assert sorted(line.split()[6] for line in told) == ["f2.py", "f3.py"]
    assert [path.name for path in project.rglob(".*")] == [".mine.draft"]
    assert seen(project) == NEW_TREE


def test_a_draft_of_somebody_who_lives_is_left_alone(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", OLD)
    draft = project / f".f1.py.{machine.here()}0000-{os.getpid()}-0.draft"
    draft.write_text("half")
    assert mutated(tmp_path, Files(durable=False)).behind == ()
    assert draft.read_text() == "half"


def test_a_name_that_leaves_no_room_for_a_draft_comes_over_too(tmp_path: Path) -> None:
    project, name = tree(tmp_path / "project", OLD), "n" * 250 + ".py"
    mutated(tmp_path, Files(durable=False), lambda folder: (folder / name).touch())
    assert (project / name).exists()


class Counted(list[str]):
    """The files that were read for their digests."""


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> Counted:
    found, digest = Counted(), change._Eye._digest

    def counted(self: change._Eye, place: str) -> str:
        found.append(os.path.basename(place))
        return digest(self, place)

    monkeypatch.setattr(change._Eye, "_digest", counted)
    return found


def test_what_is_too_large_is_read_once_and_never_when_it_is_new(tmp_path: Path, read: Counted) -> None:
    (tmp_path / "data.bin").write_bytes(b"\\0" * (17 << 20))
    (tmp_path / "small.py").write_text("x")
    before = change.look(str(tmp_path))
    os.truncate(tmp_path / "data.bin", 18 << 20)
    (tmp_path / "holes.bin").touch()
    os.truncate(tmp_path / "holes.bin", 1 << 40)
    after = change.look(str(tmp_path), known=before)
    assert read == ["data.bin", "small.py", "small.py"]
    kinds = {each.path: each.kind for each in change.differences(before, after)}
    assert kinds == {"data.bin": MODIFIED, "holes.bin": NEW}
    assert change.differences(after, change.look(str(tmp_path), known=after)) == []


def test_of_many_files_of_holes_no_more_is_read_than_an_agent_may_write(
    tmp_path: Path, read: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change, "_MOST_READ", 4 << 20)
    (tmp_path / "z-old.py").write_text("as it was")
    before = change.look(str(tmp_path))
    read.clear()
    for number in range(20):
        (tmp_path / f"{number:02}").touch()
        os.truncate(tmp_path / f"{number:02}", 1 << 20)
    after = change.look(str(tmp_path), known=before)
    assert read == ["00", "01", "02", "03", "z-old.py"]
    changes = change.differences(before, after)
    assert len(changes) == 20
    judged = change.judged(
        changes, workspace=str(tmp_path / "w"), box=str(tmp_path), before=before, after=after, rules=change.Rules()
    )
    assert [bool(each.why) for each in judged] == [False] * 4 + [True] * 16


def test_a_look_ends_when_somebody_wants_an_end(tmp_path: Path) -> None:
    project = tree(tmp_path / "project", OLD)
    with pytest.raises(Interrupted):
        mutated(tmp_path, Files(durable=False), stop=lambda: True)
    wanted: list[bool] = []

    def asked(folder: Path) -> None:
        works(folder)
        wanted.append(True)

    found = mutated(tmp_path, Files(durable=False), asked, stop=lambda: bool(wanted))
    assert (found.problem, found.changed) == (exchange.STOPPED, ())
    assert "stopped before it was known" in found.behind[0]
    assert seen(project) == OLD


def test_one_large_file_is_not_read_to_its_end_by_somebody_who_is_told_to_stop(tmp_path: Path) -> None:
    (tmp_path / "holes.bin").touch()
    os.truncate(tmp_path / "holes.bin", 1 << 40)
    asked = itertools.count()
    with suppress(Interrupted):
        change.look(str(tmp_path), stop=lambda: next(asked) > 5)
    assert next(asked) < 10
