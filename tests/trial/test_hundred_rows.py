"""The table of the trial in a lab of a hundred thousand runs has a row for every verb that there is."""

from __future__ import annotations

from scripts.trial import hundred_thousand
from scripts.trial.hundred_ground import plan
from scripts.trial.hundred_rows import ROWS


def test_every_verb_has_a_row() -> None:
    tabled = {row.key for row in ROWS}
    assert (set(hundred_thousand.keys()) - tabled, tabled - set(hundred_thousand.keys())) == (set(), set())


def test_the_rows_have_names_of_their_own() -> None:
    names = [row.name for row in ROWS]
    assert sorted(set(names)) == sorted(names)


def test_it_has_as_many_runs_as_it_says() -> None:
    for runs in (hundred_thousand.RUNS, hundred_thousand.QUICK_RUNS):
        assert sum(count for _, count in plan(runs).values()) == runs
    assert plan(hundred_thousand.RUNS)["big"][1] >= 90_000
