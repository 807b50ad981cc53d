"""What calls are given: what does not fit is refused by its name before anything is done, and what fits is sealed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import lab

if TYPE_CHECKING:
    from collections.abc import Callable

    Asked = Callable[..., lab.Experiment]


class Whole:
    """A whole number of somebody else's, such as numpy's."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


@pytest.mark.parametrize("seed", [True, -1, 2**63, 2**70, 1.5, "x"])
def test_a_seed_that_is_none_is_refused_and_nothing_is_made(
    asked: Asked, sweep: lab.Experiment, home: lab.Lab, seed: int
) -> None:
    with pytest.raises(lab.BadInput, match="seed must be a whole number"):
        sweep.run(1, seed=seed)
    tuned = asked()
    with pytest.raises(lab.BadInput, match="seed must be a whole number"):
        tuned.trial(seed=seed)
    assert sweep.runs() == tuned.runs() == []
    assert home.verify() == []


def test_whole_numbers_of_others_are_taken_as_they_are(asked: Asked, sweep: lab.Experiment, home: lab.Lab) -> None:
    made = sweep.run(Whole(2), jobs=Whole(1), seed=Whole(5))  # type: ignore[arg-type]  # as of numpy
    assert made.succeeded + made.failed == 2
    with asked().trial(seed=Whole(2**63 - 1)) as trial:  # type: ignore[arg-type]
        trial.report(loss=1, large=2**70)
    assert trial.outcome == "success"
    assert len(sweep.top(Whole(1))) == 1  # type: ignore[arg-type]
    assert home.verify() == []


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda each: each.run(1.5), "runs must be a whole number"),
        (lambda each: each.run(True), "runs must be a whole number"),
        (lambda each: each.run(1, jobs=0), "jobs must be a whole number"),
        (lambda each: each.run(1, strategy=3), "strategy must be text, not int"),
        (lambda each: each.run(1, engine=3), "engine must be text, not int"),
        (lambda each: each.run(1, tell=3), "tell must be a function, not int"),
        (lambda each: each.trial(strategy=3), "strategy must be text, not int"),
        (lambda each: each.top(1.5), "count must be a whole number"),
        (lambda each: each.top(0), "count must be a whole number"),
        (lambda each: each.top(1, tier=3), "tier must be text, not int"),
        (lambda each: each.best(3), "tier must be text, not int"),
        (lambda each: each.table(["a"]), "tier must be text, not list"),
        (lambda each: each.runs(outcome=["failed"]), "outcome must be text, not list"),
        (lambda each: each.runs(tier=1), "tier must be text, not int"),
        (lambda each: each.pause(3), "reason must be text, not int"),
        (lambda each: each.pause("\ud800"), "reason .* is no text"),
        (lambda each: each.resume(3), "reason must be text, not int"),
        (lambda each: each.report(3), "path must be a path, not int"),
        (lambda each: each.report("a\0.html"), "path .* is no path"),
    ],
)
def test_what_does_not_fit_is_refused_by_its_name(
    sweep: lab.Experiment, home: lab.Lab, call: Callable[[lab.Experiment], object], words: str
) -> None:
    with pytest.raises(lab.BadInput, match=words):
        call(sweep)
    assert (sweep.phase, sweep.runs(), home.verify()) == ("queued", [], [])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda _: lab.Lab("a\0b"), "path .* is no path"),
        (lambda _: lab.Lab("a\ud800b"), "path .* is no path"),
        (lambda _: lab.Lab(3), "path must be a path, not int"),  # type: ignore[arg-type]  # the very point
        (lambda _: lab.Lab(b"lab-data"), "path must be a path, not bytes"),  # type: ignore[arg-type]
        (lambda _: lab.Lab.init("a\0b"), "path .* is no path"),
        (lambda home: home[3], "experiment id must be text"),
        (lambda home: home.run(3), "run id must be text"),
        (lambda home: home.verify(3), "experiment id must be text"),
        (lambda home: home.create(3), "name must be text"),
        (lambda home: home.create("a\0b"), "name .* is no path"),
        (lambda home: home.create("new", source=3), "source must be a path"),
        (lambda home: home.create("new", command=3, metric="a", direction="minimize"), "command must be"),
        (lambda home: home.create("new", command=["a", 3], metric="a", direction="minimize"), "command must be"),
        (lambda home: home.create("new", metric=3, direction="minimize"), "metric must be text"),
        (lambda home: home.create("new", metric="a", direction=["minimize"]), "direction must be text"),
        (lambda home: home.create("new", metric="a", direction="minimize", space=3), "space must be a dict"),
    ],
)
def test_what_no_lab_can_be_asked_is_refused_by_its_name(
    home: lab.Lab, call: Callable[[lab.Lab], object], words: str
) -> None:
    with pytest.raises(lab.BadInput, match=words):
        call(home)
    assert os.listdir("lab-data/experiments") == []


@pytest.mark.parametrize("lines", [0, 1.5, True, "3", 10_001])
def test_the_lines_of_a_log_are_a_whole_number(sweep: lab.Experiment, lines: int) -> None:
    sweep.run(1)
    (run,) = sweep.runs()
    with pytest.raises(lab.BadInput, match="lines must be a whole number"):
        run.log(lines=lines)
    assert Path(run.path).is_dir()
