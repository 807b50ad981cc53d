"""The examples whose pages are typed here, and what is there then. tests/pages types those of the others."""

from __future__ import annotations

import json
import os
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.e2e.newcomer import EXAMPLES, Person
from tests.pages import page as reading
from tests.pages.framed import type_framed
from tests.pages.test_pages import LIMIT_S, LOOKED_AT, PAGES

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]


def typed(example: str, place: Path, request: pytest.FixtureRequest) -> Path:
    """Type what the page says, as somebody with an empty home, and which home that was."""
    name = f"examples/{example}"
    assert name in LOOKED_AT
    type_framed(name, reading.blocks(PAGES[name]), place, request, LIMIT_S)
    return place / "home"


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
def test_a_newcomer_sees_keep_discard_and_failed_checks(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = typed("knapsack", tmp_path, request)
    found = table(home, "knapsack")
    assert found["baseline"] == ("keep", "0.797356")
    assert found["WEIGHT_POWER = 1.0"] == ("keep", "0.991717")
    (refused,) = (words for words in found if words.startswith("SLACK = 3: "))  # and why
    assert found[refused] == ("checks_failed", "-")
    assert found["SWAPS = 1"] == ("keep", "0.994104")
    assert found["WEIGHT_POWER = 2.0"] == ("discard", "0.976635")
    copied = home / "knapsack"
    assert git(copied, "log", "--format=%s", "lab/knapsack").splitlines() == [
        "SWAPS = 1",
        "WEIGHT_POWER = 1.0",
        "as it is",
    ]
    assert git(copied, "status", "--porcelain") == ""
    assert (copied / "solve.py").read_bytes() == (EXAMPLES / "knapsack/solve.py").read_bytes()


@pytest.mark.needs("git")
def test_a_program_is_made_faster_and_by_more_than_luck(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = typed("word-count", tmp_path, request)
    found = table(home, "word-count")
    assert found["ORDERED = False"][0] == "keep"
    assert found["KNOWN_FIRST = True"][0] == "discard"
    runs = (home / "lab-data/experiments/word-count/runs").glob("RUN-*")
    made = [json.loads((run / "artifacts/decision.json").read_text()) for run in sorted(runs)]
    kept = next(each["candidate"] for each in made if each["note"] == "ORDERED = False")
    assert max(kept["values"]) < min(kept["against"])  # the fresh measurements of both, taken in turns
    assert kept["p"] < kept["alpha"]
    copied = home / "word-count"
    assert git(copied, "diff", "--stat", "HEAD", "lab/word-count").splitlines()[0].split()[0] == "count.py"
    git(copied, "checkout", "-q", "lab/word-count")
    assert Person(home).typed("python3 test.py; python3 measure.py", cwd=copied).startswith("METRIC seconds=")


def test_a_search_runs_without_any_code_being_changed(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    home = typed("optimize-function", tmp_path, request)
    rows = (home / "lab-data/experiments/optimize-rosenbrock/results.tsv").read_text().splitlines()
    assert len(rows) == 41
    assert (home / "optimize-function/config.json").read_bytes() == (
        EXAMPLES / "optimize-function/config.json"
    ).read_bytes()
