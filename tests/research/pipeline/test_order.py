"""A project from its first phase to its last, through the ordinary crank."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import event
from lab.core.view import COMPLETED
from lab.scheduler import decisions
from lab.store import verify
from tests.research.pipeline import projects
from tests.research.pipeline.projects import NAME, PHASES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.research.pipeline.projects import Lab


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A project that went through all of it once. Whoever changes it says so, and makes no run that others count."""
    place: Path = tmp_path_factory.mktemp("whole")
    with pytest.MonkeyPatch.context() as patch:
        projects.prepared(place / "packages", patch)
        lab = projects.make(place)
        lab.ran = lab.to_end()
        yield lab


def test_the_phases_come_in_their_order_each_once_and_then_it_is_complete(whole: Lab) -> None:
    assert whole.ran == list(PHASES)
    assert whole.view().phase == COMPLETED
    assert [seal.run.tier for seal in whole.seals()] == list(PHASES)
    assert {seal.run.value for seal in whole.seals()} == {1.0}


def test_ideas_are_in_the_ledger_before_the_first_run_that_is_about_them(whole: Lab) -> None:
    told = whole.events(event.HYPOTHESIS_REGISTERED)
    assert [(each.name, each.facts["predicted_gain"], each.facts["metric"]) for each in told] == [
        ("fewer", 0.1, "loss"),
        ("more", 0.1, "loss"),
    ]
    implementation = next(seal for seal in whole.seals() if seal.run.tier == "implementation")
    assert all(each.ts <= implementation.run.started_at for each in told)
    ideation = next(seal for seal in whole.seals() if seal.run.tier == "ideation")
    digests = {each.facts["sha256"] for each in told}
    assert digests == {kept.sha256 for name, kept in ideation.files.items() if "/ideas/" in name}


def test_what_was_sealed_is_proved(whole: Lab) -> None:
    assert not verify.verify(whole.root).damage


def test_an_edit_and_a_resume_do_again_what_the_edit_is_about_and_nothing_else(lab: Lab) -> None:
    lab.edit("topic:", projects.only("literature", "writing", "publishing") + "topic:")
    assert lab.to_end() == ["literature", "writing", "publishing"]
    lab.edit("topic: what is better", "topic: what is better\npaper: {title: Another}")
    assert lab.to_end() == []  # complete until somebody opens it
    decisions.resume(lab.root, NAME, reason="", actor="ann")
    assert lab.to_end() == ["writing", "publishing"]
    decisions.resume(lab.root, NAME, reason="", actor="ann")
    assert lab.to_end() == []
    assert lab.view().phase == COMPLETED
