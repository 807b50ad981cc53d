"""What an agent wrote is run behind a fence: it writes to the folder of its run, and to nothing else of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.executors import fence
from lab.research.phases.agent import ByAgent
from lab.research.phases.command import ByCommand
from lab.research.phases.implementation import Study
from lab.scheduler import fencing
from lab.store import experiments
from tests.research.agents.test_by_others import CODE, READS_MODEL, a_task, unfenced
from tests.research.study.test_implementation import a_root, built, given
from tests.research.study.test_implementation import a_task as by_the_lab

if TYPE_CHECKING:
    from lab.research.worker import Task
    from lab.store.root import Root

# Where it tries to write, a line each; what went well is said in the folder of the run.
TRIES = """\
import os, tempfile
def goes(place):
    try:
        open(place, "a").close()
    except OSError:
        return False
    return True
def wrote():
    tempfile.TemporaryFile().close()
    there = [place for place in {places!r} if goes(place)]
    open(os.path.join(os.environ["LAB_RUN_DIR"], "wrote"), "w").write("\\n".join(there))
    return 0.5
OFFSET = wrote()
"""


@pytest.fixture
def folder(on_disk: Path, tmp_path: Path) -> Path:
    made = on_disk / f"held-{tmp_path.name}"
    made.mkdir()
    return made


@pytest.fixture
def root(folder: Path) -> Root:
    return a_root(folder)


def attacked(root: Root, folder: Path, worker: str = "agent") -> tuple[Task, list[str], str]:
    """A study whose model tries to write elsewhere, where it tried that, and what it could."""
    (folder / "project.yaml").write_text("mode: A\n")
    lab = root.layout.root
    places = [f"{folder}/project.yaml", f"{lab}/experiments/planted", f"{folder}/beside", root.layout.events]
    model = TRIES.format(places=places)
    files = given(SPEC__yaml=CODE, measure__py=READS_MODEL, model__py="OFFSET = 1.0\n")
    program = f"open(os.path.join(OUT, 'study', 'model.py'), 'w').write({model!r})\nprint('done')\n"
    task = a_task(root, folder, "implementation", program, files=files, worker=worker)
    (ByAgent() if worker == "agent" else ByCommand()).work(task)
    run = root.layout.run(built(task).experiment, built(task).smoke_run)
    return task, places, Path(f"{run}/wrote").read_text()


@pytest.mark.parametrize("worker", ["agent", "command"])
def test_the_runs_of_what_somebody_else_wrote_are_held_to_their_folder(root: Root, folder: Path, worker: str) -> None:
    if not fencing.said(str(folder))[0]:
        pytest.skip("this machine has no fence")
    task, _, wrote = attacked(root, folder, worker)
    told = built(task)
    assert wrote == ""
    assert (told.is_by_others, told.is_fenced) == (True, True)
    assert told.fence.startswith(("landlock", "bwrap"))
    spec = experiments.load(root, told.experiment).spec
    assert spec is not None
    assert spec.fenced
    assert not list(Path(root.layout.place(fencing.SPARE)).iterdir())


def test_where_there_is_no_fence_the_study_says_so(root: Root, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fence, "raised", unfenced)
    task, places, wrote = attacked(root, folder)
    assert wrote.split() == places
    told = built(task)
    assert (told.is_by_others, told.is_fenced, told.fence) == (True, False, "none: a test")


def test_a_study_that_the_user_wrote_runs_as_its_spec_says(root: Root, folder: Path) -> None:
    task = by_the_lab(root, folder, given())
    Study().work(task)
    told = built(task)
    assert (told.is_by_others, told.is_fenced, told.fence) == (False, False, "")
    spec = experiments.load(root, told.experiment).spec
    assert spec is not None
    assert not spec.fenced
