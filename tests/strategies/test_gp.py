"""The Gaussian process: its gradient, its posterior, what it makes of noise; and the targets it is given."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lab.strategies.acquire import log_improvement
from lab.strategies.gp import Posterior, Prior, Scales, _likelihood, fit, inverse_of_lower, log_normal
from lab.strategies.targets import targets

CHANCE = np.random.default_rng(5)
SEEN = CHANCE.random((25, 4))
COLUMNS = np.array([0, 1, 1, 2])
WAVE = np.sin(6 * SEEN[:, 0]) + SEEN[:, 3] ** 2
TARGETS = (WAVE - WAVE.mean()) / WAVE.std()


def test_the_slope_is_that_of_the_likelihood() -> None:
    value = _likelihood(SEEN, COLUMNS, TARGETS, Prior())
    at = np.array([-0.7, 0.1, 0.4, 0.2, -3.0])
    _, slope = value(at)
    for place in range(len(at)):
        step = np.eye(len(at))[place] * 1e-5
        assert slope[place] == pytest.approx((value(at + step)[0] - value(at - step)[0]) / 2e-5, rel=1e-4, abs=1e-6)


def test_a_fit_is_where_no_small_step_is_better() -> None:
    scales = fit(SEEN, COLUMNS, TARGETS, Prior())
    value = _likelihood(SEEN, COLUMNS, TARGETS, Prior())
    at = np.log(np.array([*scales.lengths, scales.signal, scales.noise]))
    assert value(at)[0] == pytest.approx(scales.loss)
    assert all(value(at + step)[0] > scales.loss - 0.05 for step in (*np.eye(5) * 0.2, *np.eye(5) * -0.2))


def test_what_matters_has_the_shorter_length() -> None:
    scales = fit(SEEN, COLUMNS, TARGETS, Prior())
    assert scales.lengths[0] < scales.lengths[1]


@pytest.mark.parametrize("n", [1, 2, 31, 32, 33, 64, 150])
def test_a_triangle_is_inverted(n: int) -> None:
    lower = np.tril(CHANCE.random((n, n))) + np.eye(n)
    assert np.allclose(inverse_of_lower(lower) @ lower, np.eye(n), atol=1e-8)


def test_the_posterior_goes_through_what_was_seen_and_back_to_the_mean_far_away() -> None:
    model = Posterior(SEEN, COLUMNS, TARGETS, Scales(np.full(3, 0.5), 1.0, 1e-6))
    mean, deviation = model.at(SEEN)
    assert np.allclose(mean, TARGETS, atol=1e-3)
    assert deviation.max() < 0.01
    mean, deviation = model.at(SEEN + 100.0)
    assert np.allclose(mean, 0.0)
    assert np.allclose(deviation, 1.0)


def test_half_the_digits_are_enough_for_sorting() -> None:
    model = Posterior(SEEN, COLUMNS, TARGETS, fit(SEEN, COLUMNS, TARGETS, Prior()))
    there = CHANCE.random((200, 4))
    for exact, rough in zip(model.at(there), model.roughly_at(there), strict=True):
        assert np.allclose(exact, rough, atol=5e-3)
        assert rough.dtype == np.float64


def test_noise_is_told_from_shape_where_points_lie_close() -> None:
    place = np.repeat(np.linspace(0, 1, 12), 4)[:, None]
    straight = targets(place[:, 0] * 2)
    noisy = targets(place[:, 0] * 2 + CHANCE.normal(0, 0.5, len(place)))
    quiet, loud = (fit(place, np.array([0]), each, Prior()).noise for each in (straight, noisy))
    assert quiet < 0.003
    assert loud > 0.05


@given(st.lists(st.floats(-1e308, 1e308), min_size=1, max_size=40))
def test_targets_are_finite_and_keep_the_order(losses: list[float]) -> None:
    found = targets(np.array(losses))
    assert np.isfinite(found).all()
    assert abs(float(found.mean())) < 1e-6
    order = np.argsort(losses, kind="stable")
    assert (np.diff(found[order]) >= -1e-9).all()


def test_a_tail_of_bad_losses_is_drawn_in() -> None:
    losses = np.exp(CHANCE.normal(0, 2, 100))
    assert float((targets(losses) ** 3).mean()) < 1.0


@given(st.floats(-2000, 2000), st.floats(1e-6, 10))
def test_the_improvement_is_a_number_however_hopeless(mean: float, deviation: float) -> None:
    (found,) = log_improvement(np.array([mean]), np.array([deviation]), 0.0)
    assert math.isfinite(found)
    (worse,) = log_improvement(np.array([mean + 0.1]), np.array([deviation]), 0.0)
    assert worse <= found + 1e-9


def test_the_improvement_joins_where_its_two_forms_meet() -> None:
    at = np.array([24.999, 25.001])
    near, far = log_improvement(at, np.ones(2), 0.0)
    assert near - far == pytest.approx(0.002 * 25, rel=0.2)


def test_the_chance_of_a_normal_number_is_its_logarithm() -> None:
    assert log_normal(np.array([0.0, 10.0, -100.0])) == pytest.approx([math.log(0.5), 0.0, -454.32], abs=0.1)
