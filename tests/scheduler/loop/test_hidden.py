"""The hidden measurement, and those who would like to know it."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import BASELINE, CRASHED, KEEP
from lab.executors import bwrap
from tests.scheduler.loop.live import a_loop, sound

if TYPE_CHECKING:
    from pathlib import Path

ANSWER = "answer-7301"
HOLDOUT = f"# {ANSWER}\necho METRIC cost=77.125\n"
# Every place where it was found once: the workspace, its commits, the SPEC, logs and tables of earlier runs.
SPY = """
{{ cat "$LAB_ORIGINAL_WORKSPACE_ROOT/h.sh"; git -C "$LAB_ORIGINAL_WORKSPACE_ROOT" show HEAD:h.sh; git show HEAD:h.sh
cat {lab}/experiments/loop/SPEC.yaml "$LAB_SPEC_PATH"
cat {lab}/experiments/loop/runs/*/artifacts/steps/*holdout*/* {lab}/experiments/loop/*.jsonl
grep -r {answer} {lab} "$LAB_ORIGINAL_WORKSPACE_ROOT"; cat {outside}; }} > seen 2>&1
cat "$LAB_BRIEF_PATH" > told; {less}
"""
LESS = "echo 40 > value"


def spied(tmp_path: Path, *, is_inside: bool = True) -> tuple[str, str, tuple[str, ...]]:
    """What a proposer could read of it, what it was told, and what the run says of that."""
    outside = tmp_path / "outside.sh"
    holdout = "sh h.sh" if is_inside else f"sh {outside}"
    files = {"h.sh": HOLDOUT} if is_inside else {}
    if not is_inside:
        outside.write_text(HOLDOUT)
    loop = a_loop(tmp_path, spec=f"holdout_command: {holdout}\nholdout_every: 1\n", files=files)
    lab = shlex.quote(str(tmp_path / "lab"))
    made = loop.change(":", SPY.format(lab=lab, answer=ANSWER, outside=shlex.quote(str(outside)), less=LESS))
    assert (made.verdict, made.candidate.holdout) == (KEEP, 77.125)
    sound(loop)
    show = f"{made.candidate.commit}:"
    return loop.git("show", f"{show}seen"), loop.git("show", f"{show}told"), made.remarks


@pytest.mark.skipif(bool(bwrap.trouble()), reason="bwrap does not work here")
@pytest.mark.parametrize("is_inside", [True, False])
def test_who_changes_the_code_cannot_read_the_hidden_measurement(tmp_path: Path, *, is_inside: bool) -> None:
    seen, told, remarks = spied(tmp_path, is_inside=is_inside)
    assert [secret for secret in (ANSWER, "77.125", "holdout_command") if secret in seen] == []
    assert "The next change of loop" in told
    assert not any("hidden" in remark for remark in remarks)


def test_where_nothing_can_hide_it_the_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bwrap, "trouble", lambda: "bwrap is not installed")
    _, _, remarks = spied(tmp_path)
    assert any("the hidden measurement was not hidden" in remark for remark in remarks)


def test_a_hidden_measurement_that_fails_fails_the_baseline(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="holdout_command: sh nope.sh\n")
    made = loop.change(":")
    assert (made.verdict, made.accepted, made.candidate_value) == (CRASHED, False, None)
    assert made.reason.startswith("the hidden measurement failed: holdout could not be started")
    assert loop.change(":").candidate.kind == BASELINE


def test_a_hidden_measurement_that_fails_later_is_told_and_a_person_can_be_called(tmp_path: Path) -> None:
    spec = f"holdout_command: sh {tmp_path}/h.sh\nholdout_every: 1\nescalate_when: [holdout_failed]\n"
    (tmp_path / "h.sh").write_text("echo METRIC cost=$(cat value)\n")
    loop = a_loop(tmp_path, spec=spec)
    assert loop.change(":").candidate.holdout == 50
    (tmp_path / "h.sh").write_text("exit 3\n")
    made = loop.change(LESS)
    assert (made.verdict, made.candidate.holdout, made.signals) == (KEEP, None, ("holdout_failed",))
    assert "the hidden measurement failed: holdout ended with exit code 3" in loop.page(made.run_id)
    assert loop.turn().visit("loop").made is None
    assert loop.view().phase == "awaiting-human"
