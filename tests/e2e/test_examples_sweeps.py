"""What the examples of searches claim: hermes-lab's own line works, and a tuned model is better by more than luck."""

from __future__ import annotations

import json
import shutil
import sys
import venv
from importlib.util import find_spec
from typing import TYPE_CHECKING

import pytest

from tests.e2e.newcomer import EXAMPLES, Person

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = {"C": 1.0, "gamma": 0.1, "epsilon": 0.1}
FOUND = {"C": 225.0, "gamma": 0.009, "epsilon": 30.0}  # where a search of 15 runs ends

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(180)]
needs_sklearn = pytest.mark.skipif(find_spec("sklearn") is None, reason="scikit-learn is not installed here")


def test_the_line_by_which_hermes_lab_demonstrated_itself_works_from_the_checkout(tmp_path: Path) -> None:
    ann = Person(tmp_path)
    lab = f'HERMES_LAB_DATA_ROOT={tmp_path}/data "{sys.executable}" scripts/labctl.py'
    ann.environ.pop("LAB_DATA_ROOT")
    before = (EXAMPLES / "optimize-function/config.json").read_bytes()
    ann.typed(f"{lab} init; {lab} create examples/optimize-function/SPEC.yaml")
    said = ann.typed(f"{lab} burst optimize-rosenbrock --strategy random -n 20")
    assert "20 runs in " in said
    assert ": 20 ok, 0 failed; new best " in said
    best = json.loads(ann.typed(f"{lab} best optimize-rosenbrock --json"))["data"]
    x, y = best["params"]["x"], best["params"]["y"]
    assert best["value"] == pytest.approx((1 - x) ** 2 + 100 * (y - x * x) ** 2, abs=1e-8)
    assert best["value"] < 24.2  # the point that it began at
    assert (EXAMPLES / "optimize-function/config.json").read_bytes() == before


@needs_sklearn
def test_numbers_that_a_search_finds_are_better_on_people_held_out_by_more_than_luck(tmp_path: Path) -> None:
    told = heldout(Person(tmp_path), FOUND)
    assert "the tuned one is better, by " in told
    assert float(told.rpartition("luck: ")[2]) < 0.001


@needs_sklearn
def test_where_nothing_was_gained_no_gain_is_told(tmp_path: Path) -> None:
    told = heldout(Person(tmp_path), {"C": 0.3, "gamma": 0.7, "epsilon": 12.0}, code=1)
    assert "no gain that could not be luck" in told
    assert "better" not in told


@needs_sklearn
def test_a_run_of_the_model_tells_the_distance_of_the_numbers_it_was_given(tmp_path: Path) -> None:
    ann = Person(tmp_path)
    shutil.copytree(EXAMPLES / "tune-sklearn", tmp_path / "tune-sklearn")
    ann.typed("labctl init; labctl create ~/tune-sklearn; labctl burst diabetes -n 2")
    first, second = (
        json.loads(line) for line in (tmp_path / "lab-data/experiments/diabetes/metrics.jsonl").read_text().splitlines()
    )
    assert first["params"] == DEFAULT
    assert 60 < first["value"] < 70
    assert second["params"] != DEFAULT
    assert second["value"] != first["value"]


def heldout(person: Person, params: dict[str, float], *, code: int = 0) -> str:
    """What heldout.py says of these numbers, as `labctl best --json` would hand them over."""
    given = json.dumps({"data": {"params": params}})
    return person.typed("python3 heldout.py", code=code, given=given, cwd=EXAMPLES / "tune-sklearn")


def test_without_scikit_learn_every_page_says_what_to_install(tmp_path: Path) -> None:
    venv.create(tmp_path / "bare", symlinks=True, with_pip=False)
    ann = Person(tmp_path, python=str(tmp_path / "bare/bin/python3"))
    shutil.copytree(EXAMPLES / "tune-sklearn", tmp_path / "tune-sklearn")
    ann.typed("labctl init; labctl create ~/tune-sklearn")
    said = ann.typed("labctl burst diabetes -n 15", code=1)
    python = f"{tmp_path}/bare/bin/python3"
    fix = f"fix: {python} -m pip install scikit-learn"
    assert f"sklearn is not installed for {python}; {fix}" in said
    assert "3 runs in " in said  # and not 15 that fail alike
    assert "best none yet" in said
    for look in ("labctl list diabetes", "labctl status", "labctl show diabetes"):
        assert "sklearn is not installed" in ann.typed(look), look
    assert fix in ann.typed("python3 heldout.py", code=5, cwd=tmp_path / "tune-sklearn")
