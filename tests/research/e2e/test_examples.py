"""The five examples, by the very commands of their pages, and what somebody would look at afterwards."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from lab.research.project import PHASES
from tests.pages.test_pages import LOOKED_AT
from tests.research.e2e.home import EXAMPLES, Home, read

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]
PROJECTS = {
    "research-full": ("lines", PHASES),
    "research-hypothesis": ("nearest", PHASES),
    "research-data": ("walks", PHASES),
    "research-given": ("visits", PHASES[1:]),
    "research-continue": ("more-arms", PHASES[3:]),
}
SEEDS = 3


@pytest.mark.parametrize("example", PROJECTS)
def test_an_example_ends_with_a_paper_that_holds_and_a_release_that_nobody_sent(tmp_path: Path, example: str) -> None:
    home = Home(tmp_path)
    project, phases = PROJECTS[example]
    assert f"examples/{example}" in LOOKED_AT  # typed here, and not by tests/pages
    home.types(example)
    assert tuple(dict.fromkeys(home.did(project))) == phases
    assert once(home, project)
    measured(home, project)
    decided(home, project, example)
    expected_before(home, project)
    sourced(home, project)
    listed(home, project)
    told_what_it_is_about(home, project, example)
    assert home.labctl("paper", "verify", project).code == 0
    assert home.labctl("verify").code == 0
    for given in sorted(each for each in (EXAMPLES / example).rglob("*") if each.is_file()):
        assert (home.place / example / given.relative_to(EXAMPLES / example)).read_bytes() == given.read_bytes()


def once(home: Home, project: str) -> bool:
    """Whether no phase was done twice on the same inputs."""
    orders = [each.order for each in home.runs(project) if each.outcome == "success"]
    keys = [(each["phase"], each["inputs"]) for each in orders]
    return len(keys) == len(set(keys)) > 0


def evaluated(home: Home, project: str) -> dict[str, Any]:
    return read(home.left(project, "evaluation") / "evaluation.json")


def measured(home: Home, project: str) -> None:
    """What is reported was measured where the search never was, with seeds, each by a sealed run of the study."""
    found = evaluated(home, project)
    assert (found["selected_in"], found["tier"]) == ("selection", "report")
    runs = home.lab / "experiments" / found["experiment"] / "runs"
    for side in (found["baseline"], found["candidate"]):
        assert side.get("of", "") == "" or len({made["seed"] for made in side["made"]}) >= SEEDS
        for made in side.get("made", ()):
            manifest = read(runs / made["run_id"] / "manifest.json")
            assert (manifest["value"], manifest["fidelity_tier"]) == (made["value"], "report")
            assert (runs / made["run_id"] / "SEAL.json").is_file()


def decided(home: Home, project: str, example: str) -> None:
    """The decision is no better than the numbers."""
    found, decision = evaluated(home, project), read(home.left(project, "iteration") / "decision.json")
    if decision["reason"] == "goal_met":
        assert found["is_better"]
        assert found["gain"] >= decision.get("predicted_gain", 0.0)
    if example == "research-given":  # a hypothesis that is wrong, and is not called right
        assert decision["decision"] == "stop"
        assert not found.get("is_better")
    if example == "research-continue":
        assert found["gain"] > 0
        assert found["direction"] == "maximize"


def expected_before(home: Home, project: str) -> None:
    """What was expected is in the ledger before the first run that it is about."""
    told = home.told()
    if "implementation" in home.did(project):
        expected = next(at for at, each in enumerate(told) if each["type"] == "hypothesis_registered")
        made = next(at for at, each in enumerate(told) if each.get("experiment", "").startswith(f"{project}-"))
        assert expected < made


def sourced(home: Home, project: str) -> None:
    """Nobody was asked for a source, so none is called verified, and none is there that the user did not bring."""
    if "literature" not in home.did(project):
        return
    lines = (home.left(project, "literature") / "lit/sources.jsonl").read_text(encoding="utf-8").splitlines()
    found = [json.loads(line) for line in lines]
    assert found
    assert {each.get("status", "unverified") for each in found} == {"unverified"}
    assert {each["origin"] for each in found} == {"user"}


def told_what_it_is_about(home: Home, project: str, example: str) -> None:
    """A paper on the rows that come with labctl says so, and no other does."""
    paper = (home.left(project, "writing") / "paper.md").read_text(encoding="utf-8")
    is_placeholder = example in {"research-full", "research-hypothesis"}
    assert ("placeholder that comes with labctl" in paper) == is_placeholder
    assert (read(home.left(project, "publishing") / "release.json").get("placeholder", 0) > 0) == is_placeholder
    assert "No model and no agent was asked for a phase" in paper


def listed(home: Home, project: str) -> None:
    outputs = home.left(project, "publishing")
    assert (outputs / "listing.md").read_text(encoding="utf-8").strip()
    assert not (outputs / "receipt.json").exists()
    assert {each["path"] for each in read(outputs / "release.json")["files"]} >= {"paper.md", "claims.jsonl"}
