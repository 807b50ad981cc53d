"""Who is next: by priority, then by who has waited longest, and nobody waits for ever."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.errors import NotFound
from lab.scheduler import decisions, due, refresh
from lab.store import reading
from lab.testing.files import BEGINNING
from tests.scheduler.labs import a_lab, an_experiment, one_run, reopened, write

if TYPE_CHECKING:
    from pathlib import Path

    from lab.store.root import Root

ALWAYS = "cadence: 0s\n"


def spec(root: Root, name: str, **changes: object) -> None:
    """An experiment whose SPEC differs in these fields."""
    an_experiment(root, name)
    edit(root, name, **changes)
    refresh.everything(root)


def edit(root: Root, name: str, **changes: object) -> None:
    path = root.layout.spec(name)
    with open(path, encoding="utf-8") as file:
        kept = [line for line in file if line.partition(":")[0] not in changes]
    write(path, "".join([*kept, *(f"{key}: {value}\n" for key, value in changes.items())]).encode())


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return a_lab(tmp_path / "lab")


def test_what_is_more_urgent_goes_first(root: Root) -> None:
    for name, priority in (("d", "low"), ("c", "normal"), ("b", "high"), ("a", "urgent"), ("a2", "urgent")):
        spec(root, name, priority=priority)
    assert list(due.due(root).names) == ["a", "a2", "b", "c", "d"]


def test_of_equals_each_one_gets_its_turn(root: Root) -> None:
    for name in "abc":
        spec(root, name, cadence="0.001s")
    first = []
    for _ in range(9):
        name = due.due(root).names[0]
        first.append(name)
        one_run(root, name)
    assert {name: first.count(name) for name in "abc"} == {"a": 3, "b": 3, "c": 3}


def test_one_that_is_always_due_does_not_starve_the_others(root: Root) -> None:
    spec(root, "greedy", priority="urgent", cadence="0.001s")
    spec(root, "patient", priority="low", cadence="0.001s")
    for _ in range(5):
        assert due.due(root).names[0] == "greedy"
        one_run(root, "greedy")
    later = reopened(root, start=BEGINNING.replace(day=BEGINNING.day + 4))
    one_run(later, "greedy")
    assert due.due(later).names[0] == "patient"


def test_what_is_not_due_or_not_open_is_left_out(root: Root) -> None:
    for name in ("waits", "paused", "done", "ready"):
        spec(root, name)
    one_run(root, "waits")
    decisions.pause(root, "paused", reason="", actor="ann")
    decisions.complete(root, "done", reason="", actor="ann")
    assert list(due.due(root).names) == ["ready"]
    assert list(due.due(root, now=True, only=["waits"]).names) == ["waits"]
    assert list(due.due(root, only=["paused"]).names) == ["paused"]  # it says itself why it does not run


def test_classes_and_names_filter(root: Root) -> None:
    spec(root, "gpu", executor_class="gpu")
    spec(root, "cpu")
    assert list(due.due(root, classes=["gpu"]).names) == ["gpu"]
    assert list(due.due(root, only=["cpu"]).names) == ["cpu"]
    with pytest.raises(NotFound, match="there is no experiment cpv"):
        due.due(root, only=["cpv"])


def test_a_spec_that_was_edited_is_looked_at_though_its_old_cadence_says_later(root: Root) -> None:
    spec(root, "weekly", cadence="weekly")
    one_run(root, "weekly")
    assert due.due(root).names == ()
    edit(root, "weekly", cadence="0.001s")
    os.utime(root.layout.spec("weekly"), (0, 0))  # times of files prove nothing
    assert due.due(root) == due.Due(names=("weekly",), tiers={"weekly": "proxy"}, edited=frozenset({"weekly"}))


def test_an_index_that_is_behind_or_gone_is_caught_up_first(root: Root) -> None:
    spec(root, "a", cadence="weekly")
    before = reading.read(root.layout.index) or b""
    one_run(root, "a")
    write(root.layout.index, before)
    assert due.due(root).names == ()
    os.unlink(root.layout.index)
    assert due.due(root).names == ()


def test_a_clock_that_jumped_back_does_not_stop_the_lab(root: Root) -> None:
    spec(root, "a", cadence="1h")
    one_run(root, "a")
    earlier = reopened(root, start=BEGINNING.replace(year=BEGINNING.year - 1))
    assert list(due.due(earlier).names) == ["a"]


def test_an_experiment_that_was_made_where_the_clock_is_ahead_is_due_here(root: Root) -> None:
    spec(root, "a", cadence="1h")
    earlier = reopened(root, start=BEGINNING.replace(year=BEGINNING.year - 1))
    assert list(due.due(earlier).names) == ["a"]


def test_a_misspelt_class_is_refused(root: Root) -> None:
    spec(root, "gpu", executor_class="gpu")
    due.require_known(root, ["gpu"])
    with pytest.raises(NotFound, match="no experiment has the executor class gpuu"):
        due.require_known(root, ["gpuu"])


def test_a_class_that_a_spec_was_just_given_is_known(root: Root) -> None:
    """The index tells of the class that it had; a courier for the new one was refused until something renewed it."""
    spec(root, "a")
    path = root.layout.spec("a")
    write(path, (reading.read(path) or b"") + b"executor_class: rented\n")
    due.require_known(root, ["rented"])
    assert due.classes(root) == {"rented"}
    write(path, b"not: [a SPEC\n")
    assert due.classes(root) == {"default"}


def test_an_experiment_that_never_ran_waits_since_it_was_made(root: Root) -> None:
    spec(root, "old", cadence="0.001s")
    spec(root, "new", cadence="0.001s")
    one_run(root, "old")
    assert list(due.due(root).names) == ["new", "old"]
