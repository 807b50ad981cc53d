"""SPECs of hermes-lab name a program; what it did is an executor of the lab's now."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
DOOR = CHECKOUT / "scripts/reference_executor.py"
SPEC = """\
id: shrink
metric: size
metric_direction: minimize
workspace_root: {workspace}
executor_command: python3 scripts/reference_executor.py
mutation_command: sh propose.sh
validation_command: sh measure.sh
mutable_paths: [text]
promotion_strategy: patch-only
workspace_mode: git-clone
"""

pytestmark = [pytest.mark.heavy, pytest.mark.needs("git"), pytest.mark.timeout(120)]


def typed(*words: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "LAB_DATA_ROOT": str(folder / "lab"), "GIT_CONFIG_GLOBAL": "/dev/null", **more}
    return subprocess.run(
        [sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True, check=False
    )


def labctl(*words: str, folder: Path) -> str:
    done = typed(str(CHECKOUT / "scripts/labctl.py"), *words, folder=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def lab(tmp_path: Path) -> Path:
    """A lab with a SPEC as hermes-lab had it, and a workspace under git."""
    code = tmp_path / "code"
    code.mkdir()
    (code / "text").write_text("x" * 50)
    (code / "propose.sh").write_text("printf 'xxxxxxxxxx' > text\n")
    (code / "measure.sh").write_text("wc -c < text\n")
    who = ["-c", "user.name=me", "-c", "user.email=me@home"]
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    for words in (["init", "-q"], ["add", "--all"], [*who, "commit", "-q", "-m", "as it is"]):
        subprocess.run(["git", *words], cwd=code, env=environ, check=True)
    (tmp_path / "spec.yaml").write_text(SPEC.format(workspace=code))
    labctl("init", folder=tmp_path)
    labctl("create", "spec.yaml", folder=tmp_path)
    return tmp_path


def table(lab: Path) -> list[list[str]]:
    text = (lab / "lab/experiments/shrink/results.tsv").read_text(encoding="utf-8")
    return [line.split("\t")[1:4:2] for line in text.splitlines()]


def test_a_spec_of_hermes_lab_is_conducted_as_a_code_loop(lab: Path) -> None:
    labctl("run-once", "--experiment", "shrink", "--now", folder=lab)
    labctl("run-once", "--experiment", "shrink", "--now", folder=lab)
    assert table(lab) == [["size", "status"], ["50.000000", "keep"], ["10.000000", "keep"]]


def test_the_program_started_by_hand_makes_the_next_run(lab: Path) -> None:
    done = typed(str(DOOR), folder=lab, LAB_EXPERIMENT_ID="shrink")
    assert done.returncode == 0, done.stderr
    assert table(lab)[1:] == [["50.000000", "keep"]]


def test_inside_a_run_that_is_under_way_it_refuses(lab: Path) -> None:
    (lab / "run").mkdir()
    done = typed(str(DOOR), folder=lab, LAB_EXPERIMENT_ID="shrink", LAB_RUN_DIR=str(lab / "run"))
    assert (done.returncode, "write `executor: reference`" in done.stderr) == (2, True)
    nameless = typed(str(DOOR), folder=lab, LAB_EXPERIMENT_ID="")
    assert (nameless.returncode, "no experiment is named" in nameless.stderr) == (2, True)
    assert table(lab)[1:] == []
