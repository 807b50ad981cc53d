"""What a phase is given: by which names, from where, and what is refused."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core.errors import BadInput, Corrupt, NotFound
from lab.research.declared import Phase
from lab.research.order import Order
from lab.research.project import Literature, Project
from lab.research.work import inputs
from lab.research.work.inputs import Provided

if TYPE_CHECKING:
    from pathlib import Path


def phase(*names: str) -> Phase:
    return Phase(name="ideation", about="", executor="ideas", inputs=names, outputs=())


def names(folder: Path, project: Project, *wanted: str) -> list[str]:
    return [each.name for each in inputs.of_phase(project, str(folder), phase(*wanted), {})]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("inputs/rows.csv", "study/SPEC.yaml", "study/deep/a.py", "own/a.bib", "own/more/b.md"):
        (tmp_path / "project" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "project" / name).write_text(name)
    (tmp_path / "outside").write_text("a secret")
    return tmp_path / "project"


def test_files_are_called_by_where_they_lie_below_what_the_key_names(folder: Path) -> None:
    project = Project(mode="A", data="inputs/rows.csv", literature=Literature(own=("own/a.bib", "own/more")))
    found = names(folder, project, "folder:data", "folder:study", "folder:literature.own", "folder:hypothesis")
    assert found == [
        "folder:data/rows.csv",
        "folder:literature.own/own/a.bib",
        "folder:literature.own/own/more/b.md",
        "folder:study/SPEC.yaml",
        "folder:study/deep/a.py",
    ]


@pytest.mark.parametrize("given", ["../outside", "/etc/hosts", "inputs/../../outside", "a\0b", "linked/outside", "."])
def test_nothing_outside_of_the_projects_folder_is_given(folder: Path, given: str) -> None:
    (folder / "linked").symlink_to(folder.parent)
    with pytest.raises(BadInput, match=r"data"):
        names(folder, Project(mode="A", data=given), "folder:data")


def test_links_are_not_followed_and_patterns_are_names(folder: Path) -> None:
    (folder / "study" / "secret").symlink_to(folder.parent / "outside")
    assert names(folder, Project(mode="A"), "folder:study") == ["folder:study/SPEC.yaml", "folder:study/deep/a.py"]
    (folder / "link.csv").symlink_to(folder / "inputs" / "rows.csv")
    for given in ("link.csv", "inputs/*.csv"):
        with pytest.raises(NotFound):
            names(folder, Project(mode="A", data=given), "folder:data")


def test_what_is_named_must_be_there_and_what_nobody_named_need_not(folder: Path) -> None:
    assert names(folder, Project(mode="A", study="study"), "folder:data", "folder:hypothesis") == []
    (folder / "study").rename(folder / "elsewhere")
    assert names(folder, Project(mode="A"), "folder:study") == []
    with pytest.raises(NotFound, match="mine"):
        names(folder, Project(mode="A", study="mine"), "folder:study")


def test_what_was_changed_since_it_was_found_is_not_read(folder: Path) -> None:
    project = Project(mode="A", data="inputs/rows.csv")
    given = Provided(inputs.of_phase(project, str(folder), phase("folder:data"), {}), {})
    assert given.read("folder:data/rows.csv") == b"inputs/rows.csv"
    (folder / "inputs" / "rows.csv").write_text("others")
    with pytest.raises(Corrupt, match=r"rows\.csv"):
        given.read("folder:data/rows.csv")
    with pytest.raises(Corrupt, match=r"rows\.csv"):
        given.prove()
    with pytest.raises(NotFound, match="not given"):
        given.read("folder:data/other.csv")


def test_a_file_that_is_read_in_several_pieces_is_the_same_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = Provided(
        inputs.of_phase(Project(mode="A", data="inputs/rows.csv"), str(folder), phase("folder:data"), {}), {}
    )
    real = os.read
    monkeypatch.setattr(os, "read", lambda descriptor, length: real(descriptor, min(length, 4)))  # as above 2 GiB
    assert given.read("folder:data/rows.csv") == b"inputs/rows.csv"


@pytest.mark.parametrize(
    ("change", "is_other"),
    [
        ({}, False),
        ({"topic": "another"}, True),
        ({"mode": "D"}, True),  # ideation is done at its least there
        ({"paper": {"title": "Another"}}, False),
        ({"gates": {"ideation": "approve"}}, False),
    ],
)
def test_only_what_a_phase_is_about_makes_it_due_again(change: dict[str, object], *, is_other: bool) -> None:
    before = msgspec.convert({"mode": "A", "topic": "one"}, Project)
    after = msgspec.convert({"mode": "A", "topic": "one", **change}, Project)
    order, about = Order(phase="ideation", worker="ideas"), phase("project:topic")
    assert (inputs.digest(before, about, order, ()) != inputs.digest(after, about, order, ())) is is_other


def test_an_agent_that_is_another_one_makes_its_phases_due_again_and_no_others() -> None:
    before = msgspec.convert({"mode": "A"}, Project)
    after = msgspec.convert({"mode": "A", "agent": {"provider": "claude"}}, Project)
    for worker, is_other in (("agent", True), ("ideas", False)):
        by = Phase(name="ideation", about="", executor=worker, outputs=())
        order = Order(phase="ideation", worker=worker)
        assert (inputs.digest(before, by, order, ()) != inputs.digest(after, by, order, ())) is is_other
