"""The examples, by the very commands of their pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
EXAMPLES = CHECKOUT / "examples"
FENCE = re.compile(r"^```sh\n(.*?)^```", re.DOTALL | re.MULTILINE)
NOBODY = {f"GIT_{role}_{part}": "me@home" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]


def typed(example: str, home: Path) -> None:
    """Type what the page says, from the checkout, as somebody with an empty home."""
    shim = home / "bin/labctl"
    shim.parent.mkdir()
    shim.write_text(f'#!/bin/sh\nexec "{sys.executable}" "{CHECKOUT}/scripts/labctl.py" "$@"\n')
    shim.chmod(0o755)
    lines = "".join(FENCE.findall((EXAMPLES / example / "README.md").read_text(encoding="utf-8")))
    environ = {
        **os.environ,
        **NOBODY,
        "HOME": str(home),
        "PATH": f"{shim.parent}:{os.path.dirname(sys.executable)}:{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    environ.pop("LAB_DATA_ROOT", None)
    done = subprocess.run(
        ["bash", "-euc", lines], cwd=CHECKOUT, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"


def table(home: Path, experiment: str) -> dict[str, tuple[str, str]]:
    """Status and metric of each run, by what it tried."""
    text = (home / "lab-data/experiments" / experiment / "results.tsv").read_text(encoding="utf-8")
    rows = [line.split("\t") for line in text.splitlines()[1:]]
    return {row[4]: (row[3], row[1]) for row in rows}


def git(folder: Path, *words: str) -> str:
    environ = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    done = subprocess.run(["git", *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.mark.needs("git")
def test_a_newcomer_sees_keep_discard_and_failed_checks(tmp_path: Path) -> None:
    typed("knapsack", tmp_path)
    found = table(tmp_path, "knapsack")
    assert found["baseline"] == ("keep", "0.797356")
    assert found["WEIGHT_POWER = 1.0"] == ("keep", "0.991717")
    (refused,) = (words for words in found if words.startswith("SLACK = 3: "))  # and why
    assert found[refused] == ("checks_failed", "-")
    assert found["SWAPS = 1"] == ("keep", "0.994104")
    assert found["WEIGHT_POWER = 2.0"] == ("discard", "0.976635")
    copied = tmp_path / "knapsack"
    assert git(copied, "log", "--format=%s", "lab/knapsack").splitlines() == [
        "SWAPS = 1",
        "WEIGHT_POWER = 1.0",
        "as it is",
    ]
    assert git(copied, "status", "--porcelain") == ""
    assert (copied / "solve.py").read_bytes() == (EXAMPLES / "knapsack/solve.py").read_bytes()


@pytest.mark.needs("git")
def test_a_gain_is_told_from_luck(tmp_path: Path) -> None:
    typed("word-count", tmp_path)
    found = table(tmp_path, "word-count")
    assert found["ORDERED = False"][0] == "keep"
    assert found["KNOWN_FIRST = True"][0] == "discard"


def test_a_search_runs_without_any_code_being_changed(tmp_path: Path) -> None:
    typed("optimize-function", tmp_path)
    rows = (tmp_path / "lab-data/experiments/optimize-rosenbrock/results.tsv").read_text().splitlines()
    assert len(rows) == 21
    assert (tmp_path / "optimize-function/config.json").read_bytes() == (
        EXAMPLES / "optimize-function/config.json"
    ).read_bytes()
