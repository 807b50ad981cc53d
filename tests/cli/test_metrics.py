"""`labctl metrics parse`: a log says before a run what a run would be taken for."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from lab.executors import metrics
from tests.cli.labs import SHIM

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.labs import Labctl

LOG = "step 1\nMETRIC loss=0.75\nMETRIC loss=0.5\nMETRIC mfu=39.8\nMETRIC odd=0x1F\nMETRIC bad=nan\nMETRIC type=1\n"


def piped(text: str, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SHIM, "metrics", "parse", *words]
    return subprocess.run(command, input=text, capture_output=True, text=True, check=False, timeout=60)


def test_a_log_from_standard_input_is_read_and_what_was_refused_is_said() -> None:
    said = piped(LOG, "--metric", "loss")
    assert (said.returncode, said.stderr) == (0, "")
    assert said.stdout.splitlines() == [
        "loss\t0.5",
        "mfu\t39.8",
        "again: loss was told with different values; the last one counts",
        "refused: METRIC odd is no decimal number: '0x1F'",
        "refused: type is a name that no metric may have, and was left out",
        "refused: bad is not finite",
    ]


@pytest.mark.parametrize(
    "text",
    [
        LOG,
        "---\nloss: 0.25\nmfu: 3\n",
        "words\n0.125\n",
        '{"value": 0.5, "note": "x"}\n',
        "METRIC loss=inf\n",
        "no number\n",
        "METRIC loss=1" + "x" * 70_000 + "\nMETRIC loss=2\n",
        "progress 1\rprogress 2\rMETRIC loss=3\n",
        "",
    ],
)
def test_it_comes_to_what_a_run_comes_to(text: str, tmp_path: Path, labctl: Labctl) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run/stdout.log").write_text(text)
    run = metrics.read(str(tmp_path / "run"), "loss")
    said = labctl("metrics", "parse", str(tmp_path / "run/stdout.log"), "--metric", "loss", "--json")
    data = said.envelope["data"]
    assert isinstance(data, dict)
    assert (data["value"], data["metrics"]) == (run.value, dict(run.metrics))
    assert said.code == (1 if run.problem else 0)
    assert bool(data["problem"]) == bool(run.problem)


def test_a_log_without_a_usable_number_fails_and_says_where_one_would_stand(tmp_path: Path, labctl: Labctl) -> None:
    (tmp_path / "run.log").write_text("METRIC other=1\n")
    said = labctl("metrics", "parse", "run.log", "--metric", "loss")
    assert said.code == 1
    assert said.out == "other\t1.0\n"
    assert "no line `METRIC loss=...`" in said.err


def test_it_needs_no_lab_and_makes_none(tmp_path: Path, labctl: Labctl, place: Path) -> None:
    (tmp_path / "run.log").write_text("0.5\n")
    assert labctl.done("metrics", "parse", "run.log").out == "value\t0.5\n"
    assert not place.exists()


@pytest.mark.parametrize(
    "words", [("nowhere.log",), (".",), ("run.log", "--metric", "a b"), ("run.log", "--metric", "é!")]
)
def test_what_cannot_be_read_is_bad_input(words: tuple[str, ...], tmp_path: Path, labctl: Labctl) -> None:
    (tmp_path / "run.log").write_text("0.5\n")
    said = labctl("metrics", "parse", *words)
    assert said.code == 2
    assert "fix: " in said.err


def test_a_log_that_is_larger_than_memory_should_be_is_read_in_pieces(tmp_path: Path) -> None:
    with (tmp_path / "long.log").open("wb") as file:
        for _ in range(64):
            file.write(b"step and more words\n" * 50_000)
        file.write(b"METRIC loss=0.5\n")
    limit = "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_DATA, (96 << 20, 96 << 20)); "
    code = f"{limit}sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__')"
    command = [sys.executable, "-c", code, SHIM, "metrics", "parse", str(tmp_path / "long.log"), "--metric", "loss"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (said.stdout, said.returncode) == ("loss\t0.5\n", 0), said.stderr


def test_a_closed_standard_input_is_bad_input() -> None:
    closed = f"exec {sys.executable} {SHIM} metrics parse <&-"
    said = subprocess.run(["/bin/sh", "-c", closed], capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode in (1, 2)
    assert "Traceback" not in said.stderr
