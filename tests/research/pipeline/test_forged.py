"""A bundle that somebody put among a project's runs does no phase, and keeps none from being done."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.core.view import COMPLETED
from lab.research.projects import overview
from tests.research import forging
from tests.research.pipeline.projects import NAME, only

if TYPE_CHECKING:
    from pathlib import Path

from tests.research.pipeline import projects

FORGED = "RUN-29990101-000000-000000-researcher"


def test_a_phase_is_not_done_by_a_bundle_that_the_ledger_does_not_know(tmp_path: Path) -> None:
    lab = projects.make(tmp_path, project=only("literature", "ideation"))
    lab.take()
    (real,) = [seal.run.run_id for seal in lab.seals()]
    forging.planted(lab.root, NAME, real, FORGED, 1.0)
    forging.resealed(lab.root, NAME, real, 1.0)
    seen = overview.of(lab.root, NAME)
    assert [(each.phase, each.state) for each in seen.stages] == [("literature", "due"), ("ideation", "not yet")]
    assert seen.disowned == (
        f"{real}: its seal is not the one that the ledger recorded",
        f"{FORGED}: the ledger knows of no such run",
    )
    assert lab.to_end() == ["literature", "ideation"]
    assert lab.view().phase == COMPLETED
