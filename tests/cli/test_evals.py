"""`labctl evals`: scores of runs and of files, and what is said where there are none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.labs import runs_of
from tests.core.test_scores import results
from tests.scheduler.labs import a_lab, an_experiment

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root
    from tests.cli.labs import Labctl

# As a program of one's own would that runs lm_eval with --output_path artifacts.
COMMAND = (
    "mkdir -p artifacts/m; cp '{workspace}'/results*.json artifacts/m 2>/dev/null; "
    "cp '{workspace}'/asked.json artifacts 2>/dev/null; echo METRIC loss=0.5"
)


@pytest.fixture
def root(place: Path, tmp_path: Path) -> Root:
    made = a_lab(place)
    (tmp_path / "ws").mkdir()
    more = f'workspace_root: {tmp_path}/ws\nshell: true\nexecutor_command: "{COMMAND}"\n'
    an_experiment(made, "asked", more)
    return made


def measured(labctl: Labctl, root: Root, **files: bytes) -> str:
    """A run that left these results."""
    place = root.files
    workspace = root.layout.root.rpartition("/")[0] + "/ws"
    for name, data in files.items():
        place.replace(f"{workspace}/{name}.json", data)
    labctl.done("run-once", "--experiment", "asked", "--now")
    return runs_of(root, "asked")[-1]


def test_any_run_that_leaves_results_of_lm_eval_can_be_asked_and_the_last_of_several_counts(
    labctl: Labctl, root: Root
) -> None:
    run = measured(labctl, root, results_2026=results(0.25), results_2027=results(0.75))
    assert labctl.done("evals", run).out == f"{run}: tiny\n sums/acc,none: 0.75 ± 0.1, 60 questions\n"
    assert labctl.done("evals", "asked", "--json").data["first"]["run"] == run


def test_a_run_without_results_says_so(labctl: Labctl, root: Root) -> None:
    run = measured(labctl, root)
    said = labctl("evals", run)
    assert said.code == 2
    assert f"{run} has no results of lm_eval" in said.err


def test_a_run_is_not_held_against_itself_be_it_by_the_name_of_its_experiment(labctl: Labctl, root: Root) -> None:
    first = measured(labctl, root, results_2026=results(0.25))
    measured(labctl, root, results_2026=results(0.75))
    said = labctl("evals", first, "asked")  # its best is by another metric, and may well be the first
    assert said.code == 2
    assert f"both sides are {first}" in said.err
    assert "labctl list asked has its runs: name two by their ids" in said.err
    assert labctl("evals", first, first).code == 2


def test_results_that_were_changed_after_the_seal_are_not_believed(labctl: Labctl, root: Root) -> None:
    run = measured(labctl, root, results_2026=results(0.25))
    root.files.replace(f"{root.layout.run('asked', run)}/artifacts/m/results_2026.json", results(0.95))
    said = labctl("evals", run)
    assert said.code == 4
    assert "artifacts/m/results_2026.json is not what was sealed" in said.err
    assert "0.95" not in said.all


def test_of_an_archived_run_it_is_said_how_its_results_come_back(labctl: Labctl, root: Root) -> None:
    measured(labctl, root, results_2026=results(0.25))  # the best, which stays
    second = measured(labctl, root)
    for _ in range(5):  # as many as no archive takes
        measured(labctl, root)
    labctl.done("prune", "--experiment", "asked", "--keep", "5", "--yes")
    said = labctl("evals", second)
    assert said.code == 1
    assert f"{second} is in an archive, and so are its results" in said.err
    assert "fix: labctl prune --restore" in said.err


def test_two_files_are_compared_where_no_lab_is_and_every_reason_is_said(labctl: Labctl, tmp_path: Path) -> None:
    one, other = tmp_path / "one.json", tmp_path / "other.json"
    one.write_bytes(results(0.5, 0.01))
    other.write_bytes(results(0.6, 0.01))
    said = labctl.done("evals", str(one), str(other))
    assert "0.5 ± 0.01, 0.6 ± 0.01; better (better by 0.1, and more than 0.0282843 counts)" in said.out
    assert said.out.endswith("@@ 1 better; beyond 2 standard errors @@\n")
    assert "no difference shown" in labctl.done("evals", str(one), str(other), "--better-by", "8").out
    other.write_bytes(results(0.6, "N/A"))
    assert "0.6 ± N/A; no stderr: cannot tell\n" in labctl.done("evals", str(one), str(other)).out
    other.write_bytes(results(0.6, 0.01, version=2, shots=3))
    out = labctl.done("evals", str(one), str(other)).out
    assert "not comparable: the versions of the task differ (1.0 and 2); the numbers of examples" in out


def test_what_a_difference_must_be_is_what_the_spec_of_the_other_run_says_unless_one_says_it(
    labctl: Labctl, root: Root
) -> None:
    asked = {"out": "", "model": "m", "tasks": ["sums"], "better_by": 8.0}
    first = measured(labctl, root, results_2026=results(0.5, 0.01))
    second = measured(labctl, root, results_2027=results(0.6, 0.01), asked=json.dumps(asked).encode())
    assert labctl.done("evals", first, second).out.endswith("@@ 1 no difference shown; beyond 8 standard errors @@\n")
    assert "1 worse; beyond 2 standard errors" in labctl.done("evals", second, first).out
    assert "1 better; beyond 3 standard errors" in labctl.done("evals", first, second, "--better-by", "3").out
    third = measured(labctl, root, results_2027=results(0.6, 0.01), asked=b"[]")  # what a program of one's own calls so
    assert "1 better; beyond 2 standard errors" in labctl.done("evals", first, third).out


def test_what_is_no_results_file_is_refused_with_its_place(labctl: Labctl, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    said = labctl("evals", str(tmp_path / "x.json"))
    assert said.code == 2
    assert f"these are no results of lm_eval: it is no JSON object\n  in {tmp_path}/x.json" in said.err
    assert "there is no such file" in labctl("evals", str(tmp_path / "gone.json")).err
    assert "is not between 0 and 100" in labctl("evals", "a.json", "--better-by", "nan").err
