"""A space is searched, whoever makes the run: a burst, cron, a worker; and where nothing says so, nothing is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from lab.core.run import FAILED
from lab.scheduler import cycle, decisions, refresh
from lab.scheduler.dispatch import offers
from lab.scheduler.search import burst, sought
from lab.scheduler.search.burst import Burst, Order
from lab.scheduler.search.plan import Wanted
from lab.scheduler.turn import Turn
from lab.scheduler.visit import Request
from tests.scheduler.labs import a_lab, an_experiment, one_run
from tests.scheduler.search.searches import a_search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lab.store.root import Root

STUB = "executor: stub\n"
LYING = '{"x": {"low": 0.0, "high": 1.0}}'


def by_burst(root: Root, name: str) -> Mapping[str, object] | None:
    made = Burst(root, Order(experiment=name, runs=1), Wanted(), tell=lambda _: None, interrupted=lambda: "")
    made.prepare()
    assert made.one() == burst.MADE
    return next(step.params for step in made.turn.steps if step.kind == "ran")


def by_cron(root: Root, name: str) -> Mapping[str, object] | None:
    turn = Turn(root, Request(only=(name,), now=True, max_runs=1), tell=lambda _: None, interrupted=lambda: "")
    turn.take()
    return next(step.params for step in turn.steps if step.kind == "ran")


def by_worker(root: Root, name: str) -> Mapping[str, object] | None:
    offers.queue(root, actor="ann", only=(name,), now=True)
    (held,), _ = offers.claim(root, "w1", only=[name])
    return held.running.params


WAYS = pytest.mark.parametrize("made", [by_burst, by_cron, by_worker])


def seeks(root: Root, name: str = "hunt") -> bool:
    with root.section(name):
        view, loaded = cycle.observe(root, name)
    return sought.searches(root, cycle.usable(loaded), view)


@WAYS
def test_a_space_without_a_strategy_is_searched_by_whoever_makes_the_run(
    tmp_path: Path, made: Callable[[Root, str], Mapping[str, object] | None]
) -> None:
    root = a_search(tmp_path / "lab", STUB)
    assert set(made(root, "hunt") or {}) == {"x", "lr", "n"}


@WAYS
def test_a_space_that_lies_in_the_workspace_is_searched_by_whoever_makes_the_run(
    tmp_path: Path, made: Callable[[Root, str], Mapping[str, object] | None]
) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/search_space.json").write_text(LYING)
    root = a_lab(tmp_path / "lab", "hunt", more=f"{STUB}workspace_root: {tmp_path}/work\n")
    assert set(made(root, "hunt") or {}) == {"x"}


@WAYS
def test_without_a_space_no_run_is_given_parameters(
    tmp_path: Path, made: Callable[[Root, str], Mapping[str, object] | None]
) -> None:
    root = a_lab(tmp_path / "lab", "hunt", more=STUB)
    assert made(root, "hunt") is None


def test_what_lies_in_the_workspace_of_a_code_loop_is_no_space_of_the_lab(tmp_path: Path) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work/search_space.json").write_text(LYING)
    root = a_lab(tmp_path / "lab")
    an_experiment(root, "hunt", f"executor: reference\nmutable_paths: [a.py]\nworkspace_root: {tmp_path}/work\n")
    assert not seeks(root)


def test_the_chunks_of_a_training_are_no_search_though_they_have_a_space(tmp_path: Path) -> None:
    tuning = "executor: tinker\ntinker: {base_model: tiny, base_url: 'http://127.0.0.1:1'}\n"
    space = "search_space:\n  learning_rate: {low: 0.1, high: 1.0, default: 0.5}\n"
    root = a_lab(tmp_path / "lab", "hunt", more=tuning + space)
    assert not seeks(root)


def test_a_search_is_stopped_by_ten_failures_and_not_by_three_whoever_looks_at_it(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", STUB)
    for _ in range(4):
        one_run(root, "hunt", None, FAILED)
    assert decisions.foreseen(root, "hunt") == ""
    assert by_cron(root, "hunt") is not None
    with root.section("hunt"):
        assert refresh.current(root, "hunt")[0].phase == "active"


def test_a_space_that_is_named_and_not_there_is_said_and_no_run_goes_without_parameters(tmp_path: Path) -> None:
    root = a_search(tmp_path / "lab", STUB, "search_space: gone.json\n")
    turn = Turn(root, Request(only=("hunt",), now=True), tell=lambda _: None, interrupted=lambda: "")
    turn.take()
    assert [step.kind for step in turn.steps] == ["problem"]
    assert os.listdir(f"{root.layout.experiment('hunt')}/runs") == []
