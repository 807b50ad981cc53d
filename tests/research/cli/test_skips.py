"""Which phases a project may leave out: what another one builds on is refused before anything runs, with what to do."""

from __future__ import annotations

import re

import pytest

from lab.core.errors import BadInput
from lab.research import declared, project
from lab.research.project import Project, Publish

GIVEN = {"hypothesis": "inputs/hypothesis.yaml", "data": "inputs/rows.csv", "proceed_from": "sweep"}
FILES = Publish(files=("notes.md",))


def made(mode: str, *skip: str, **more: object) -> Project:
    needs = {each: GIVEN[each] for each in declared.mode(mode).needs}
    return project.Project(mode=declared.mode(mode).name, skip=tuple(skip), **{**needs, **more})  # type: ignore[arg-type]


def refused(found: Project) -> tuple[str, str]:
    with pytest.raises(BadInput) as wrong:
        declared.require(found, "project.yaml")
    return wrong.value.what, wrong.value.fix


@pytest.mark.parametrize("mode", "ABCDE")
def test_every_mode_as_it_is_begun_leaves_out_nothing_that_is_needed(mode: str) -> None:
    declared.require(made(mode), "project.yaml")


@pytest.mark.parametrize(
    ("found", "needed", "by"),
    [
        (made("D", "evaluation"), "evaluation", "iteration"),
        (made("D", "training"), "training", "evaluation"),
        (made("A", "implementation"), "implementation", "training"),
        (made("D", "ideation"), "ideation", "implementation"),
        (made("A", "ideation", hypothesis="h.yaml"), "ideation", "implementation"),
        (made("E", "training"), "training", "iteration"),
        (made("C", "writing"), "writing", "publishing"),
    ],
)
def test_a_phase_that_another_builds_on_is_not_left_out(found: Project, needed: str, by: str) -> None:
    what, fix = refused(found)
    assert what == f"skip leaves out {needed}, which {by} builds on"
    assert fix.startswith(f"take {needed} out of `skip`, or put {by} there too")


def test_what_would_do_as_well_is_named() -> None:
    assert refused(made("D", "ideation"))[1].endswith(", or take hypothesis out")
    assert refused(made("C", "writing"))[1].endswith(", or give publish.files")
    bare = project.Project(mode="E")
    assert refused(bare) == ("training builds on implementation, which mode E does not do", "give proceed_from")


@pytest.mark.parametrize(
    "found",
    [
        made("C", "literature", "ideation"),
        made("A", "literature"),
        made("D", "iteration"),
        made("D", "evaluation", "iteration"),
        made("D", "training", "evaluation", "iteration"),
        made("D", "writing", "publishing"),
        made("D", "writing", publish=FILES),
        made("E", "training", "iteration"),
        made("A", "implementation", "training", "evaluation", "iteration", "writing", "publishing"),
    ],
)
def test_a_phase_that_nobody_wants_is_left_out(found: Project) -> None:
    declared.require(found, "project.yaml")


def test_what_is_wanted_is_an_earlier_phase_of_which_something_is_an_input() -> None:
    for phase in declared.phases():
        for each in phase.wants:
            needed, _, other = each.partition(", or ")
            assert project.PHASES.index(needed) < project.PHASES.index(phase.name)
            assert any(name.partition("/")[0] == needed for name in phase.inputs)
            assert re.fullmatch(r"(no )?[a-z_.]+|", other)
