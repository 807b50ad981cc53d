"""What the process that evaluates does before lm_eval is loaded, and what it clears. The rest: tests/tinker/evals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import pytest

from lab.core import evaluation
from lab.core.evaluation import Asked
from lab.executors import evaluating
from lab.store import machine
from tests.core.test_scores import results
from tests.executors.supervised import until

if TYPE_CHECKING:
    from pathlib import Path


def evaluated(place: Path, **more: object) -> list[str]:
    """What is said where it ends early: before a model is looked at."""
    (place / "scratch").mkdir(exist_ok=True)
    asked = {"out": f"{place}/out", "model": "nobody/nothing", "tasks": ["sums"], "adapter": "x", **more}
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lab.executors.evaluating", json.dumps(asked)],
        env={**os.environ, "TMPDIR": f"{place}/scratch", "HF_HUB_OFFLINE": "1"},
        capture_output=True, text=True, timeout=50, check=False,
    )  # fmt: skip
    assert done.returncode, done.stderr
    return done.stderr.splitlines()


@pytest.mark.parametrize("baseline", ["gone.json", "."])
def test_a_baseline_that_the_machine_does_not_hand_out_is_refused_in_words(tmp_path: Path, baseline: str) -> None:
    (said,) = evaluated(tmp_path, baseline=f"{tmp_path}/{baseline}")
    assert said.startswith("refused: the machine refused: ")
    assert f"({tmp_path}/{baseline}); look at the disk" in said


def test_what_was_asked_and_the_baseline_are_kept_beside_the_results(tmp_path: Path) -> None:
    (tmp_path / "base.json").write_bytes(results(0.25))
    asked = Asked(out=f"{tmp_path}/out", model="m", tasks=("sums",), baseline=f"{tmp_path}/base.json", better_by=3.0)
    evaluating._keep(asked)
    assert (tmp_path / "out" / evaluation.BASELINE).read_bytes() == results(0.25)
    assert msgspec.json.decode((tmp_path / "out" / evaluation.ASKED).read_bytes(), type=Asked) == asked


def test_results_that_cannot_be_kept_are_refused_in_words(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (said,) = evaluated(tmp_path, out=f"{tmp_path}/file/out")
    assert said.startswith("refused: the machine refused: Not a directory")


def test_what_a_killed_evaluation_left_is_cleared_by_the_next_one_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    here = machine.here()
    gone = tmp_path / f"labctl-eval-{here}-{dead.pid}-a1/model"
    kept = [
        tmp_path / f"labctl-eval-{here}-{os.getpid()}-b2",  # it lives
        tmp_path / f"labctl-eval-0123abcd-{dead.pid}-c3",  # of another machine, or before it was started again
        tmp_path / f"mine-labctl-eval-{here}-{dead.pid}-d4",
    ]
    for each in (gone, *kept):
        each.mkdir(parents=True)
    (gone / "model.safetensors").write_bytes(results())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with evaluating._scratch() as scratch:
        assert sorted(map(str, tmp_path.iterdir())) == sorted([*map(str, kept), scratch])
    assert sorted(tmp_path.iterdir()) == sorted(kept)


def test_told_to_end_it_takes_its_temporary_files_with_it(tmp_path: Path) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    asked = {"out": f"{tmp_path}/out", "model": str(tmp_path), "adapter": str(tmp_path), "tasks": ["sums"]}
    command = [sys.executable, "-P", "-m", "lab.executors.evaluating", json.dumps(asked)]
    with subprocess.Popen(command, env={**os.environ, "TMPDIR": str(place)}, stderr=subprocess.DEVNULL) as running:
        until(lambda: list(place.iterdir()), within_s=50)
        running.terminate()
        assert running.wait(50) == 128 + signal.SIGTERM
    assert not list(place.iterdir())


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["dataset_path: json\n"], True),
        (["dataset_path: 'csv'  # as files\n", "  dataset_path: parquet\n"], True),
        (["dataset_path: openai/gsm8k\n"], False),
        (["task: sums\ndataset_path: json\n", "id: evals\nlm_eval:\n  tasks: [sums]\n"], True),  # a SPEC beside it
        (["dataset_path: json\n", "task: sums\ninclude: base.yaml\n"], False),
        (["task: sums\nclass: !function own.Sums\n"], False),
        (["dataset_path: json\ncustom_dataset: !function own.load\n"], False),
    ],
)
def test_the_machines_own_data_sets_are_out_of_sight_only_where_every_task_says_that_it_reads_files(
    tmp_path: Path, texts: list[str], expected: bool
) -> None:
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.yaml").write_text(text)
    assert evaluating._reads_files_only(str(tmp_path)) is expected
