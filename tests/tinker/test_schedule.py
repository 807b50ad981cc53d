"""Which examples a step trains on, and at which rate."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.core.errors import BadInput
from lab.tinker import schedule

COUNTS = st.integers(1, 40)
SIZES = st.integers(1, 50)
SEEDS = st.integers(0, 2**31)


@given(count=COUNTS, size=SIZES, seed=SEEDS, epochs=st.integers(1, 3))
def test_every_example_comes_once_in_an_epoch(count: int, size: int, seed: int, epochs: int) -> None:
    steps = -(-count * epochs // size)
    seen = [index for step in range(steps) for index in schedule.batch(step, size, count, seed)]
    for epoch in range(epochs):
        assert sorted(seen[epoch * count : (epoch + 1) * count]) == list(range(count))


@given(count=COUNTS, size=SIZES, seed=SEEDS, cuts=st.lists(st.integers(0, 12), max_size=4))
def test_a_training_in_chunks_meets_the_batches_of_one_in_one_go(
    count: int, size: int, seed: int, cuts: list[int]
) -> None:
    whole = [schedule.batch(step, size, count, seed) for step in range(12)]
    edges = [0, *sorted(cuts), 12]
    chunks = [range(*edge) for edge in pairwise(edges)]
    assert [schedule.batch(step, size, count, seed) for chunk in chunks for step in chunk] == whole


def test_epochs_differ_in_their_order_and_so_do_seeds() -> None:
    assert schedule.permutation(0, 30, seed=1) != schedule.permutation(1, 30, seed=1)
    assert schedule.permutation(0, 30, seed=1) != schedule.permutation(0, 30, seed=2)


def test_the_order_of_the_first_release_is_kept() -> None:
    assert schedule.permutation(0, 8, seed=0) == [4, 5, 1, 7, 6, 0, 2, 3]


def test_a_batch_larger_than_the_data_takes_each_of_them_as_often() -> None:
    assert set(Counter(schedule.batch(0, 12, 4, seed=3)).values()) == {3}


@pytest.mark.parametrize(("size", "count"), [(0, 4), (-1, 4), (4, 0)])
def test_no_batch_can_be_made_of_nothing(size: int, count: int) -> None:
    with pytest.raises(BadInput, match="cannot be made"):
        schedule.batch(0, size, count, seed=0)


def test_rates_rise_to_the_peak_and_fall_after_it() -> None:
    def rates(shape: str) -> list[float]:
        return [schedule.learning_rate(step, peak=1.0, steps=6, shape=shape, warmup=2) for step in range(6)]

    assert rates("constant") == pytest.approx([1 / 3, 2 / 3, 1, 1, 1, 1])
    assert rates("linear") == pytest.approx([1 / 3, 2 / 3, 1, 0.75, 0.5, 0.25])
    assert rates("cosine") == pytest.approx([1 / 3, 2 / 3, 1, 0.5 + math.sqrt(0.5) / 2, 0.5, 0.5 - math.sqrt(0.5) / 2])


@given(steps=st.integers(1, 50), warmup=st.integers(0, 60), shape=st.sampled_from(schedule.SHAPES))
def test_no_step_is_paid_for_without_learning(steps: int, warmup: int, shape: str) -> None:
    rates = [schedule.learning_rate(step, peak=2.0, steps=steps, shape=shape, warmup=warmup) for step in range(steps)]
    assert all(0 < rate <= 2.0 for rate in rates)


def test_an_unknown_schedule_is_named_with_the_one_that_was_meant() -> None:
    with pytest.raises(BadInput, match="did you mean cosine"):
        schedule.learning_rate(0, peak=1.0, steps=5, shape="cosin")
