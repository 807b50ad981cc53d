"""Why a phase failed, and what it came to, as its run says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core import layout
from lab.core.launch import Exit
from lab.core.manifest import Manifest
from lab.core.record import page
from lab.research import decision
from lab.research.decision import Decision
from lab.research.trained import Made, Trained
from lab.research.work import noted
from lab.research.work.executor import Research
from lab.research.work.out import Out
from lab.store.files import Files

if TYPE_CHECKING:
    from pathlib import Path

REFUSED = """\
training by search: runs of the study
error[unavailable]: this may not be read or written: Permission denied
  in /home/ann/mine/studies
  fix: run as the owner of these files
"""


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        (REFUSED, "Permission denied; in /home/ann/mine/studies; fix: run as the owner of these files"),
        ("Traceback (most recent call last):\n  File x\nZeroDivisionError: by zero\n", "ZeroDivisionError: by zero"),
        ("", "exit code 5"),
    ],
)
def test_a_phase_that_was_refused_by_the_machine_is_told_with_what_and_where(
    tmp_path: Path, printed: str, reason: str
) -> None:
    (tmp_path / layout.STDERR).write_text(printed)
    manifest = Manifest(
        run_id="RUN-1", experiment="mine", metric="phases_done",
    )  # fmt: skip
    ended = Research().read(str(tmp_path), manifest, Exit(code=5, started=True))
    assert ended.outcome == "failed"
    assert reason in ended.reason
    assert "Traceback" not in ended.reason


def test_the_note_of_a_phase_is_what_it_came_to(tmp_path: Path) -> None:
    out = Out(str(tmp_path), Files())
    assert noted.of("iteration", out) == "", "nothing is left yet"
    told = Decision(decision="pivot", reason="killed", why="the gain was 0.1 of 1", round=1, idea="bowl")
    out.write(decision.FILE, page(told))
    assert noted.of("iteration", out) == "pivot (killed): the gain was 0.1 of 1"
    runs = (Made(run_id="RUN-1", outcome="success", tier="choose", seal="", value=0.5),)
    trained = Trained(
        experiment="s", metric="loss", direction="minimize", tier="choose", made=runs, best="RUN-1", runs=1, wanted=4,
        stopped="it is paused",
    )  # fmt: skip
    out.write("training.json", page(trained))
    assert noted.of("training", out) == "1 of 4 runs, best loss 0.5 in choose; it is paused"
    assert noted.of("literature", out) == ""
    out.write("lit/sources.jsonl", b"\n")
    assert noted.of("literature", out) == "0 sources"
    out.write(decision.FILE, b"{")
    assert noted.of("iteration", out) == ""
