"""What measures is nobody's to change who is to be measured: found in the words of a study's commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import BadInput, LabError
from lab.research.phases.agent import ByAgent
from lab.research.project import Agent, Project
from lab.research.studies import measuring, study
from lab.research.worker import Place
from tests.research import tasks
from tests.research.agents.test_by_others import a_task
from tests.research.study.test_implementation import LOOP, MEASURE, MEASURED, SPEC, a_root, given

if TYPE_CHECKING:
    from pathlib import Path

PYTHON = sys.executable


def a_study(spec: str, *more: str, programs: frozenset[str] = frozenset()) -> study.Study:
    names = ("measure.py", "model.py", "run.sh", "config.json", "lib/work.py", *more)
    return study.of_files({"SPEC.yaml": spec.encode(), **dict.fromkeys(names, b"")}, "study", programs)


def mutable(*paths: str, spec: str = SPEC) -> str:
    return spec + f"mutable_paths: [{', '.join(paths)}]\n"


REFUSED = [
    (mutable("measure.py"), "measure.py"),
    (mutable("'*.py'"), "measure.py"),
    (mutable("lib", spec=SPEC.replace("measure.py report", "lib/work.py report")), "lib/work.py"),
    (mutable("lib/*", spec=SPEC.replace("-I -S measure.py report", "-m lib.work report")), "lib/work.py"),
    (mutable("run.sh", spec=SPEC.replace(f"{PYTHON} -I -S measure.py report", "./run.sh report")), "run.sh"),
    (mutable("model.py", spec=SPEC.replace("-I -S measure.py report", "-c 'import model'")), "model.py"),
    (mutable("measure.py", spec=SPEC.replace("measure.py report", "{workspace}/measure.py report")), "measure.py"),
    (mutable("measure.py", spec=SPEC.replace("metric: loss", "metric: loss\nshell: true")), "measure.py"),
    (LOOP.replace("[model.py]", "[measure.py]"), "measure.py"),
    (LOOP.replace("[model.py]", "[model.py, run.sh]") + "holdout_command: sh run.sh\n", "run.sh"),
]


@pytest.mark.parametrize(("spec", "name"), REFUSED)
def test_a_program_that_measures_may_not_be_among_what_is_changed(spec: str, name: str) -> None:
    with pytest.raises(BadInput, match=f"{name}, which measures"):
        study.require(a_study(spec))


ALLOWED = [
    mutable("model.py"),
    mutable("'*.py'") + "read_only_paths: [measure.py]\n",
    mutable("config.json", spec=SPEC.replace("measure.py selection", "measure.py selection --config config.json")),
    LOOP,
]


@pytest.mark.parametrize("spec", ALLOWED)
def test_what_is_only_read_or_imported_may_be(spec: str) -> None:
    assert study.require(a_study(spec)) == "report"
    found = a_study(spec)
    assert measuring.changeable(found.spec, found.files, found.programs) == ()


def test_an_agent_is_not_even_asked_where_it_could_change_what_measures(on_disk: Path, tmp_path: Path) -> None:
    folder = on_disk / tmp_path.name
    folder.mkdir()
    root = a_root(folder)
    files = given(SPEC__yaml=mutable("measure.py"), measure__py=MEASURE)
    program = "open(os.path.join(OUT, 'study', 'measure.py'), 'w').write('print(0.01)')\nprint('done')"
    task = a_task(root, folder, "implementation", program, files=files)
    with pytest.raises(LabError, match="measures"):
        ByAgent().work(task)
    assert not (folder / "studies").exists()
    (folder / "study").mkdir()
    (folder / "study" / "SPEC.yaml").write_text(mutable("measure.py"))
    (folder / "study" / "measure.py").write_text(MEASURED)
    project = Project(mode="A", agent=Agent(provider="command", command="true"))
    place = Place(root=root, project=project, folder=str(folder), phase=tasks.a_phase("implementation"))
    assert any("measure.py, which measures" in each.what and each.is_fatal for each in ByAgent().lacks(place))
