"""A project that a limit, failures or somebody else keep from going on: it says so, with what to edit or to type."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from lab.research import declared, project
from lab.research.phases import publishing
from lab.research.projects import limits, wish
from lab.scheduler import cycle, decisions
from lab.scheduler.search.burst import Burst
from lab.store import experiments
from lab.testing.files import a_root
from tests.research import tasks
from tests.scheduler.labs import me

if TYPE_CHECKING:
    from pathlib import Path

    from lab.core.errors import Busy
    from tests.cli.labs import Labctl

REST = ("implementation", "training", "evaluation", "iteration", "writing", "publishing")


@pytest.fixture
def begun(place: Path, labctl: Labctl, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of the two phases that take no time. Its file."""
    monkeypatch.setattr(publishing, "find_spec", lambda _: object())
    labctl.done("init")
    labctl.done("research", "new", "mine", "--mode", "A", "--topic", "why", "--offline")
    path = place.parent / "mine/project.yaml"
    with path.open("a") as file:
        file.write(f"skip: [{', '.join(REST)}]\n")
    return path


def limited(place: Path, runs: int) -> Path:
    spec: Path = place / "experiments/mine/SPEC.yaml"
    spec.write_text(re.sub(r"max_iterations_total: \d+", f"max_iterations_total: {runs}", spec.read_text()))
    return spec


def test_no_number_of_rounds_that_a_project_may_have_meets_the_limit_of_runs_that_it_is_made_with() -> None:
    for mode in declared.modes():
        made = project.Project(mode=mode.name, iteration=project.Iteration(max_rounds=project.MAX_ROUNDS))
        phases = declared.planned(made)
        for rounds in (1, project.MAX_ROUNDS):
            bare = project.Project(mode=mode.name, iteration=project.Iteration(max_rounds=rounds))
            spec = experiments.parse_spec(wish.spec("mine", bare, "/tmp").encode(), "SPEC.yaml")  # noqa: S108
            assert spec.max_iterations_total >= 3 * limits.needed(made, phases)
            assert list(limits.problems(made, phases, spec)) == []


def test_a_limit_that_ends_a_project_is_1_and_resuming_says_what_to_edit(
    labctl: Labctl, begun: Path, place: Path
) -> None:
    spec = limited(place, 1)
    looked = labctl("research", "check", "mine", "--json")
    assert looked.code == 1
    (wrong,) = [each for each in looked.envelope["data"]["checks"] if each["state"] == "failed"]
    assert "max_iterations_total is 1" in wrong["what"]
    assert str(spec) in wrong["what"]
    said = labctl("research", "run", "mine", "--json")
    assert said.code == 1
    data = said.envelope["data"]
    assert (data["ran"], data["failed"], data["standing"]["standing"]) == (1, True, "completed")
    assert said.envelope["next"] == ["labctl research check mine"]
    again = labctl("research", "run", "mine")
    assert again.code == 1
    assert "it does not go on: it is completed, and ideation is not done" in again.out
    refused = labctl("research", "resume", "mine", "--json")
    assert refused.code == 2
    assert "max iterations (max 1, runs 1)" in str(refused.error["message"])
    assert refused.error["fix"] == "raise max_iterations_total there"
    assert refused.error["where"] == str(spec)
    limited(place, 50)
    assert labctl.done("research", "resume", "mine", "--json").data["standing"]["standing"] == "completed"
    assert labctl.done("research", "run", "mine", "--json").data["failed"] is False


def test_a_phase_that_failed_too_often_is_1_and_is_resumed(labctl: Labctl, begun: Path) -> None:
    text = begun.read_text()
    begun.write_text(text + "routing: {literature: command}\ncommands: {literature: 'false'}\n")
    for _ in range(3):
        assert labctl("research", "run", "mine").code == 1
    said = labctl("research", "run", "mine", "--json")
    assert said.code == 1
    assert (said.envelope["data"]["ran"], said.envelope["data"]["standing"]["standing"]) == (0, "awaiting-human")
    assert said.envelope["next"] == ["labctl research resume mine"]
    alone = labctl("research", "run", "mine", "--phase", "literature", "--json")
    assert (alone.code, alone.error["fix"]) == (2, "labctl research resume mine")
    begun.write_text(text)
    assert labctl.done("research", "resume", "mine", "--json").data["ran"] == 2


def test_a_finished_project_whose_file_cannot_be_read_is_no_success(labctl: Labctl, begun: Path) -> None:
    labctl.done("research", "run", "mine")
    begun.write_text("mode: [\n")
    for typed in ("run", "resume"):
        assert labctl("research", typed, "mine").code == 2


def test_a_phase_that_was_not_done_again_since_somebody_was_quicker_is_3(
    labctl: Labctl, begun: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    labctl.done("research", "run", "mine", "--until", "literature")
    root, real = a_root(place), Burst.held
    running = cycle.begin(root, "mine", owner=me())

    def held(burst: Burst, busy: Busy) -> None:
        real(burst, busy)
        if not burst.turn.steps[1:]:
            tasks.ended(root, running)
            decisions.complete(root, "mine", reason="enough", actor="ann")

    monkeypatch.setattr(Burst, "held", held)
    said = labctl("research", "run", "mine", "--phase", "literature", "--json")
    assert (said.code, said.error["kind"]) == (3, "busy")
    assert "literature was not done again: mine is completed (enough)" in str(said.error["message"])
    assert said.error["fix"] == "labctl research run mine --phase literature"
