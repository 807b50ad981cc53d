"""What becomes of a candidate: by what its proposer did, and by what its measurement said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.candidate import CHECKS_FAILED, CRASHED, DISCARD, KEEP
from lab.scheduler.loop import harvested
from tests.scheduler.loop.live import BRANCH, a_loop, git, sound

if TYPE_CHECKING:
    from pathlib import Path

LESS, MORE, LEAST = "echo 40 > value", "echo 60 > value", "echo 30 > value"


def test_what_is_better_is_kept_and_the_next_one_begins_there(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, spec="promotion_strategy: branch\n")
    first = loop.change(":")
    assert (first.verdict, first.candidate.kind, first.candidate_value) == (KEEP, "baseline", 50)
    kept = loop.change(LESS)
    assert (kept.verdict, kept.candidate_value, kept.previous_best_value) == (KEEP, 40, 50)
    worse = loop.change(MORE)
    assert (worse.verdict, worse.candidate.base) == (DISCARD, kept.candidate.commit)
    again = loop.change("echo $(($(cat value) - 10)) > value")
    assert (again.verdict, again.candidate_value) == (KEEP, 30)
    assert loop.git("rev-parse", BRANCH) == again.candidate.commit
    assert loop.git("log", "--format=%(trailers:key=Lab-Run,valueonly)", "main..lab/loop").split() == [
        again.run_id,
        kept.run_id,
    ]
    assert loop.git("show", f"refs/lab/loop/{worse.run_id}:value") == "60"
    sound(loop)


def test_a_proposer_that_changes_nothing_costs_no_measurement(tmp_path: Path) -> None:
    loop = a_loop(tmp_path)
    made = loop.change(":", ":")
    assert (made.verdict, made.reason, made.candidate.values) == (DISCARD, "nothing was changed", ())
    assert loop.steps(made.run_id) == ["mutation"]
    sound(loop)


BINARY = (
    r"printf '\000\001\377\n' > data.bin; mkdir -p new/deep; echo 1 > new/deep/file; rm old; chmod +x value; " + LESS
)


def test_a_patch_of_a_run_makes_the_same_tree_wherever_it_is_applied(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"old": "gone soon\n", "data.bin": "\0text\n"})
    made = loop.change(":", BINARY)
    assert made.verdict == KEEP
    assert set(made.changed_files) == {"data.bin", "new/deep/file", "old", "value"}
    patch = loop.path(made.run_id) / "artifacts/diff.patch"
    elsewhere = tmp_path / "elsewhere"
    git(tmp_path, "clone", "-q", str(loop.workspace), str(elsewhere))
    git(elsewhere, "apply", "--index", str(patch))
    assert git(elsewhere, "write-tree") == loop.git("rev-parse", f"{made.candidate.commit}^{{tree}}")
    sound(loop)


def test_a_change_that_no_patch_can_hold_is_refused_like_one_that_is_too_large(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(harvested, "_MOST_READ", 1 << 20)
    loop = a_loop(tmp_path)
    made = loop.change(":", f"head -c 2000000 /dev/urandom > weights.bin; {LESS}")
    assert (made.verdict, made.candidate.values) == (CHECKS_FAILED, ())
    assert "longer than the 1 MiB that the lab keeps of one: value, weights.bin" in made.reason
    artifacts = loop.path(made.run_id) / "artifacts"
    assert (artifacts / "changed-files.txt").read_text() == "value\nweights.bin\n"
    assert not (artifacts / "diff.patch").exists()
    assert loop.change(LESS).verdict == KEEP
    sound(loop)


@pytest.mark.parametrize(
    ("measure", "why"),
    [
        ("echo nothing", "cost"),
        ('echo "METRIC cost=nan"', "not a finite"),
        ('echo "METRIC cost=inf"', "not a finite"),
        ("exit 3", "exit code 3"),
        ("kill -9 $$", "validation"),
    ],
)
def test_a_measurement_that_goes_wrong_is_a_crash_without_a_value(tmp_path: Path, measure: str, why: str) -> None:
    text = f'if [ "$(cat value)" = 40 ]; then {measure}; else echo "METRIC cost=$(cat value)"; fi\n'
    loop = a_loop(tmp_path, files={"measure.sh": text})
    made = loop.change(":", LESS)
    assert (made.verdict, made.outcome, made.candidate_value) == (CRASHED, "failed", None)
    assert why in made.reason.casefold()
    best = loop.state().best
    assert best is not None
    assert best.value == 50
    row = (tmp_path / "lab/experiments/loop/results.tsv").read_text().splitlines()[-1].split("\t")
    assert (row[1], row[3]) == ("-", "crash")
    sound(loop)


def test_two_different_values_are_told_and_the_last_one_counts(tmp_path: Path) -> None:
    loop = a_loop(tmp_path, files={"measure.sh": 'echo "METRIC cost=99"; echo "METRIC cost=$(cat value)"\n'})
    made = loop.change(":", LESS)
    assert (made.verdict, made.candidate_value) == (KEEP, 40)
    assert any("cost" in remark for remark in made.remarks), made.remarks
    sound(loop)


def test_what_ran_out_of_memory_is_measured_once_more_with_half_the_batch(tmp_path: Path) -> None:
    oom = "echo 'CUDA out of memory. Tried to allocate' >&2; exit 1"
    text = f'if [ "$(cat value)" = 40 ] && [ -z "$LAB_DEVICE_BATCH_DIVISOR" ]; then {oom}; fi\n'
    text += f'if [ "$(cat value)" = 30 ]; then {oom}; fi\necho "METRIC cost=$(cat value)"\n'
    loop = a_loop(tmp_path, files={"measure.sh": text})
    made = loop.change(":", LESS)
    assert (made.verdict, made.candidate_value) == (KEEP, 40)
    assert any("half the device batch" in remark for remark in made.remarks)
    never = loop.change(LEAST)
    assert (never.verdict, never.candidate.crash) == (CRASHED, "oom")
    assert loop.steps(never.run_id) == ["mutation", "validation", "validation"]
    sound(loop)


SYNTAX = "import sys\ntry:\n    compile(open('value').read(), 'value', 'eval')\nexcept SyntaxError:\n    raise\n"
MEASURED = SYNTAX + "print('METRIC cost=' + open('value').read())\n"


def test_a_slip_of_the_pen_is_mended_once_by_whoever_made_it(tmp_path: Path) -> None:
    spec = "validation_command: python3 -I -S measure.py\nread_only_paths: [measure.py]\n"
    loop = a_loop(tmp_path, spec=spec, files={"measure.py": MEASURED})
    mending = 'if grep -q SyntaxError "$LAB_BRIEF_PATH"; then echo 40 > value; else echo "4 0" > value; fi'
    made = loop.change(":", mending)
    assert (made.verdict, made.candidate_value) == (KEEP, 40)
    assert any("repaired once" in remark for remark in made.remarks)
    never = loop.change('echo "$(cat value) 0" > value')
    assert (never.verdict, never.candidate.crash) == (CRASHED, "syntax")
    sound(loop)


def test_luck_is_not_kept_and_nothing_is_tried_twice(tmp_path: Path) -> None:
    measure = 'echo "METRIC cost=$(($(cat value) - $(sed s/seed=// config)))"\n'
    loop = a_loop(tmp_path, files={"config": "seed=1\n", "measure.sh": measure})
    luck = loop.change(":", "echo seed=9 > config")
    assert (luck.verdict, luck.candidate.values) == (DISCARD, ())
    assert "seed" in luck.reason
    once = loop.change(MORE)
    twice = loop.change(MORE)
    assert (once.candidate.values, twice.candidate.values) == ((59,), ())
    assert once.run_id in twice.reason
    sound(loop)


@pytest.mark.parametrize(
    ("step", "how"),
    [
        *(
            (step, how)
            for step in ("setup", "mutation", "checks", "validation", "holdout")
            for how in ("late", "absent")
        ),
        ("setup", "failing"),
        ("checks", "failing"),
    ],
)
def test_a_step_that_does_not_end_well_ends_the_candidate_and_says_which(tmp_path: Path, step: str, how: str) -> None:
    broken = {"late": "sh -c 'sleep 60'", "absent": "/no/such/program", "failing": "sh -c 'exit 1'"}[how]
    loop = a_loop(tmp_path, spec="time_budget: 1s\nholdout_every: 1\n")
    loop.change(":")
    loop.edit(f"{step}_command", broken)
    made = loop.change(LESS)
    what = {"late": "was still running when its budget", "absent": "could not be started", "failing": "exit code 1"}[
        how
    ]
    if step == "holdout":
        assert made.verdict == KEEP
        assert any("hidden" in remark for remark in made.remarks)
    else:
        assert made.verdict == (CHECKS_FAILED if step == "checks" and how != "absent" else CRASHED)
        assert made.reason.startswith("baseline" if step == "validation" else step)  # another command: it begins anew
        assert what in made.reason
        assert made.candidate_value is None
    sound(loop)


@pytest.mark.parametrize("how", ["late", "absent", "failing", "silent"])
def test_a_baseline_that_cannot_be_measured_is_taken_again(tmp_path: Path, how: str) -> None:
    broken = {"late": "sleep 60", "absent": "/no/such/program", "failing": "sh -c 'exit 1'", "silent": "echo hello"}[
        how
    ]
    loop = a_loop(tmp_path, spec=f"time_budget: 1s\nbaseline_command: {broken}\n")
    loop.propose(LESS)
    first = loop.decided(loop.run().run.run_id)
    assert (first.candidate.kind, first.verdict, first.candidate_value) == ("baseline", CRASHED, None)
    loop.edit("baseline_command", "")
    assert loop.decided(loop.run().run.run_id).verdict == KEEP
    assert loop.change(LESS).candidate_value == 40
    sound(loop)
