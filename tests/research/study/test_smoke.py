"""The run that shows that a study works, where it was stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.errors import Interrupted, LabError
from lab.core.run import SUCCESS, Run
from lab.research.order import Order
from lab.research.studies import sealed, smoke
from tests.research import tasks

if TYPE_CHECKING:
    from pathlib import Path

ORDER = Order(phase="implementation", worker="study", idea="bowl")


def test_a_first_run_that_was_stopped_with_its_phase_is_no_word_against_the_study(tmp_path: Path) -> None:
    """Of a study whose first run takes longer than the phase has: stopped by a person, and by the end of the budget."""
    began = tmp_path / "began"
    root = tasks.a_project(tmp_path, program=f"import time\nopen({str(began)!r}, 'w').close()\ntime.sleep(60)\n")
    running = tasks.begun(root, ORDER)
    task = tasks.a_task(root, running, "implementation", interrupted=lambda: "SIGINT" if began.exists() else "")
    with pytest.raises(Interrupted, match="stopped by SIGINT"):
        smoke.run(task, tasks.STUDY)
    task = tasks.a_task(root, running, "implementation", for_s=0.3)
    with pytest.raises(LabError, match="was cut off: the budget of the phase is used up"):
        smoke.run(task, tasks.STUDY)
    reasons = [row.run.reason for row in sealed.rows(root, tasks.STUDY, "choose")]
    assert reasons == [
        "it was interrupted: stopped by SIGINT", "it was interrupted: stopped by the end of the phase's budget",
    ]  # fmt: skip


def test_a_number_that_nothing_can_be_compared_with_shows_nothing() -> None:
    run = Run(run_id="RUN-1", experiment="e", outcome=SUCCESS, value=1e300, metric="loss", wall_s=1.0)
    assert smoke.problem(run, 0.0) == "RUN-1 left a loss of 1e+300, which is too large to be compared"
