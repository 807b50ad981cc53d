"""Whole trainings of a search that are under way together stay within one budget."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.core.chunk import IS_SPENT, IS_UNAVAILABLE, Chunk
from lab.core.ended import Ended
from lab.core.errors import Busy
from lab.core.run import FAILED
from lab.scheduler import cycle
from tests.cli.trainings import a_training, begun, over

if TYPE_CHECKING:
    from pathlib import Path

    from lab.scheduler.cycle import Running

SEARCH = "strategy: random\nsearch_space: {rank: {low: 1, high: 64, type: int}}\nmax_parallel: 3\n"


def limits(*running: Running) -> list[tuple[int | None, float | None]]:
    return [(each.order.tokens_left, each.order.usd_left) for each in running if each.order is not None]


def test_trainings_beside_each_other_share_what_is_left(tmp_path: Path) -> None:
    root = a_training(tmp_path / "lab", more=f"{SEARCH}stop_conditions: {{budget_tokens: 9000, budget_cost: 0.3}}\n")
    first, second, third = begun(root), begun(root), begun(root)
    told = limits(first, second, third)
    assert [tokens for tokens, _ in told] == [3000, 3000, 3000]
    assert [usd for _, usd in told] == pytest.approx([0.1, 0.1, 0.1])
    over(root, first, 0.5)  # 2,000 tokens, 0.02 USD
    again = begun(root)
    assert limits(again)[0][0] == 1000
    assert limits(again)[0][1] == pytest.approx(0.08)


def test_where_not_all_places_bear_what_a_training_took_fewer_share(tmp_path: Path) -> None:
    root = a_training(tmp_path / "lab", more=f"{SEARCH}stop_conditions: {{budget_tokens: 7000}}\n")
    over(root, begun(root), 0.5)
    first, second = begun(root), begun(root)
    assert limits(first, second) == [(2500, None), (2500, None)]
    with pytest.raises(Busy, match="under way may use all"):
        begun(root)


def test_so_many_as_a_person_asked_for_share_it_whatever_the_spec_says(tmp_path: Path) -> None:
    one = SEARCH.replace("3", "1") + "stop_conditions: {budget_tokens: 9000}\n"
    root = a_training(tmp_path / "lab", more=one)
    told = limits(*(begun(root, slots=4) for _ in range(4)))
    assert told == [(2250, None)] * 4


def test_of_what_a_training_took_those_that_had_no_service_tell_nothing(tmp_path: Path) -> None:
    root = a_training(tmp_path / "lab", more=f"{SEARCH}stop_conditions: {{budget_tokens: 7000}}\n")
    over(root, begun(root), 0.5)  # 2,000 tokens
    for _ in range(3):
        away = Chunk(number=0, first_step=0, next_step=0, halted=IS_UNAVAILABLE)
        cycle.finish(root, begun(root), Ended(outcome=FAILED, wall_s=9.0, reason="nobody answers", chunk=away))
    assert limits(begun(root), begun(root)) == [(2500, None)] * 2


def test_after_a_share_that_bore_no_step_the_next_has_all_that_is_left_and_is_alone(tmp_path: Path) -> None:
    root = a_training(tmp_path / "lab", more=f"{SEARCH}stop_conditions: {{budget_tokens: 1000}}\n")
    refused, *others = [begun(root) for _ in range(3)]
    assert limits(refused) == [(333, None)]
    for each in (refused, *others):
        done = Chunk(number=0, first_step=0, next_step=0, halted=IS_SPENT)
        cycle.finish(root, each, Ended(outcome=FAILED, reason="no step was done", chunk=done))
        if each is refused:
            with pytest.raises(Busy, match="under way may use all"):
                begun(root)
    assert limits(begun(root)) == [(1000, None)]
    with pytest.raises(Busy, match="under way may use all"):
        begun(root)


def test_one_at_a_time_has_all_that_is_left_and_without_a_budget_there_is_no_limit(tmp_path: Path) -> None:
    alone = a_training(tmp_path / "a", more=SEARCH.replace("3", "1") + "stop_conditions: {budget_tokens: 9000}\n")
    assert limits(begun(alone)) == [(9000, None)]
    free = a_training(tmp_path / "b", more=SEARCH)
    assert limits(begun(free), begun(free)) == [(None, None)] * 2
