"""What was done and did not succeed: `ok` is false, `error` says why, and `data` is told all the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.scheduler import step
from lab.scheduler.step import Step
from tests.cli.labs import a_lab

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

SPEC = """\
id: hunt
metric: loss
cadence: 1m
workspace_root: .
executor_command: python3 fit.py
"""


@pytest.fixture
def experiment(labctl: Labctl, place: Path, tmp_path: Path) -> Path:
    labctl.done("init")
    work = tmp_path / "work"
    work.mkdir()
    (work / "fit.py").write_text("raise SystemExit('no data')\n")
    (work / "SPEC.yaml").write_text(SPEC)
    labctl.done("create", str(work))
    return work


@pytest.mark.parametrize(
    "words", [("burst", "hunt", "-n", "1"), ("run-once", "--experiment", "hunt", "--now")], ids=lambda words: words[0]
)
def test_a_run_that_failed_is_an_error_with_its_reason_beside_what_was_done(
    words: tuple[str, ...], labctl: Labctl, experiment: Path
) -> None:
    said = labctl(*words, "--json")
    assert said.code == 1
    assert (said.error["kind"], said.error["exit_code"]) == ("failed", 1)
    assert "no data" in str(said.error["message"])
    assert len(said.envelope["data"]["steps"]) == 1


def test_what_a_check_found_is_an_error_of_its_own_kind(labctl: Labctl, experiment: Path, place: Path) -> None:
    labctl("burst", "hunt", "-n", "1")
    result = next(place.glob("experiments/hunt/runs/*/RESULT.md"))
    result.chmod(0o644)
    result.write_text("better than it was\n")
    said = labctl("verify", "--json")
    assert said.code == 4
    assert (said.error["kind"], said.error["exit_code"]) == ("corrupt", 4)
    assert said.envelope["data"]["damage"]


@pytest.mark.parametrize("stopped", ["pause", "complete"])
def test_a_run_that_was_asked_for_by_name_and_did_not_come_is_no_success(
    stopped: str, labctl: Labctl, experiment: Path
) -> None:
    labctl.done(stopped, "hunt", "--reason", "enough")
    said = labctl("run-once", "--experiment", "hunt", "--now", "--json")
    assert said.code == 3
    assert said.error["kind"] == "busy"
    assert "hunt" in str(said.error["message"])
    assert "enough" in str(said.error["message"])
    assert labctl("run-once", "--experiment", "hunt", "--now").code == 3


def test_a_turn_in_which_nothing_was_due_is_done_as_cron_wants_it(labctl: Labctl, experiment: Path) -> None:
    labctl.done("pause", "hunt")
    assert labctl.done("run-once").out == ""
    labctl.done("run-once", "--experiment", "hunt")


def test_a_turn_with_two_troubles_tells_both_and_what_to_do_about_the_first(labctl: Labctl, place: Path) -> None:
    a_lab(place, "alpha", "beta", more="executor: nowhere\n")
    said = labctl("run-once", "--json")
    assert said.code == 1
    assert len(said.envelope["data"]["steps"]) == 2
    assert str(said.error["message"]).startswith("alpha: ")
    assert "; beta: " in str(said.error["message"])
    first = said.envelope["data"]["steps"][0]
    assert said.error["fix"] == first["fix"] != ""


def test_what_went_wrong_often_is_told_once_and_many_troubles_are_counted() -> None:
    bad = [
        Step(kind=step.PROBLEM, experiment=f"e{number}", what="no\n way", fix=f"mend e{number}") for number in range(7)
    ]
    told = step.failure([*bad, bad[1]])
    assert told == "e0: no way; e1: no way (2 times); e2: no way; e3: no way; e4: no way; and 2 more"
    assert step.remedy(bad) == "mend e0"
