"""Every verb that writes, stopped before a step and refused one, by the machine, a full disk and a bad one.

Sampled on each push, with a seed that a failure prints; every step behind `--slow`, and in `scripts/trial/kills.py`.
"""

from __future__ import annotations

import json
import os
import random
from typing import TYPE_CHECKING

import pytest

from tests.crash import boxed, recipes, sampled, verbs
from tests.crash.aftermath import SEED
from tests.crash.rows import listed
from tests.crash.sweeping import prepared
from tests.crash.switch import BAD, COUNT, FULL, STOP

if TYPE_CHECKING:
    from collections.abc import Collection

    from _pytest.mark.structures import ParameterSet

    from tests.crash.rows import Row

pytestmark = [pytest.mark.heavy, pytest.mark.timeout(240), pytest.mark.needs("git")]
MANIFEST = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../LAB_MANIFEST.json")
ROWS = {row.name: row for row in verbs.ROWS}
LISTS = "start crontab -l"  # the one start of crontab that changes nothing


def every_verb() -> set[str]:
    """Each with its sub-verb, as the manifest has them."""
    with open(MANIFEST, encoding="utf-8") as file:
        commands = json.load(file)["commands"]
    return {f"{each['name']} {sub}".strip() for each in commands for sub in each["sub_verbs"] or [""]}


def test_every_verb_is_in_the_table_of_those_that_write_or_shown_not_to() -> None:
    known = [{row.key for row in verbs.ROWS}, set(verbs.READS), set(verbs.ELSEWHERE)]
    assert set().union(*known) == every_verb()
    assert sum(map(len, known)) == len(every_verb()), "one of them is there twice"
    assert len(ROWS) == len(verbs.ROWS), "two rows have one name"


@pytest.fixture(scope="module")
def looked_at(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A lab with runs, in a box."""
    box = str(tmp_path_factory.mktemp("looked") / "box")
    boxed.make(box)
    recipes.ran(box)
    return box


@pytest.mark.parametrize("verb", verbs.READS)
def test_a_verb_that_only_looks_takes_no_step_of_a_writer(verb: str, looked_at: str) -> None:
    first = listed(f"{looked_at}/lab/experiments/sweep/runs")[0]
    words = [first if word == "FIRST" else word for word in verbs.READS[verb]]
    went = boxed.typed(looked_at, words, mode=COUNT)
    assert "Traceback" not in went.stderr
    assert [step for step in boxed.steps_of(looked_at) if step != LISTS] == [], went


def needs_service(row: Row) -> None:
    if row.before in (recipes.service, recipes.chunked):
        from tests.tinker.conftest import needs_models

        needs_models()


def slow_where_it_trains(names: Collection[str]) -> list[ParameterSet]:
    """A chunk of a training takes minutes to be stopped a few times; tests/tinker kills it, too."""
    trains = {name for name in names if ROWS[name].before in (recipes.service, recipes.chunked)}
    return [pytest.param(name, marks=[pytest.mark.slow] if name in trains else []) for name in names]


@pytest.mark.parametrize("name", slow_where_it_trains(ROWS))
def test_a_verb_that_is_stopped_or_refused_loses_nothing_and_goes_on(name: str, ram: str) -> None:
    row = ROWS[name]
    needs_service(row)
    sweep = prepared(row, f"{ram}/row")
    refusal = random.Random(f"{SEED}{name}").choice((FULL, BAD))
    wrong = [each for mode in (STOP, refusal) for each in sweep.some(mode, 1).wrong]
    assert not wrong, sampled.told(wrong, __name__)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("mode", [STOP, FULL, BAD])
@pytest.mark.parametrize("name", ROWS)
def test_a_verb_at_every_step(name: str, mode: str, ram: str) -> None:
    row = ROWS[name]
    needs_service(row)
    swept = prepared(row, f"{ram}/row").all(mode)
    assert not swept.wrong, sampled.told(swept.wrong, __name__)
